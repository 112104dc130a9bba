#include "hub/access.h"

#include <fmt/format.h>

#include "protocol/channel_name.h"

namespace tidewire::hub {

namespace {

bool passes(Access rule, const Caller& caller, std::string_view channel) {
  switch (rule) {
    case Access::anyone:
      return true;
    case Access::authenticated:
      return caller.identity != nullptr;
    case Access::user:
      return caller.identity != nullptr && channel.substr(channel.find(':') + 1) == caller.identity->user_id;
    case Access::server:
    case Access::owner:
      return false;
  }
  return false;
}

bool granted(const Caller& caller, auth::Action action, std::string_view channel) {
  if (caller.identity == nullptr) return false;
  if (caller.identity->allows(action, channel)) return true;
  // Presence and history need subscribe access, and so come with it.
  const bool reading = action == auth::Action::presence || action == auth::Action::history;
  return reading && caller.identity->allows(auth::Action::subscribe, channel);
}

}  // namespace

Result<const Namespace*> namespace_for(const Namespaces& namespaces, std::string_view channel) {
  if (protocol::is_server_name(channel))
    return fail(ErrorCode::forbidden, "names that begin with $ are the server's own");
  if (!protocol::is_valid_channel(channel))
    return fail(ErrorCode::invalid_channel,
                "a channel is `namespace:rest` of 1 to 255 letters, digits and ._-:@=,;!~+/#");
  const std::string_view name = protocol::namespace_of(channel);
  const Namespace* ns = namespaces.find(name);
  if (ns == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no namespace `{}`", name));
  return ns;
}

Result<Admission> admit(const Namespaces& namespaces, const Caller& caller, auth::Action action,
                        std::string_view channel) {
  const auto found = namespace_for(namespaces, channel);
  if (!found) return std::unexpected(found.error());
  const Namespace* ns = *found;
  const bool publishing = action == auth::Action::publish;
  Admission admission{.ns = ns, .rights = {.server = caller.server}};
  const auto allows = [&](Access rule, auth::Action what) {
    return caller.server || passes(rule, caller, channel) || granted(caller, what, channel);
  };
  admission.rights.subscribe = allows(ns->subscribe, publishing ? auth::Action::subscribe : action);
  admission.rights.publish = allows(ns->publish, auth::Action::publish);

  const Access rule = publishing ? ns->publish : ns->subscribe;
  const bool allowed = publishing ? admission.rights.publish : admission.rights.subscribe;
  if (!allowed && caller.identity == nullptr && (rule == Access::authenticated || rule == Access::owner))
    return fail(ErrorCode::unauthorized);
  if (!allowed && rule != Access::owner)
    return fail(ErrorCode::forbidden, fmt::format("this identity may not do that in `{}`", ns->name));
  if (action == auth::Action::presence && !ns->presence)
    return fail(ErrorCode::forbidden, fmt::format("presence is off in the namespace `{}`", ns->name));
  return admission;
}

}  // namespace tidewire::hub
