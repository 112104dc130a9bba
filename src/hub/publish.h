// From a publish request to the command for the channel's home: one set of rules for both doors, the
// WebSocket and the HTTP API. Pure.
#pragma once

#include <memory>

#include "auth/identity.h"
#include "base/error.h"
#include "guard/content_rules.h"
#include "guard/shared_overload.h"
#include "hub/access.h"
#include "hub/messages.h"
#include "hub/types.h"

namespace tidewire::hub {

// What the kind refuses of the request's shape (invalid_event) stands in the command, to be told in its
// turn. `author` is who publishes, never null.
PublishCommand prepare_publish(TenantId tenant, const Admission& admission,
                               std::shared_ptr<const Author> author, protocol::PublishRequest&& request);

// `PublishCommand::tail` of an event that the server writes itself; `from_json` and `flags_json` may be
// empty.
std::string event_tail(std::string_view event, std::string_view from_json, std::string_view data,
                       std::string_view flags_json = {});

// What the namespace's content policy finds in what a client wrote: JSON, or none.
guard::ContentFlags judged(const Namespace& ns, std::string_view json);
Error content_rejected(guard::ContentRule rule);

// The author as others see it; `identity` may be null, `connection` 0.
std::shared_ptr<const Author> make_author(const auth::Identity* identity, std::uint64_t connection);

// The author of what the server does by itself; and of what comes with an API key, `key` naming which.
std::shared_ptr<const Author> server_author();
std::shared_ptr<const Author> server_author(std::string_view key);

// Whether a publish may go on while the server is overloaded (requirement P7): a share of them, and
// always what is critical. One that may not is counted.
bool passes_overload(guard::SharedOverload& overload, guard::ShareGate& gate, Priority priority);
Error overload_error();  // `unavailable`, with when to come back

}  // namespace tidewire::hub
