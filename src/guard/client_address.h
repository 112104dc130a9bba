// Whose address a request counts for when proxies stand between (protocol §2). Pure.
#pragma once

#include <span>
#include <string_view>

#include "base/ip_address.h"

namespace tidewire::guard {

bool is_trusted(const IpAddress& peer, std::span<const IpPrefix> trusted);

// The right-most address in X-Forwarded-For that `trusted` (server.trusted_proxies) does not list.
// `forwarded_for` are the values of that header's lines, in the order in which they came. Only what a
// trusted proxy wrote is believed: with a peer that is not trusted the header says nothing, and an
// entry that is no address ends the walk at the proxy that wrote it. If all are trusted it is the
// left-most.
IpAddress client_address(const IpAddress& peer, std::span<const std::string_view> forwarded_for,
                         std::span<const IpPrefix> trusted);

}  // namespace tidewire::guard
