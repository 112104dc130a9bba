// A slab: objects at stable addresses, named by generational handles instead of pointers.
//
// Invariant: a handle resolves only to the object it was made for; after erase, and after the slot is
// used again, get() answers null. Owned by one thread. Objects live in chunks that never move.
#pragma once

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
    for (std::uint32_t i = 0; i < used_; ++i)
      if (slot(i).alive) slot(i).value()->~T();
  }

  // The object is built with its own handle's slot already reserved; `handle_of_next()` foretells it.
  template <class... Args>
  Handle emplace(Args&&... args) {
    const std::uint32_t index = reserve();
    Slot& s = slot(index);
    new (s.storage) T(std::forward<Args>(args)...);
    s.alive = true;
    ++size_;
    return {index, s.generation};
  }

  // The handle that the next emplace() will return.
  Handle handle_of_next() {
    const std::uint32_t index = reserve();
    free_.push_back(index);
    return {index, slot(index).generation};
  }

  // Of one that is there, by its handle's index.
  const T& at(std::uint32_t index) const { return *const_cast<Slab*>(this)->slot(index).value(); }

  T* get(Handle handle) {
    if (handle.generation == 0 || handle.index >= used_) return nullptr;
    Slot& s = slot(handle.index);
    return s.alive && s.generation == handle.generation ? s.value() : nullptr;
  }

  const T* get(Handle handle) const { return const_cast<Slab*>(this)->get(handle); }

  void erase(Handle handle) {
    T* object = get(handle);
    TIDEWIRE_CHECK(object != nullptr);
    Slot& s = slot(handle.index);
    s.alive = false;
    object->~T();
    if (++s.generation == 0) s.generation = 1;
    free_.push_back(handle.index);
    --size_;
  }

  std::size_t size() const { return size_; }

  // For sweeps in slices: slots are numbered from 0 to slots() - 1, and the handle of an empty one is null.
  std::uint32_t slots() const { return used_; }
  Handle handle_at(std::uint32_t index) const {
    const Slot& s = chunks_[index / kChunk][index % kChunk];
    return s.alive ? Handle{index, s.generation} : Handle{};
  }

  // Calls f(Handle, T&) for every object; f must not add or erase objects.
  template <class F>
  void for_each(F&& f) {
    for (std::uint32_t i = 0; i < used_; ++i)
      if (slot(i).alive) f(Handle{i, slot(i).generation}, *slot(i).value());
  }

 private:
  static constexpr std::uint32_t kChunk = 256;
  struct Slot {
    alignas(T) std::byte storage[sizeof(T)];
    std::uint32_t generation = 1;
    bool alive = false;
    T* value() { return std::launder(reinterpret_cast<T*>(storage)); }
  };

  Slot& slot(std::uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }

  std::uint32_t reserve() {
    if (!free_.empty()) {
      const std::uint32_t index = free_.back();
      free_.pop_back();
      return index;
    }
    if (used_ % kChunk == 0) chunks_.push_back(std::make_unique<Slot[]>(kChunk));
    return used_++;
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tidewire
