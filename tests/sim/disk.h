// A shard's part of the disk, which outlives the server: what was committed stays. Of the operations that
// are under way when the server ends all are carried out, or the first few of them, or none.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "log/memory/memory_log.h"

namespace tidewire::sim {

class Disk {
 public:
  Disk() : log_([this](log::Outcome&& outcome) { outcomes_.push_back(std::move(outcome)); }) {}

  void carry_out(log::Operation&& operation, std::int64_t now_ms) {
    if (const auto* open = std::get_if<log::Open>(&operation)) opened_[open->name] = *open;
    std::vector<log::Operation> one;
    one.push_back(std::move(operation));
    log_.submit(0, std::move(one), now_ms);
  }
  void fail(log::Failed&& failed) { outcomes_.push_back(std::move(failed)); }
  std::vector<log::Outcome> take_outcomes() { return std::exchange(outcomes_, {}); }

  // All that is there, channel by channel; nothing may be open.
  std::vector<std::pair<std::string, log::Opened>> contents(std::int64_t now_ms) {
    std::vector<std::pair<std::string, log::Opened>> all;
    for (const auto& [name, opened] : std::map(opened_)) {
      log::Open open = opened;
      open.channel = kReader;
      open.tail_messages = open.tail_bytes = ~std::size_t{0};
      carry_out(std::move(open), now_ms);
      all.emplace_back(name, std::get<log::Opened>(std::move(outcomes_.back())));
      outcomes_.clear();
      carry_out(log::Close{.channel = kReader}, now_ms);
    }
    return all;
  }

 private:
  static constexpr Handle kReader{0xfffffff0, 1};
  std::vector<log::Outcome> outcomes_;
  log::MemoryLog log_;
  std::map<std::string, log::Open> opened_;
};

}  // namespace tidewire::sim
