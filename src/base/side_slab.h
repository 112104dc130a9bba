// Objects that belong to those of a slab, at the index of their handle: neither a pointer nor an
// allocation for each.
//
// Objects lie in chunks that never move and are kept for the next ones, as a slab's. Owned by one thread.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tidewire {

template <class T>
class SideSlab {
 public:
  SideSlab() = default;
  SideSlab(const SideSlab&) = delete;
  SideSlab& operator=(const SideSlab&) = delete;
  ~SideSlab() {
    for (std::size_t i = 0; i < slots_; ++i)
      if (T* object = (*this)[i]) object->~T();
  }

  // Null: there is none.
  T* operator[](std::size_t index) const {
    if (index >= slots_) return nullptr;
    Chunk& chunk = *chunks_[index / kChunk];
    return chunk.there[index % kChunk] ? chunk.at(index % kChunk) : nullptr;
  }

  // There must be none at the index.
  template <class... Args>
  T& emplace(std::size_t index, Args&&... args) {
    TIDEWIRE_CHECK((*this)[index] == nullptr);
    while (index >= chunks_.size() * kChunk) chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
    slots_ = std::max(slots_, index + 1);
    Chunk& chunk = *chunks_[index / kChunk];
    T* object = new (chunk.storage[index % kChunk]) T(std::forward<Args>(args)...);
    chunk.there.set(index % kChunk);
    return *object;
  }

  // There must be one.
  void erase(std::size_t index) {
    T* object = (*this)[index];
    TIDEWIRE_CHECK(object != nullptr);
    chunks_[index / kChunk]->there.reset(index % kChunk);
    object->~T();
  }

  // For sweeps: one more than the highest index so far.
  std::size_t slots() const { return slots_; }

 private:
  static constexpr std::size_t kChunk = 256;
  struct Chunk {
    std::bitset<kChunk> there;
    alignas(T) std::byte storage[kChunk][sizeof(T)];
    T* at(std::size_t place) { return std::launder(reinterpret_cast<T*>(storage[place])); }
  };

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::size_t slots_ = 0;
};

}  // namespace tidewire
