#include "gateway/resume_token.h"

#include <xxhash.h>

#include "auth/base64url.h"
#include "base/check.h"

namespace tidewire::gateway {

namespace {

constexpr char kVersion = 1;
constexpr std::size_t kKeyBytes = 6;
constexpr std::size_t kEpochBytesMax = 32;
constexpr std::uint64_t kSeqEnd = std::uint64_t{1} << 53;
// No token that we wrote is longer.
constexpr std::size_t kTokenBytesMax = 1 + kResumePositionsMax * (kKeyBytes + 8 + 1 + kEpochBytesMax);

// Seven bits a byte, the lowest first; all but the last have the top bit set.
void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

// nullopt unless it is the one spelling of a seq.
std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 56 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) != 0) continue;
    if ((byte == 0 && shift > 0) || value >= kSeqEnd) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t resume_key(std::string_view channel) {
  return XXH3_64bits(channel.data(), channel.size()) >> (64 - 8 * kKeyBytes);
}

std::string write_resume_token(std::span<const ResumePosition> positions) {
  TIDEWIRE_CHECK(positions.size() <= kResumePositionsMax);
  std::string bytes(1, kVersion);
  for (const auto& [channel, position] : positions) {
    TIDEWIRE_CHECK(position.epoch.size() <= kEpochBytesMax && position.seq < kSeqEnd);
    for (std::size_t i = 0; i < kKeyBytes; ++i) bytes += static_cast<char>(channel >> (8 * i));
    append_varint(bytes, position.seq);
    bytes += static_cast<char>(position.epoch.size());
    bytes += position.epoch;
  }
  return auth::base64url_encode(bytes);
}

std::optional<std::vector<ResumePosition>> read_resume_token(std::string_view token) {
  if (token.size() > (kTokenBytesMax * 4 + 2) / 3) return std::nullopt;
  const auto decoded = auth::base64url_decode(token);
  if (!decoded || !decoded->starts_with(kVersion)) return std::nullopt;
  std::string_view bytes = std::string_view(*decoded).substr(1);
  std::vector<ResumePosition> positions;
  while (!bytes.empty()) {
    if (positions.size() == kResumePositionsMax || bytes.size() < kKeyBytes) return std::nullopt;
    ResumePosition& next = positions.emplace_back();
    for (std::size_t i = 0; i < kKeyBytes; ++i)
      next.channel |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    bytes.remove_prefix(kKeyBytes);
    const auto seq = take_varint(bytes);
    if (!seq || bytes.empty()) return std::nullopt;
    next.position.seq = *seq;
    const auto epoch_bytes = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (epoch_bytes > kEpochBytesMax || epoch_bytes > bytes.size()) return std::nullopt;
    next.position.epoch = bytes.substr(0, epoch_bytes);
    bytes.remove_prefix(epoch_bytes);
  }
  return positions;
}

}  // namespace tidewire::gateway
