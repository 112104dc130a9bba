#include "wire/permessage_deflate.h"

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>

#include "base/check.h"

namespace tidewire::wire {
namespace {

// Every message ends with an empty stored block, whose last four bytes are not sent (RFC 7692 §7.2.1).
constexpr unsigned char kTail[] = {0x00, 0x00, 0xFF, 0xFF};

// Buffers up to this stay between messages.
constexpr std::size_t kKeptBufferBytes = 256 * 1024;

const Bytef* bytes(std::string_view text) { return reinterpret_cast<const Bytef*>(text.data()); }

// zlib counts in 32 bits, so larger pieces go in by parts.
constexpr std::size_t kMaxPieceBytes = std::size_t{1} << 30;

// The new bytes are left as they are: zlib overwrites them.
void resize_raw(std::string& out, std::size_t size) {
  // The second argument is the capacity in some releases of libstdc++.
  out.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
}

}  // namespace

struct Inflater::Stream {
  z_stream z{};
  std::string out;
  std::size_t produced = 0;
  bool at_end = false;  // behind a final block

  explicit Stream(int window_bits) { TIDEWIRE_CHECK(inflateInit2(&z, -window_bits) == Z_OK); }
  ~Stream() { inflateEnd(&z); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  std::optional<InflateError> take(std::string_view input, std::size_t limit);
};

// Room is one byte more than the limit: when that byte is used the message is too large, and a message
// of exactly the limit still gets to its end.
std::optional<InflateError> Inflater::Stream::take(std::string_view input, std::size_t limit) {
  z.next_in = bytes(input);
  z.avail_in = static_cast<uInt>(input.size());
  while (true) {
    if (at_end) {
      if (z.avail_in == 0) return std::nullopt;
      // The block was marked as the last, but the message goes on (RFC 7692 §7.2.3.4 shows it). This
      // keeps the window, where inflateReset() would lose it.
      TIDEWIRE_CHECK(inflateResetKeep(&z) == Z_OK);
      at_end = false;
    }
    if (produced == out.size()) {
      if (produced > limit) return InflateError::too_large;
      const std::size_t wanted = std::max<std::size_t>(2 * out.size(), 4096);
      resize_raw(out, std::min(wanted, limit + 1));
    }
    const std::size_t room = std::min(out.size() - produced, kMaxPieceBytes);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + produced);
    z.avail_out = static_cast<uInt>(room);
    const int result = ::inflate(&z, Z_SYNC_FLUSH);
    produced += room - z.avail_out;
    if (produced > limit) return InflateError::too_large;
    if (result == Z_STREAM_END) {
      at_end = true;
      continue;
    }
    if (result != Z_OK && result != Z_BUF_ERROR) return InflateError::bad_data;
    if (z.avail_in == 0 && z.avail_out != 0) return std::nullopt;
  }
}

Inflater::Inflater(DeflateContext context, int window_bits)
    // A client that agreed to 8 may deflate with zlib, which then takes 9.
    : stream_(std::make_unique<Stream>(std::max(window_bits, 9))), context_(context) {}
Inflater::~Inflater() = default;
Inflater::Inflater(Inflater&&) noexcept = default;
Inflater& Inflater::operator=(Inflater&&) noexcept = default;

std::expected<std::span<char>, InflateError> Inflater::inflate(std::string_view payload, std::size_t limit) {
  Stream& s = *stream_;
  limit = std::min(limit, std::size_t{1} << 62);
  s.produced = 0;
  if (s.out.size() > kKeptBufferBytes) std::string().swap(s.out);
  if (payload.empty()) return std::span<char>();
  if (context_ == DeflateContext::reset || s.at_end) {
    TIDEWIRE_CHECK((context_ == DeflateContext::reset ? inflateReset(&s.z) : inflateResetKeep(&s.z)) == Z_OK);
    s.at_end = false;
  }
  for (std::string_view rest = payload; !rest.empty();) {
    const std::string_view piece = rest.substr(0, kMaxPieceBytes);
    rest.remove_prefix(piece.size());
    if (const auto error = s.take(piece, limit)) return std::unexpected(*error);
  }
  // A stream that is closed by a final block needs no tail.
  if (!s.at_end) {
    const auto tail = std::string_view(reinterpret_cast<const char*>(kTail), sizeof kTail);
    if (const auto error = s.take(tail, limit)) return std::unexpected(*error);
    // Bit 7: between blocks. Anywhere else the tail was taken for data.
    if ((s.z.data_type & 128) == 0) return std::unexpected(InflateError::bad_data);
  }
  return std::span<char>(s.out.data(), s.produced);
}

void Inflater::release_output() { std::string().swap(stream_->out); }

struct Deflater::Stream {
  z_stream z{};

  Stream(int window_bits, int level) {
    // Small hash tables: clearing them for each message costs more than they gain on messages of a few KiB.
    constexpr int kMemoryLevel = 6;
    TIDEWIRE_CHECK(deflateInit2(&z, level, Z_DEFLATED, -window_bits, kMemoryLevel, Z_DEFAULT_STRATEGY) ==
                   Z_OK);
  }
  ~Stream() { deflateEnd(&z); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

Deflater::Deflater(DeflateContext context, int window_bits, int level)
    : stream_(std::make_unique<Stream>(window_bits, level)), context_(context) {}
Deflater::~Deflater() = default;
Deflater::Deflater(Deflater&&) noexcept = default;
Deflater& Deflater::operator=(Deflater&&) noexcept = default;

bool Deflater::deflate(std::string_view message, std::string& out) {
  z_stream& z = stream_->z;
  out.clear();
  // zlib flushes nothing when nothing is new; the RFC's form of an empty message is one byte.
  if (message.empty()) {
    out.push_back('\0');
    return true;
  }
  if (context_ == DeflateContext::reset && deflateReset(&z) != Z_OK) return false;
  // deflateBound() knows nothing of flushes; they cost 5 bytes and up to a byte of padding.
  resize_raw(out, deflateBound(&z, static_cast<uLong>(message.size())) + 16);
  std::size_t produced = 0;
  do {
    const std::string_view piece = message.substr(0, kMaxPieceBytes);
    message.remove_prefix(piece.size());
    z.next_in = bytes(piece);
    z.avail_in = static_cast<uInt>(piece.size());
    do {
      if (produced == out.size()) resize_raw(out, 2 * produced);
      const std::size_t room = std::min(out.size() - produced, kMaxPieceBytes);
      z.next_out = reinterpret_cast<Bytef*>(out.data() + produced);
      z.avail_out = static_cast<uInt>(room);
      const int result = ::deflate(&z, message.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
      if (result != Z_OK && result != Z_BUF_ERROR) return false;
      produced += room - z.avail_out;
    } while (z.avail_out == 0);
  } while (!message.empty());
  TIDEWIRE_CHECK(produced > sizeof kTail);
  out.resize(produced - sizeof kTail);
  return true;
}

}  // namespace tidewire::wire
