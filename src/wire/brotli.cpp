#include "wire/brotli.h"

#include <brotli/encode.h>

namespace tidewire::wire {

namespace {
constexpr int kQuality = 4;
// A text above this would hold up its shard, so it is compressed at the fastest setting.
constexpr std::size_t kLargeBytes = 256 * 1024;
}  // namespace

std::string brotli_compress(std::string_view text) {
  const int quality = text.size() > kLargeBytes ? 1 : kQuality;
  std::size_t size = BrotliEncoderMaxCompressedSize(text.size());
  std::string out(size, '\0');
  if (size == 0 || BrotliEncoderCompress(quality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, text.size(),
                                         reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                                         reinterpret_cast<std::uint8_t*>(out.data())) != BROTLI_TRUE)
    return {};
  out.resize(size);
  return out;
}

}  // namespace tidewire::wire
