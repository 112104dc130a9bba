#include "guard/client_address.h"

#include <algorithm>

namespace tidewire::guard {

namespace {
std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}
}  // namespace

bool is_trusted(const IpAddress& peer, std::span<const IpPrefix> trusted) {
  return std::ranges::any_of(trusted, [&](const IpPrefix& prefix) { return prefix.contains(peer); });
}

IpAddress client_address(const IpAddress& peer, std::span<const std::string_view> forwarded_for,
                         std::span<const IpPrefix> trusted) {
  IpAddress client = peer;
  if (!is_trusted(client, trusted)) return client;
  for (std::size_t i = forwarded_for.size(); i-- > 0;) {
    std::string_view rest = forwarded_for[i];
    while (!rest.empty()) {
      const std::size_t comma = rest.rfind(',');
      const std::size_t start = comma == std::string_view::npos ? 0 : comma + 1;
      const std::string_view entry = without_blanks(rest.substr(start));
      rest = rest.substr(0, start == 0 ? 0 : comma);
      if (entry.empty()) continue;  // RFC 9110 §5.6.1.2: empty list elements count for nothing
      const std::optional<IpAddress> address = IpAddress::parse_with_port(entry);
      if (!address) return client;
      client = *address;
      if (!is_trusted(client, trusted)) return client;
    }
  }
  return client;
}

}  // namespace tidewire::guard
