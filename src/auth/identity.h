// Who a verified token says somebody is (protocol §1 "user", §2, §7 "Grants").
//
// Immutable once made; shared as IdentityPtr between a shard's sessions and its cache.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/grants.h"
#include "auth/user_id.h"
#include "base/counted.h"
#include "base/shared_text.h"

namespace tidewire::auth {

// A moment that a token may name or not, as an optional of half the size.
class MaybeTime {
 public:
  constexpr MaybeTime() = default;
  constexpr MaybeTime(std::int64_t unix_ms) : unix_ms_(unix_ms) {}
  constexpr MaybeTime(std::optional<std::int64_t> unix_ms) : unix_ms_(unix_ms.value_or(kNone)) {}
  constexpr explicit operator bool() const { return unix_ms_ != kNone; }
  constexpr std::int64_t operator*() const { return unix_ms_; }
  friend constexpr bool operator==(MaybeTime, MaybeTime) = default;

 private:
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();
  std::int64_t unix_ms_ = kNone;
};

// A token's grants; most have none, and those take a pointer.
class GrantList {
 public:
  GrantList() = default;
  GrantList(std::vector<Grant> grants)
      : grants_(grants.empty() ? nullptr : std::make_unique<const std::vector<Grant>>(std::move(grants))) {}
  GrantList(std::initializer_list<Grant> grants) : GrantList(std::vector<Grant>(grants)) {}
  GrantList(const GrantList& other) : GrantList(std::vector<Grant>(other.begin(), other.end())) {}
  GrantList(GrantList&&) noexcept = default;
  GrantList& operator=(GrantList other) noexcept {
    grants_ = std::move(other.grants_);
    return *this;
  }
  std::span<const Grant> all() const {
    return grants_ ? std::span<const Grant>(*grants_) : std::span<const Grant>();
  }
  const Grant* begin() const { return all().data(); }
  const Grant* end() const { return all().data() + all().size(); }
  std::size_t size() const { return grants_ ? grants_->size() : 0; }
  bool empty() const { return size() == 0; }

 private:
  std::unique_ptr<const std::vector<Grant>> grants_;  // null: none
};

struct Identity {
  UserId user_id = {};        // the string form: identity is this, `1` and `"1"` are one user
  bool id_is_number = false;  // how the token spelled it, kept on the wire
  ReferenceCount references = {};
  SharedText type = default_type();
  SharedText name = {};  // empty: none, or not configured
  MaybeTime expires_at_ms = {};
  MaybeTime issued_at_ms = {};
  GrantList grants = {};
  SharedText tenant = {};

  bool allows(Action action, std::string_view channel) const {
    return auth::allows(grants.all(), action, channel);
  }

  static const SharedText& default_type() {
    static const SharedText user("user");
    return user;
  }
};

using IdentityPtr = CountedPtr<Identity>;

// 1 to 200 bytes of the characters that a channel name may hold.
bool valid_user_id(std::string_view id);

// Appends `{"id":1,"type":"creator","name":"Ada"}`, `name` only where there is one.
void append_user_json(std::string& out, const Identity& identity);

// Appends the id alone, as the token spelled it: `1` or `"1"`.
void append_user_id_json(std::string& out, const Identity& identity);

}  // namespace tidewire::auth
