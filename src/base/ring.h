// A double-ended queue in one block of memory that allocates nothing while it is empty.
//
// std::deque takes over half a kilobyte before its first element, which a million idle channels
// cannot afford. Elements move when the ring grows. Owned by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/check.h"

namespace tidewire {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return slots_[(first_ + i) & (capacity_ - 1)]; }
  const T& operator[](std::size_t i) const { return slots_[(first_ + i) & (capacity_ - 1)]; }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  T& push_back(T value) {
    if (size_ == capacity_) resize(capacity_ == 0 ? 4 : capacity_ * 2);
    ++size_;
    return back() = std::move(value);
  }
  void pop_front() {
    TIDEWIRE_CHECK(size_ > 0);
    slots_[first_] = T{};
    first_ = (first_ + 1) & (capacity_ - 1);
    if (--size_ == 0) clear();
  }
  // Gives the memory back.
  void clear() {
    slots_.reset();
    first_ = size_ = capacity_ = 0;
  }

 private:
  void resize(std::uint32_t capacity) {
    auto slots = std::make_unique<T[]>(capacity);
    for (std::size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
    slots_ = std::move(slots);
    first_ = 0;
    capacity_ = capacity;
  }

  std::unique_ptr<T[]> slots_;
  std::uint32_t first_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;  // a power of two
};

}  // namespace tidewire
