// Immutable bytes with a reference count: a frame that many connections send without copying it.
//
// The count is atomic, since a buffer crosses shards; references are taken only where bytes must
// outlive the turn (a socket that is full), so a delivery that fits the socket costs no atomic. At most
// 4 GiB - 1.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace tidewire {

class SharedBytes {
 public:
  SharedBytes() = default;
  explicit SharedBytes(std::string_view bytes) : SharedBytes(bytes, {}) {}
  // The two parts in a row: a frame header and its payload, say.
  SharedBytes(std::string_view first, std::string_view second) {
    const std::size_t size = first.size() + second.size();
    TIDEWIRE_CHECK(size <= std::numeric_limits<std::uint32_t>::max());
    block_ = new (::operator new(sizeof(Block) + size)) Block{{1}, static_cast<std::uint32_t>(size)};
    if (!first.empty()) std::memcpy(data_of(block_), first.data(), first.size());
    if (!second.empty()) std::memcpy(data_of(block_) + first.size(), second.data(), second.size());
  }
  SharedBytes(const SharedBytes& other) : block_(other.block_) {
    if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() {
    if (block_ && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      block_->~Block();
      ::operator delete(block_);
    }
  }

  std::string_view view() const {
    return block_ ? std::string_view(data_of(block_), block_->size) : std::string_view();
  }
  std::size_t size() const { return block_ ? block_->size : 0; }
  explicit operator bool() const { return block_ != nullptr; }
  friend bool operator==(const SharedBytes& a, const SharedBytes& b) { return a.view() == b.view(); }

 private:
  struct Block {
    std::atomic<std::uint32_t> references;
    std::uint32_t size;
  };
  static char* data_of(Block* block) { return reinterpret_cast<char*>(block + 1); }
  Block* block_ = nullptr;
};

}  // namespace tidewire
