// Upgrade requests and extension offers of any content. What is accepted must hold what the handshake
// promises. Input: 1 byte of mode, then lines `name:value`.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "wire/handshake.h"
#include "wire/permessage_deflate.h"
#include "wire/url.h"

namespace {

using namespace tidewire::wire;

void check_negotiation(std::string_view offers, DeflateMode mode) {
  const auto result = negotiate_deflate(offers, mode);
  if (!result) return;
  TIDEWIRE_CHECK(mode != DeflateMode::off);
  const DeflateAgreement& agreed = result->agreement;
  TIDEWIRE_CHECK(agreed.server_max_window_bits >= 9 && agreed.server_max_window_bits <= 15);
  TIDEWIRE_CHECK(agreed.client_max_window_bits >= 8 && agreed.client_max_window_bits <= 15);
  TIDEWIRE_CHECK(mode != DeflateMode::shared ||
                 (agreed.server_no_context_takeover && agreed.client_no_context_takeover));
  TIDEWIRE_CHECK(result->response.starts_with("permessage-deflate"));
  TIDEWIRE_CHECK(result->response.find_first_of("\r\n,") == std::string::npos);
  // An answer is itself an offer that can be met to the letter.
  const auto again = negotiate_deflate(result->response, mode);
  TIDEWIRE_CHECK(again && again->agreement == agreed && again->response == result->response);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  HttpRequest request;
  request.method = data[0] & 1 ? "POST" : "GET";
  request.version = data[0] & 2 ? 10 : 11;
  request.has_body = (data[0] & 4) != 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = std::min(line.find(':'), line.size());
    request.headers.add(line.substr(0, colon), line.substr(std::min(colon + 1, line.size())));
    (void)percent_decode(line);
    (void)query_pairs(line);
  }

  const std::vector<std::string> allowed{"https://a.example", "same-host"};
  const auto upgrade = check_upgrade(request);
  if (upgrade) {
    TIDEWIRE_CHECK(data[0] % 8 == 0);
    TIDEWIRE_CHECK(upgrade->key.size() == 24);
    TIDEWIRE_CHECK(accept_key(upgrade->key).size() == 28);
    (void)origin_allowed(request.headers.find("origin"), *request.headers.find("host"), (data[0] & 8) != 0,
                         allowed);
    for (const DeflateMode mode : {DeflateMode::off, DeflateMode::shared, DeflateMode::dedicated})
      check_negotiation(upgrade->extensions, mode);
  } else {
    TIDEWIRE_CHECK(upgrade.error().status >= 400);
  }
  for (std::size_t i = 0; i < request.headers.size(); ++i) {
    check_negotiation(request.headers[i].value, DeflateMode::shared);
    check_negotiation(request.headers[i].value, DeflateMode::dedicated);
    (void)origin_allowed(request.headers[i].value, request.headers[0].value, false, allowed);
  }
  return 0;
}
