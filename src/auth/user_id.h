// A user's id, which identity goes by (protocol §1). It is kept as the end of the name of the user's inbox,
// so that an inbox that is followed costs no second copy of it.
//
// Immutable. Any thread.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "base/shared_name.h"

namespace tidewire::auth {

// Before a user's id in the name of its inbox (protocol §7).
inline constexpr std::string_view kInboxPrefix = "user:";

class UserId {
 public:
  UserId() : UserId(std::string_view()) {}
  UserId(std::string_view id) : inbox_(std::string(kInboxPrefix).append(id)) {}
  UserId(const std::string& id) : UserId(std::string_view(id)) {}
  UserId(const char* id) : UserId(std::string_view(id)) {}

  std::string_view view() const { return inbox_.view().substr(kInboxPrefix.size()); }
  operator std::string_view() const { return view(); }
  std::size_t size() const { return view().size(); }
  const SharedName& inbox() const { return inbox_; }
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const UserId& a, const Text& b) {
    return a.view() == std::string_view(b);
  }

 private:
  SharedName inbox_;
};

}  // namespace tidewire::auth
