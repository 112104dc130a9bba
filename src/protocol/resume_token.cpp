#include "protocol/resume_token.h"

#include <xxhash.h>

#include <algorithm>

#include "base/base64url.h"
#include "base/check.h"
#include "base/json_text.h"

namespace tidewire::protocol {

namespace {

constexpr char kVersion = '1';
constexpr std::size_t kKeyBytes = 6;
constexpr std::size_t kSeqBytes = 7;
constexpr std::size_t kHeadBytes = kKeyBytes + kSeqBytes + 1;  // with the epoch's length
constexpr std::size_t kEpochBytesMax = 32;
constexpr std::uint64_t kSeqMax{kJsonIntegerMax};

constexpr std::size_t padded(std::size_t bytes) { return (bytes + 2) / 3 * 3; }
constexpr std::size_t characters(std::size_t bytes) { return bytes / 3 * 4; }

// No token that we wrote is longer.
constexpr std::size_t kTokenSizeMax =
    1 + kResumePositionsMax * characters(padded(kHeadBytes + kEpochBytesMax));

// What changes with the seq, in whole groups of 3 bytes: the seq, the length and the epoch's first byte.
constexpr std::size_t kMovingBytes = 9;
static_assert(kKeyBytes % 3 == 0 && kSeqBytes + 2 == kMovingBytes);

void append_number(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

std::uint64_t take_number(std::string_view& bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i)
    value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  bytes.remove_prefix(count);
  return value;
}

std::string moving_part(std::uint64_t seq, std::string_view epoch) {
  std::string bytes;
  append_number(bytes, seq, kSeqBytes);
  bytes += static_cast<char>(epoch.size());
  bytes += epoch.empty() ? '\0' : epoch.front();
  return bytes;
}

std::string text_of(std::uint64_t channel, std::uint64_t seq, std::string_view epoch) {
  std::string bytes;
  append_number(bytes, channel, kKeyBytes);
  bytes += moving_part(seq, epoch);
  if (!epoch.empty()) bytes += epoch.substr(1);
  bytes.resize(padded(kHeadBytes + epoch.size()));
  return base64url_encode(bytes);
}

}  // namespace

std::uint64_t resume_key(std::string_view channel) {
  return XXH3_64bits(channel.data(), channel.size()) >> (64 - 8 * kKeyBytes);
}

std::optional<std::vector<ResumePosition>> read_resume_token(std::string_view token) {
  if (token.size() > kTokenSizeMax || !token.starts_with(kVersion)) return std::nullopt;
  const auto decoded = base64url_decode(token.substr(1));
  if (!decoded || decoded->empty()) return std::nullopt;
  std::string_view bytes = *decoded;
  std::vector<ResumePosition> positions;
  while (!bytes.empty()) {
    if (positions.size() == kResumePositionsMax || bytes.size() < kHeadBytes) return std::nullopt;
    ResumePosition& next = positions.emplace_back();
    next.channel = take_number(bytes, kKeyBytes);
    next.position.seq = take_number(bytes, kSeqBytes);
    const std::size_t epoch_bytes = take_number(bytes, 1);
    const std::size_t rest_bytes = padded(kHeadBytes + epoch_bytes) - kHeadBytes;
    if (next.position.seq > kSeqMax || epoch_bytes > kEpochBytesMax || bytes.size() < rest_bytes)
      return std::nullopt;
    next.position.epoch = bytes.substr(0, epoch_bytes);
    const std::string_view padding = bytes.substr(epoch_bytes, rest_bytes - epoch_bytes);
    if (padding.find_first_not_of('\0') != std::string_view::npos) return std::nullopt;
    bytes.remove_prefix(rest_bytes);
  }
  return positions;
}

ResumeToken::Place* ResumeToken::find(std::uint64_t channel) {
  const auto found = std::ranges::find(places_, channel, &Place::channel);
  return found == places_.end() ? nullptr : &*found;
}

void ResumeToken::set(std::uint64_t channel, const Position& position) {
  TIDEWIRE_CHECK(position.epoch.size() <= kEpochBytesMax && position.seq <= kSeqMax);
  const std::string text = text_of(channel, position.seq, position.epoch);
  Place* place = find(channel);
  if (place == nullptr) {
    TIDEWIRE_CHECK(places_.size() < kResumePositionsMax);
    if (text_.empty()) text_ = kVersion;
    place = &places_.emplace_back(Place{.channel = channel, .seq = 0, .at = text_.size(), .epoch = {}});
    text_ += text;
  } else {
    const std::size_t old_size = characters(padded(kHeadBytes + place->epoch.size()));
    text_.replace(place->at, old_size, text);
    for (Place& behind : places_)
      if (behind.at > place->at) behind.at += text.size() - old_size;
  }
  place->seq = position.seq;
  place->epoch = position.epoch;
}

void ResumeToken::advance(std::uint64_t channel, std::uint64_t seq) {
  TIDEWIRE_CHECK(seq <= kSeqMax);
  Place* place = find(channel);
  if (place == nullptr || seq <= place->seq) return;
  place->seq = seq;
  text_.replace(place->at + characters(kKeyBytes), characters(kMovingBytes),
                base64url_encode(moving_part(seq, place->epoch)));
}

}  // namespace tidewire::protocol
