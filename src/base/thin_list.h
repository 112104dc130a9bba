// A list in the memory of one pointer: its length stands in front of its elements. For objects of which
// there are very many and whose lists are short.
//
// Elements are dense and move when it grows. Owned by one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "base/check.h"

namespace tidewire {

template <class T>
class ThinList {
 public:
  ThinList() = default;
  ThinList(const ThinList&) = delete;
  ThinList& operator=(const ThinList&) = delete;
  ~ThinList() { release(); }

  T* begin() { return block_ ? elements_of(block_) : nullptr; }
  T* end() { return begin() + size(); }
  const T* begin() const { return const_cast<ThinList*>(this)->begin(); }
  const T* end() const { return begin() + size(); }
  std::size_t size() const { return block_ ? block_->size : 0; }
  bool empty() const { return size() == 0; }
  T& operator[](std::size_t i) { return begin()[i]; }
  const T& operator[](std::size_t i) const { return begin()[i]; }
  T& back() { return begin()[size() - 1]; }

  T& emplace_back() {
    if (block_ == nullptr || block_->size == block_->capacity) grow();
    T* const added = new (elements_of(block_) + block_->size) T();
    ++block_->size;
    return *added;
  }
  // The last one gives the memory back.
  void pop_back() {
    TIDEWIRE_CHECK(!empty());
    std::destroy_at(&back());
    if (--block_->size == 0) release();
  }

 private:
  struct Block {
    std::uint32_t size;
    std::uint32_t capacity;
  };
  static_assert(alignof(T) <= sizeof(Block));

  static T* elements_of(Block* block) { return reinterpret_cast<T*>(block + 1); }

  void grow() {
    const std::uint32_t capacity = block_ ? block_->capacity * 2 : 1;
    Block* const larger = new (::operator new(sizeof(Block) + capacity * sizeof(T)))
        Block{.size = static_cast<std::uint32_t>(size()), .capacity = capacity};
    std::uninitialized_move(begin(), end(), elements_of(larger));
    release();
    block_ = larger;
  }
  void release() {
    std::destroy(begin(), end());
    ::operator delete(std::exchange(block_, nullptr));
  }

  Block* block_ = nullptr;  // null: there are none
};

}  // namespace tidewire
