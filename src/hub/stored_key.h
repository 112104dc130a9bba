// A channel's full name as those keep it who are many: in 24 bytes, names of up to 16 characters included
// (a ChannelKey takes 40).
//
// It never changes. Owned by the object that it names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hub/types.h"

namespace tidewire::hub {

class StoredKey {
 public:
  explicit StoredKey(const ChannelKey& key)
      : tenant_(key.tenant), size_(static_cast<std::uint32_t>(key.name.size())) {
    if (!is_near()) place_.far = new char[size_];
    key.name.copy(is_near() ? place_.near : place_.far, size_);
  }
  StoredKey(const StoredKey&) = delete;
  StoredKey& operator=(const StoredKey&) = delete;
  ~StoredKey() {
    if (!is_near()) delete[] place_.far;
  }

  TenantId tenant() const { return tenant_; }
  std::string_view name() const { return {is_near() ? place_.near : place_.far, size_}; }
  operator ChannelKey() const { return {tenant_, std::string(name())}; }
  friend bool operator==(const StoredKey& a, const ChannelKey& b) {
    return a.tenant_ == b.tenant && a.name() == b.name;
  }

 private:
  static constexpr std::uint32_t kNear = 16;
  bool is_near() const { return size_ <= kNear; }

  TenantId tenant_;
  std::uint32_t size_;
  union Place {
    char near[kNear];
    char* far;
  } place_;
};
static_assert(sizeof(StoredKey) == 24);

}  // namespace tidewire::hub
