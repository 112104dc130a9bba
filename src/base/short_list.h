// A list of plain values that most often has one element or none, and then needs no memory of its own.
//
// Elements are dense and move when it grows; falling back to one gives the memory back. Owned by one
// thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace tidewire {

template <class T>
class ShortList {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  ShortList() = default;
  ShortList(ShortList&& other) noexcept { swap(other); }
  ShortList& operator=(ShortList&& other) noexcept {
    ShortList(std::move(other)).swap(*this);
    return *this;
  }
  ~ShortList() {
    if (capacity_ > 1) release(place_.many, capacity_);
  }

  T* begin() { return capacity_ > 1 ? place_.many : &place_.one; }
  T* end() { return begin() + size_; }
  const T* begin() const { return capacity_ > 1 ? place_.many : &place_.one; }
  const T* end() const { return begin() + size_; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return begin()[i]; }
  const T& operator[](std::size_t i) const { return begin()[i]; }
  T& back() { return begin()[size_ - 1]; }

  T& push_back(T value) {
    if (size_ == capacity_) move_to(capacity_ * 2);
    begin()[size_++] = value;
    return back();
  }
  void pop_back() {
    TIDEWIRE_CHECK(size_ > 0);
    --size_;
    // Not at every step, so that one who comes and goes does not cost an allocation each time.
    if (capacity_ > 1 && size_ * 4 <= capacity_) move_to(capacity_ / 2);
  }

 private:
  // What is free is not touched: in a long list the system gives no memory for it.
  static T* allocate(std::uint32_t capacity) { return std::allocator<T>().allocate(capacity); }
  static void release(T* many, std::uint32_t capacity) { std::allocator<T>().deallocate(many, capacity); }

  void move_to(std::uint32_t capacity) {
    T* const old = begin();
    const bool was_many = capacity_ > 1;
    if (capacity > 1) {
      T* const many = allocate(capacity);
      std::uninitialized_copy_n(old, size_, many);
      if (was_many) release(old, capacity_);
      place_.many = many;
    } else {
      const T only = size_ > 0 ? old[0] : T{};
      if (was_many) release(old, capacity_);
      place_.one = only;
    }
    capacity_ = capacity;
  }
  void swap(ShortList& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(place_, other.place_);
  }

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 1;
  union Place {
    T one;  // while the capacity is 1
    T* many;
  } place_{.one = {}};
};

}  // namespace tidewire
