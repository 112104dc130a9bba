// Which idempotency keys a channel has answered lately or is about to, and with which seq (protocol §4
// `key`).
//
// What was answered is bounded by time and by count: at the bound the oldest key is forgotten first. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/ring.h"

namespace tidewire::hub {

class IdempotencyWindow {
 public:
  static constexpr std::size_t kKeysMax = 100'000;

  // The seq that this key was answered with. Names come from joined().
  std::optional<std::uint64_t> find(const std::string& name, std::int64_t now_ms) const {
    const auto found = uses_.find(name);
    if (found == uses_.end() || found->second.until_ms <= now_ms) return std::nullopt;
    return found->second.seq;
  }

  // An entry with this key is on its way to the log, until add() or give_up().
  void expect(std::string name, std::uint64_t seq) { under_way_.emplace(std::move(name), seq); }
  void give_up(const std::string& name) { under_way_.erase(name); }
  std::optional<std::uint64_t> expected(const std::string& name) const {
    const auto found = under_way_.find(name);
    return found == under_way_.end() ? std::nullopt : std::optional(found->second);
  }

  // Called with a seq that is above all before; `until_ms` never falls.
  void add(std::string name, std::uint64_t seq, std::int64_t until_ms) {
    under_way_.erase(name);
    uses_.insert_or_assign(name, Use{seq, until_ms});
    order_.push_back({std::move(name), seq});
    if (order_.size() > kKeysMax) forget_oldest();
  }

  void expire(std::int64_t now_ms) {
    while (!order_.empty()) {
      const auto found = uses_.find(order_.front().name);
      if (found != uses_.end() && found->second.seq == order_.front().seq && found->second.until_ms > now_ms)
        return;
      forget_oldest();
    }
  }

  bool empty() const { return uses_.empty() && under_way_.empty(); }

  // A scope holds no zero byte, so two pairs never join to the same name.
  static std::string joined(std::string_view scope, std::string_view key) {
    std::string name(scope);
    name += '\0';
    name += key;
    return name;
  }

 private:
  struct Use {
    std::uint64_t seq;
    std::int64_t until_ms;
  };
  struct Order {
    std::string name;
    std::uint64_t seq = 0;
  };

  void forget_oldest() {
    const auto found = uses_.find(order_.front().name);
    if (found != uses_.end() && found->second.seq == order_.front().seq) uses_.erase(found);
    order_.pop_front();
  }

  std::unordered_map<std::string, Use> uses_;
  std::unordered_map<std::string, std::uint64_t> under_way_;
  Ring<Order> order_;
};

}  // namespace tidewire::hub
