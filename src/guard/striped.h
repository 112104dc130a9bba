// A table cut into stripes, each with a lock and a cache line of its own, for state that shards share.
//
// Invariant: a stripe's table is touched only under its lock; two locks are taken in the order of
// their indices, so there is no deadlock. Any thread may call.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

#include "guard/limit_key.h"

namespace tidewire::guard {

template <class Table>
class Striped {
 public:
  static constexpr std::size_t kStripes = 64;

  explicit Striped(std::size_t max_entries)
      : Striped(max_entries / kStripes + 1, std::make_index_sequence<kStripes>()) {}

  template <class F>
  decltype(auto) with(const LimitKey& key, F&& f) {
    Stripe& stripe = stripes_[index_of(key)];
    const std::lock_guard lock(stripe.mutex);
    return f(stripe.table);
  }

  // f(table of a, table of b), which may be the same one.
  template <class F>
  decltype(auto) with_both(const LimitKey& a, const LimitKey& b, F&& f) {
    const std::size_t first = index_of(a);
    const std::size_t second = index_of(b);
    if (first == second) {
      return with(a, [&](Table& table) -> decltype(auto) { return f(table, table); });
    }
    const std::lock_guard lower(stripes_[first < second ? first : second].mutex);
    const std::lock_guard upper(stripes_[first < second ? second : first].mutex);
    return f(stripes_[first].table, stripes_[second].table);
  }

  // Without the lock.
  void prefetch(const LimitKey& key) const { stripes_[index_of(key)].table.prefetch(key); }

  // f(table) for the stripe whose turn it is.
  template <class F>
  void with_next(F&& f) {
    Stripe& stripe = stripes_[turn_.fetch_add(1, std::memory_order_relaxed) % kStripes];
    const std::lock_guard lock(stripe.mutex);
    f(stripe.table);
  }

  std::size_t size() {
    std::size_t sum = 0;
    for (Stripe& stripe : stripes_) {
      const std::lock_guard lock(stripe.mutex);
      sum += stripe.table.size();
    }
    return sum;
  }

 private:
  struct alignas(64) Stripe {
    explicit Stripe(std::size_t max_entries) : table(max_entries) {}
    std::mutex mutex;
    Table table;
  };

  template <std::size_t... I>
  Striped(std::size_t each, std::index_sequence<I...>) : stripes_{((void)I, Stripe(each))...} {}

  // The low half of a key finds the slot within the table; this takes the other.
  static std::size_t index_of(const LimitKey& key) { return key.high >> 58; }
  static_assert(kStripes == 64);

  std::array<Stripe, kStripes> stripes_;
  std::atomic<std::size_t> turn_{0};
};

}  // namespace tidewire::guard
