#include "hub/access.h"

#include <fmt/format.h>

#include "protocol/channel_name.h"

namespace tidewire::hub {

namespace {

Access rule_for(const Namespace& ns, auth::Action action) {
  return action == auth::Action::publish ? ns.publish : ns.subscribe;
}

bool granted(const Caller& caller, auth::Action action, std::string_view channel) {
  if (caller.identity == nullptr) return false;
  if (caller.identity->allows(action, channel)) return true;
  // Presence and history need subscribe access, and so come with it.
  const bool reading = action == auth::Action::presence || action == auth::Action::history;
  return reading && caller.identity->allows(auth::Action::subscribe, channel);
}

}  // namespace

Result<const Namespace*> admit(const Namespaces& namespaces, const Caller& caller, auth::Action action,
                               std::string_view channel) {
  if (protocol::is_server_name(channel))
    return fail(ErrorCode::forbidden, "names that begin with $ are the server's own");
  if (!protocol::is_valid_channel(channel))
    return fail(ErrorCode::invalid_channel,
                "a channel is `namespace:rest` of 1 to 255 letters, digits and ._-:@=,;!~+/#");
  const std::string_view name = protocol::namespace_of(channel);
  const Namespace* ns = namespaces.find(name);
  if (ns == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no namespace `{}`", name));

  const Access rule = rule_for(*ns, action);
  const bool allowed = caller.server || rule == Access::anyone ||
                       (rule == Access::authenticated && caller.identity != nullptr) ||
                       granted(caller, action, channel);
  if (!allowed) {
    if (caller.identity == nullptr && rule == Access::authenticated) return fail(ErrorCode::unauthorized);
    return fail(ErrorCode::forbidden, fmt::format("this identity may not do that in `{}`", name));
  }
  if (action == auth::Action::presence && !ns->presence)
    return fail(ErrorCode::forbidden, fmt::format("presence is off in the namespace `{}`", name));
  return ns;
}

}  // namespace tidewire::hub
