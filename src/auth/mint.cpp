#include "auth/mint.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "auth/grants.h"
#include "auth/identity.h"
#include "auth/json_value.h"
#include "auth/jwt.h"
#include "auth/key.h"
#include "base/base64url.h"
#include "base/json_text.h"

namespace tidewire::auth {

namespace {

using Claims = std::vector<MintClaim>;

void set_claim(Claims& claims, std::string name, std::string json) {
  const auto same =
      std::find_if(claims.begin(), claims.end(), [&](const MintClaim& c) { return c.name == name; });
  if (same != claims.end())
    same->json = std::move(json);
  else
    claims.push_back({std::move(name), std::move(json)});
}

template <class T, class Append>
std::string json_array(const std::vector<T>& items, Append append) {
  std::string out = "[";
  for (const T& item : items) {
    if (out.size() > 1) out += ',';
    append(out, item);
  }
  return out += ']';
}

std::string grants_json(const std::vector<MintGrant>& grants) {
  return json_array(grants, [](std::string& out, const MintGrant& grant) {
    out += "{\"channels\":" + json_string(grant.channels) + ",\"do\":" +
           json_array(grant.actions,
                      [](std::string& list, const std::string& a) { append_json_string(list, a); }) +
           '}';
  });
}

// The claim `tidewire`: what of it is `given` as JSON, and tenant and grants in it.
std::expected<std::string, std::string> tidewire_json(const MintOptions& options, std::string given) {
  const std::optional<JsonValue> value = parse_json(given, kMaxTokenDepth);
  if (!value || !value->is_object())
    return std::unexpected("a claim `tidewire` beside a tenant or grants must be a JSON object");
  given.resize(given.rfind('}'));
  bool first = value->members.empty();
  const auto add = [&](std::string_view name, const std::string& json) {
    if (!std::exchange(first, false)) given += ',';
    append_json_string(given, name);
    given += ':' + json;
  };
  for (const auto& [name, is_said] :
       {std::pair("tenant", !options.tenant.empty()), std::pair("grants", !options.grants.empty())})
    if (is_said && value->find(name) != nullptr)
      return std::unexpected(std::string("the claim `tidewire` has ") + name + " already; say them once");
  if (!options.tenant.empty()) add("tenant", json_string(options.tenant));
  if (!options.grants.empty()) add("grants", grants_json(options.grants));
  return given + '}';
}

std::string user_json(const MintUser& user) {
  if (const auto* number = std::get_if<std::int64_t>(&user)) return std::to_string(*number);
  return json_string(std::get<std::string>(user));
}

std::expected<Claims, std::string> claims_of(const MintOptions& options, Time now) {
  Claims claims;
  set_claim(claims, "sub", user_json(options.user));
  if (!options.type.empty()) set_claim(claims, "type", json_string(options.type));
  const std::int64_t now_s = now.unix_ms / 1000;
  set_claim(claims, "iat", std::to_string(now_s));
  if (options.ttl_s) set_claim(claims, "exp", std::to_string(now_s + *options.ttl_s));
  const bool says_tidewire = !options.tenant.empty() || !options.grants.empty();
  if (says_tidewire) set_claim(claims, "tidewire", "{}");
  for (const MintClaim& claim : options.claims) set_claim(claims, claim.name, claim.json);
  if (!says_tidewire) return claims;
  const auto found = std::ranges::find(claims, "tidewire", &MintClaim::name);
  auto whole = tidewire_json(options, found->json);
  if (!whole) return std::unexpected(whole.error());
  found->json = *std::move(whole);
  return claims;
}

}  // namespace

std::expected<std::string, std::string> mint(const MintOptions& options, Time now) {
  if (options.ttl_s && *options.ttl_s < 1) return std::unexpected("a token lives at least 1 s");
  const Key::Outcome<Key> key = Key::from_secret(options.kid, options.algorithm, options.secret);
  if (!key) return std::unexpected(key.error());
  const auto claims = claims_of(options, now);
  if (!claims) return std::unexpected(claims.error());
  std::string header = "{\"alg\":" + json_string(name_of(options.algorithm)) + ",\"typ\":\"JWT\"";
  if (!options.kid.empty()) header += ",\"kid\":" + json_string(options.kid);
  header += '}';
  std::string body = "{";
  for (const MintClaim& claim : *claims) {
    if (body.size() > 1) body += ',';
    append_json_string(body, claim.name);
    body += ':' + claim.json;
  }
  body += '}';
  const std::optional<JsonValue> said = parse_json(body, kMaxTokenDepth);
  if (!parse_json(header, kMaxTokenDepth) || !said)
    return std::unexpected("a claim's value is not JSON, not UTF-8 or nested too deeply");
  for (const char* name : {"exp", "nbf", "iat"})
    if (const JsonValue* time = said->find(name); time != nullptr && !time->is_number())
      return std::unexpected(fmt::format("the claim `{}` must be a number, the seconds since 1970", name));
  std::string token = base64url_encode(header) + '.' + base64url_encode(body);
  token += '.' + base64url_encode(key->sign(token));
  if (token.size() > kMaxTokenBytes) return std::unexpected("the token would be longer than 8192 bytes");
  return token;
}

std::expected<MintUser, std::string> parse_user_argument(std::string_view argument) {
  const std::optional<JsonValue> json = parse_json(argument, 1);
  if (json && json->is_integer() && std::to_string(json->integer) == argument) {
    if (json->integer > kJsonIntegerMax || json->integer < -kJsonIntegerMax)
      return std::unexpected("a numeric user id is at most 9007199254740991; put a string in double quotes");
    return MintUser(json->integer);
  }
  std::string id = json && json->is_string() ? json->string : std::string(argument);
  if (!valid_user_id(id))
    return std::unexpected("a user id is 1 to 200 of the characters A-Z a-z 0-9 . _ - : @ = , ; ! ~ + / #");
  return MintUser(std::move(id));
}

std::expected<MintGrant, std::string> parse_grant_argument(std::string_view argument) {
  const std::size_t cut = argument.rfind('=');
  if (cut == std::string_view::npos || cut == 0)
    return std::unexpected("a grant is written CHANNELS=ACTION,ACTION, as in room:*=subscribe,publish");
  MintGrant grant{.channels = std::string(argument.substr(0, cut)), .actions = {}};
  std::string_view rest = argument.substr(cut + 1);
  for (;;) {
    const std::size_t comma = rest.find(',');
    const std::string_view action = rest.substr(0, comma);
    if (action_bit(action) == 0)
      return std::unexpected("an action of a grant is one of subscribe, publish, presence, history");
    grant.actions.emplace_back(action);
    if (comma == std::string_view::npos) return grant;
    rest.remove_prefix(comma + 1);
  }
}

std::expected<MintClaim, std::string> parse_claim_argument(std::string_view argument) {
  const std::size_t cut = argument.find('=');
  if (cut == std::string_view::npos || cut == 0) return std::unexpected("a claim is written NAME=VALUE");
  const std::string_view value = argument.substr(cut + 1);
  return MintClaim{.name = std::string(argument.substr(0, cut)),
                   .json = parse_json(value, kMaxTokenDepth - 1) ? std::string(value) : json_string(value)};
}

}  // namespace tidewire::auth
