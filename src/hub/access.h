// Who may do what in a namespace (protocol §7): its rules, and grants that add to them. Pure.
#pragma once

#include <string_view>

#include "auth/identity.h"
#include "base/error.h"
#include "hub/namespaces.h"

namespace tidewire::hub {

// Who asks: a connection or an HTTP call with a user's token, or the server's API key.
struct Caller {
  const auth::Identity* identity = nullptr;  // null: anonymous
  bool server = false;                       // an API key, which passes every access rule
};

struct Admission {
  const Namespace* ns = nullptr;
  Rights rights;
};

// What stands before any right: the name (invalid_channel, forbidden for `$…`), and that its namespace
// exists (not_found). Never null.
Result<const Namespace*> namespace_for(const Namespaces& namespaces, std::string_view channel);

// Whether this caller may do `action` in a channel, or may if it is the channel's owner, for its home to
// decide. Checks namespace_for(), and then the rules (unauthorized where a token would help, else
// forbidden); in this order, protocol §3.
Result<Admission> admit(const Namespaces& namespaces, const Caller& caller, auth::Action action,
                        std::string_view channel);

}  // namespace tidewire::hub
