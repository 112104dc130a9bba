#include "dialect.h"

#include <cstring>

namespace logload {

std::unique_ptr<Dialect> dialect_for(const Options& options, unsigned index) {
  if (options.dialect == "tidewire") return tidewire_dialect(options, index);
  if (options.dialect == "nats") return nats_dialect(options, index);
  if (options.dialect == "redis") return redis_dialect(options, index);
  die("unknown dialect " + options.dialect);
}

Payload::Payload(std::size_t size) : text_(size, ' ') {
  for (std::size_t i = 0; i < size; ++i) text_[i] = static_cast<char>('a' + (i * 7 + i / 26) % 26);
  std::memcpy(text_.data(), kMark.data(), kMark.size());
}

std::string_view Payload::with(std::uint64_t number) {
  for (std::size_t i = kNumberDigits; i-- > 0; number /= 10)
    text_[kMark.size() + i] = static_cast<char>('0' + number % 10);
  return text_;
}

void entries_in(std::string_view text, Events& events) {
  for (auto at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark, at)) {
    at += kMark.size();
    if (text.size() - at < kNumberDigits) return;
    events.entry(number_at(text.substr(at, kNumberDigits)));
    at += kNumberDigits;
  }
}

std::uint64_t number_at(std::string_view text) {
  std::uint64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') break;
    number = number * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return number;
}

std::string_view after(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + key.size());
}

}  // namespace logload
