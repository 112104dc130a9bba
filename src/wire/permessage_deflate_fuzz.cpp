// Inflates any bytes within a limit, and brings any bytes through Deflater and Inflater unchanged.
// Input: 1 byte of context, window and size of pieces, then the data.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "wire/permessage_deflate.h"
#include "wire/utf8.h"

namespace {

using namespace tidewire::wire;

constexpr std::size_t kLimit = 20000;

// Both ways of checking text must agree.
void check_utf8(std::string_view text) {
  Utf8Validator steps;
  bool alive = true;
  for (const char& byte : text) alive = steps.feed({&byte, 1});
  TIDEWIRE_CHECK(is_valid_utf8(text) == (alive && steps.complete()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto context = data[0] & 1 ? DeflateContext::keep : DeflateContext::reset;
  const int bits = 9 + (data[0] >> 1) % 7;
  const std::size_t piece_bytes = data[0] & 0x80 ? 17 : 4000;
  const std::string_view all(reinterpret_cast<const char*>(data + 1), size - 1);

  Inflater hostile(context, bits);
  for (std::string_view rest = all; !rest.empty();) {
    const auto piece = rest.substr(0, piece_bytes);
    rest.remove_prefix(piece.size());
    const auto out = hostile.inflate(piece, kLimit);
    if (out) {
      TIDEWIRE_CHECK(out->size() <= kLimit);
      check_utf8({out->data(), out->size()});
    } else if (context == DeflateContext::keep) {
      break;
    }
  }

  check_utf8(all);
  Deflater deflater(context, bits);
  Inflater inflater(context, bits);
  std::string packed;
  for (std::string_view rest = all; !rest.empty();) {
    const auto piece = rest.substr(0, piece_bytes);
    rest.remove_prefix(piece.size());
    TIDEWIRE_CHECK(deflater.deflate(piece, packed));
    const auto out = inflater.inflate(packed, piece.size());
    TIDEWIRE_CHECK(out && std::string_view(out->data(), out->size()) == piece);
  }
  return 0;
}
