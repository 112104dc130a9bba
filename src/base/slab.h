// A slab: objects at stable addresses, named by generational handles instead of pointers.
//
// Invariant: a handle resolves only to the object it was made for; after erase, and after the slot is
// used again, get() answers null. A slot's generation is odd while an object is there, so it is all that
// is kept beside one. Owned by one thread. Objects live in chunks that never move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tidewire {

struct Handle {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no object

  explicit operator bool() const { return generation != 0; }
  friend bool operator==(const Handle&, const Handle&) = default;
  friend auto operator<=>(const Handle&, const Handle&) = default;
  std::uint64_t bits() const { return (std::uint64_t{index} << 32) | generation; }
  static Handle from_bits(std::uint64_t bits) {
    return {static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits)};
  }
};

template <class T>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for_each([](Handle, T& object) { object.~T(); });
  }

  // The object is built with its own handle's slot already reserved; `handle_of_next()` foretells it.
  template <class... Args>
  Handle emplace(Args&&... args) {
    const std::uint32_t index = reserve();
    new (storage(index)) T(std::forward<Args>(args)...);
    ++size_;
    return {index, ++generation(index)};
  }

  // The handle that the next emplace() will return.
  Handle handle_of_next() {
    const std::uint32_t index = reserve();
    free_.push_back(index);
    return {index, generation(index) + 1};
  }

  // Of one that is there, by its handle's index.
  const T& at(std::uint32_t index) const { return *const_cast<Slab*>(this)->value(index); }

  T* get(Handle handle) {
    if (!is_taken(handle.generation) || handle.index >= used_) return nullptr;
    return generation(handle.index) == handle.generation ? value(handle.index) : nullptr;
  }

  const T* get(Handle handle) const { return const_cast<Slab*>(this)->get(handle); }

  void erase(Handle handle) {
    T* object = get(handle);
    TIDEWIRE_CHECK(object != nullptr);
    ++generation(handle.index);
    object->~T();
    free_.push_back(handle.index);
    --size_;
  }

  std::size_t size() const { return size_; }

  // For sweeps in slices: slots are numbered from 0 to slots() - 1, and the handle of an empty one is null.
  std::uint32_t slots() const { return used_; }
  Handle handle_at(std::uint32_t index) const {
    const std::uint32_t generation = chunks_[index / kChunk]->generations[index % kChunk];
    return is_taken(generation) ? Handle{index, generation} : Handle{};
  }

  // Calls f(Handle, T&) for every object; f must not add or erase objects.
  template <class F>
  void for_each(F&& f) {
    for (std::uint32_t i = 0; i < used_; ++i)
      if (const Handle handle = handle_at(i)) f(handle, *value(i));
  }

 private:
  static constexpr std::uint32_t kChunk = 256;
  struct Chunk {
    std::uint32_t generations[kChunk] = {};
    alignas(T) std::byte storage[kChunk][sizeof(T)];
  };

  static bool is_taken(std::uint32_t generation) { return generation % 2 == 1; }
  std::uint32_t& generation(std::uint32_t index) {
    return chunks_[index / kChunk]->generations[index % kChunk];
  }
  std::byte* storage(std::uint32_t index) { return chunks_[index / kChunk]->storage[index % kChunk]; }
  T* value(std::uint32_t index) { return std::launder(reinterpret_cast<T*>(storage(index))); }

  std::uint32_t reserve() {
    if (!free_.empty()) {
      const std::uint32_t index = free_.back();
      free_.pop_back();
      return index;
    }
    if (used_ % kChunk == 0) chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
    return used_++;
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tidewire
