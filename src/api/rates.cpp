#include "api/rates.h"

namespace tidewire::api {

void Rates::sample(const hub::ShardCounts& counts, std::int64_t now_us) {
  if (now_us - last_.at_us < kSpacing_us) return;
  before_ = last_;
  last_ = {.at_us = now_us,
           .messages_in = counts.messages_in,
           .messages_out = counts.messages_out,
           .bytes_in = counts.bytes_in,
           .bytes_out = counts.bytes_out};
}

Rates::PerSecond Rates::per_second(const hub::ShardCounts& counts, std::int64_t now_us) const {
  if (now_us <= before_.at_us) return {};
  const double seconds = static_cast<double>(now_us - before_.at_us) / 1e6;
  const auto rate = [&](std::uint64_t now, std::uint64_t before) {
    return now < before ? 0.0 : static_cast<double>(now - before) / seconds;
  };
  return {.messages_in = rate(counts.messages_in, before_.messages_in),
          .messages_out = rate(counts.messages_out, before_.messages_out),
          .bytes_in = rate(counts.bytes_in, before_.bytes_in),
          .bytes_out = rate(counts.bytes_out, before_.bytes_out)};
}

}  // namespace tidewire::api
