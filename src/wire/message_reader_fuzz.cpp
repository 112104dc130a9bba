// Any bytes, read whole and cut at random places: the events must be the same, and memory bounded.
// Input: 1 byte of mode, 2 bytes that seed the cuts, then the stream.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "wire/message_reader.h"
#include "wire/permessage_deflate.h"

namespace {

using namespace tidewire::wire;

constexpr ReaderLimits kLimits{.message_bytes = 300, .fragments = 8};

std::optional<Inflater> inflater_for(std::uint8_t mode) {
  if (mode % 3 == 0) return std::nullopt;
  return Inflater(mode % 3 == 1 ? DeflateContext::reset : DeflateContext::keep);
}

// What the events say, as text. `cuts` 0: in one piece.
std::string read(std::string_view stream, std::uint8_t mode, std::uint32_t cuts) {
  auto inflater = inflater_for(mode);
  MessageReader reader(&kLimits);
  std::string seen;
  while (!stream.empty()) {
    std::size_t size = stream.size();
    if (cuts != 0) {
      cuts = cuts * 1664525 + 1013904223;
      size = std::min<std::size_t>(size, 1 + (cuts >> 24) % (cuts >> 30 ? 8 : 200));
    }
    std::vector<char> piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
    stream.remove_prefix(size);
    std::span<char> chunk(piece);
    while (true) {
      const auto before = chunk.size();
      const auto event = reader.next(chunk, inflater ? &*inflater : nullptr);
      TIDEWIRE_CHECK(reader.kept_bytes() <= 4096);
      if (event.type == MessageReader::Event::Type::need_more) break;
      TIDEWIRE_CHECK(chunk.size() < before || event.type == MessageReader::Event::Type::failed);
      TIDEWIRE_CHECK(event.payload.size() <= kLimits.message_bytes);
      seen += std::to_string(static_cast<int>(event.type)) + ' ' +
              std::to_string(static_cast<int>(event.opcode)) + ' ' + std::to_string(event.code) + ' ' +
              std::to_string(event.compressed) + ' ';
      seen += event.payload_text();
      seen += event.text;
      seen += '\n';
    }
    TIDEWIRE_CHECK(chunk.empty());
  }
  return seen + (reader.in_message() ? "open" : "idle");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data + 3), size - 3);
  const std::uint32_t cuts = 1 + data[1] + 256u * data[2];
  TIDEWIRE_CHECK(read(stream, data[0], 0) == read(stream, data[0], cuts));
  return 0;
}
