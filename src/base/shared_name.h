// A name in sixteen bytes: up to fifteen characters in place, a longer one in memory that its copies share.
// For names that are kept in several places at once: with what they name, and with those who speak of it.
//
// Immutable. Any thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "base/shared_bytes.h"

namespace tidewire {

class SharedName {
 public:
  SharedName() = default;
  SharedName(std::string_view text) {
    if (text.size() <= kNear) {
      text.copy(place_, text.size());
      size_ = static_cast<std::uint8_t>(text.size());
    } else {
      new (place_) SharedBytes(text);
      size_ = kFar;
    }
  }
  SharedName(const std::string& text) : SharedName(std::string_view(text)) {}
  SharedName(const char* text) : SharedName(std::string_view(text)) {}
  SharedName(const SharedName& other) : size_(other.size_) {
    if (is_far())
      new (place_) SharedBytes(other.far());
    else
      std::memcpy(place_, other.place_, kNear);
  }
  SharedName(SharedName&& other) noexcept : size_(std::exchange(other.size_, 0)) {
    if (is_far())
      new (place_) SharedBytes(std::move(other.far()));
    else
      std::memcpy(place_, other.place_, kNear);
  }
  SharedName& operator=(SharedName other) noexcept {
    std::destroy_at(this);
    return *new (this) SharedName(std::move(other));
  }
  ~SharedName() {
    if (is_far()) far().~SharedBytes();
  }

  std::string_view view() const { return is_far() ? far().view() : std::string_view(place_, size_); }
  operator std::string_view() const { return view(); }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return view().size(); }
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const SharedName& a, const Text& b) {
    return a.view() == std::string_view(b);
  }

 private:
  static constexpr std::size_t kNear = 15;
  static constexpr std::uint8_t kFar = 0xff;

  bool is_far() const { return size_ == kFar; }
  SharedBytes& far() { return *std::launder(reinterpret_cast<SharedBytes*>(place_)); }
  const SharedBytes& far() const { return const_cast<SharedName*>(this)->far(); }

  alignas(SharedBytes) char place_[kNear] = {};  // the characters, or a SharedBytes
  std::uint8_t size_ = 0;                        // of what is in place, or kFar
};
static_assert(sizeof(SharedName) == 16);

}  // namespace tidewire
