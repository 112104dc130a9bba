// X-Forwarded-For is written by anybody. Lines are split at '\n', so that the fuzzer makes several.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "guard/client_address.h"

using tidewire::IpAddress;
using tidewire::IpPrefix;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> lines;
  for (std::size_t start = 0; start <= input.size();) {
    const std::size_t end = std::min(input.find('\n', start), input.size());
    lines.push_back(input.substr(start, end - start));
    start = end + 1;
  }
  const std::vector<IpPrefix> trusted = {*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("fd00::/8")};
  const IpAddress proxy = *IpAddress::parse("10.0.0.1");
  const IpAddress stranger = *IpAddress::parse("9.9.9.9");

  const IpAddress client = tidewire::guard::client_address(proxy, lines, trusted);
  TIDEWIRE_CHECK(tidewire::guard::client_address(stranger, lines, trusted) == stranger);
  TIDEWIRE_CHECK(IpAddress::parse(client.text()) == client);
  // What a client puts in front of what the proxies add cannot change the result.
  if (!trusted[0].contains(client) && !trusted[1].contains(client)) {
    std::vector<std::string_view> forged = {"6.6.6.6, garbage, 10.0.0.9"};
    forged.insert(forged.end(), lines.begin(), lines.end());
    TIDEWIRE_CHECK(tidewire::guard::client_address(proxy, forged, trusted) == client);
  }
  if (const auto prefix = IpPrefix::parse(input)) {
    TIDEWIRE_CHECK(IpPrefix::parse(prefix->text()) == prefix);
  }
  return 0;
}
