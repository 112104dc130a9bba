#include "config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/characters.h"
#include "base/ip_address.h"
#include "base/json_text.h"
#include "config/address.h"

namespace tidewire::config {

namespace {

constexpr std::string_view kAlgorithms[] = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                            "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"};
constexpr std::string_view kCapabilities[] = {"messaging", "presence", "state", "notifications",
                                              "dashboard", "uploads",  "agents"};
constexpr std::string_view kMask = "***";    // what `config print` shows in place of a secret
constexpr std::size_t kMinSecretBytes = 32;  // RFC 7518, section 3.2, for HS256

bool all_of_chars(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alphanumeric(c) || others.find(c) != others.npos; });
}

// Whether a URL has one of the schemes and something behind it.
bool has_scheme(std::string_view url, std::initializer_list<std::string_view> schemes) {
  const std::size_t mark = url.find("://");
  return mark != url.npos && mark + 3 < url.size() &&
         std::find(schemes.begin(), schemes.end(), url.substr(0, mark)) != schemes.end();
}

class Checks {
 public:
  Checks(const Settings& settings, const Places& places, Report& problems, Report& warnings)
      : s_(settings), places_(places), problems_(problems), warnings_(warnings) {}

  void run() {
    server();
    auth();
    urls();
    api_keys();
    for (const auto& [name, tenant] : s_.tenants) check_tenant(name, tenant);
    hosts();
    for (const auto& [name, space] : s_.namespaces) check_namespace(name, space);
    no_masks("", s_);
    no_masks_in("auth.keys", s_.auth.keys);
    no_masks_in("api.keys", s_.api.keys);
    for (const auto& [name, tenant] : s_.tenants) {
      no_masks("tenants." + name + ".", tenant);
      no_masks_in("tenants." + name + ".keys", tenant.keys);
    }
  }

 private:
  bool is_set(std::string_view key) const { return places_.find(key) != places_.end(); }
  void problem(std::string key, std::string message) {
    const Place place = place_of(places_, key);
    problems_.add(std::move(key), place, std::move(message));
  }
  void warning(std::string key, std::string message) {
    const Place place = place_of(places_, key);
    warnings_.add(std::move(key), place, std::move(message));
  }

  // A file that holds `mark`; only regular files are opened, since a pipe would make us wait.
  void readable(const std::string& key, const std::string& path, std::string_view mark) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error))
      return problem(key, "the file \"" + path + "\" does not exist or cannot be read");
    std::ifstream in(path, std::ios::binary);
    std::string text(std::size_t{64} << 10, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    if (text.empty()) return problem(key, "the file \"" + path + "\" is empty or cannot be read");
    if (text.find(mark) == text.npos)
      problem(key, fmt::format("the file \"{}\" holds no \"{}\"", path, mark));
  }

  void server() {
    const auto listen = parse_listen_address(s_.server.listen);
    if (!listen)
      problem("server.listen", listen.error());
    else if (s_.development && !listen->is_loopback)
      problem("server.listen", "the development profile listens on loopback only");
    const auto& [cert, key] = std::pair(s_.server.tls_cert, s_.server.tls_key);
    if (!cert.empty() && key.empty()) problem("server.tls_cert", "needs server.tls_key beside it");
    if (cert.empty() && !key.empty()) problem("server.tls_key", "needs server.tls_cert beside it");
    if (!cert.empty()) readable("server.tls_cert", cert, "-----BEGIN CERTIFICATE-----");
    if (!key.empty()) readable("server.tls_key", key, "PRIVATE KEY-----");
    for (const std::string& proxy : s_.server.trusted_proxies)
      if (!IpPrefix::parse(proxy))
        problem("server.trusted_proxies",
                "\"" + proxy + "\" is no address or network, such as 192.168.1.7, 10.0.0.0/8 or fe80::/10");
    for (const std::string& origin : s_.server.allowed_origins) check_origin(origin);
    if (s_.store.path.empty()) problem("store.path", "must not be empty");
  }

  void check_origin(const std::string& origin) {
    if (origin == "*" || origin == "null") return;
    const std::size_t mark = origin.find("://");
    if (mark == origin.npos || mark == 0 || mark + 3 == origin.size() ||
        origin.find_first_of("/?#* ", mark + 3) != origin.npos)
      problem("server.allowed_origins",
              "\"" + origin + "\" is not \"*\", \"null\" or an origin such as https://example.com");
  }

  void auth() {
    check_jwks("auth.", s_.auth.jwks_url);
    check_keys("auth.keys", s_.auth.keys);
    check_secret("auth.hs256_secret", s_.auth.hs256_secret);
    if (s_.auth.user_claim.empty()) problem("auth.user_claim", "must not be empty");
    for (const std::string& capability : s_.auth.anonymous_capabilities)
      if (std::find(std::begin(kCapabilities), std::end(kCapabilities), capability) ==
          std::end(kCapabilities))
        problem("auth.anonymous_capabilities",
                fmt::format("\"{}\" is no capability; there are {}{}", capability, choices(kCapabilities),
                            suggestion(capability, kCapabilities)));
    const bool any_key = !s_.auth.hs256_secret.empty() || !s_.auth.jwks_url.empty() || !s_.auth.keys.empty();
    if (!any_key && s_.tenants.empty())
      warning(
          "auth.hs256_secret",
          "no key is configured (auth.hs256_secret, auth.jwks_url or auth.keys), so every token is refused");
  }

  void check_secret(const std::string& key, const std::string& secret) {
    if (!secret.empty() && secret.size() < kMinSecretBytes)
      warning(key, fmt::format("a secret of less than {} bytes can be guessed", kMinSecretBytes));
  }

  void check_jwks(const std::string& owner, const std::string& url) {
    if (url.empty()) return;
    // With a preset it comes from the issuer.
    const std::string key = owner + (is_set(owner + "jwks_url") ? "jwks_url" : "issuer");
    if (!has_scheme(url, {"https", "http"}))
      problem(key, "must be an https:// URL");
    else
      check_http(key, url);
  }

  void check_http(const std::string& key, const std::string& url) {
    if (const auto good = check_http_url(url); !good)
      problem(key, good.error());
    else if (url.starts_with("http:") && !is_loopback_url(url))
      problem(key, "plain http is allowed to loopback only; use https");
  }

  void check_keys(const std::string& key, const std::vector<KeySettings>& keys) {
    std::set<std::string> kids;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const KeySettings& k = keys[i];
      const auto wrong = [&](std::string_view field, const std::string& message) {
        problem(fmt::format("{}[{}]{}", key, i, field), message);
      };
      if (std::find(std::begin(kAlgorithms), std::end(kAlgorithms), k.alg) == std::end(kAlgorithms))
        wrong(".alg", "must be " + choices(kAlgorithms) + suggestion(k.alg, kAlgorithms));
      if (k.secret.empty() == k.file.empty()) wrong("", "needs one of secret and file");
      if (!k.secret.empty() && !k.alg.starts_with("HS"))
        wrong(".secret", "is for HS256, HS384 and HS512 alone");
      if (!k.kid.empty() && !kids.insert(k.kid).second) wrong(".kid", "is used by another key too");
      if (std::error_code error; !k.file.empty() && !std::filesystem::is_regular_file(k.file, error))
        wrong(".file", "the file \"" + k.file + "\" does not exist or cannot be read");
      else if (!k.file.empty() && !std::ifstream(k.file).good())
        wrong(".file", "the file \"" + k.file + "\" cannot be read");
    }
  }

  // The URL for one user, where it is a pattern.
  static std::string with_names(std::string url) {
    for (const std::string_view pattern : {"{id}", "{tenant}"})
      for (std::size_t at = 0; (at = url.find(pattern, at)) != url.npos;)
        url.replace(at, pattern.size(), "name");
    return url;
  }

  void urls() {
    if (s_.engine.url != "embedded")
      problem("engine.url", "must be embedded: this version does not serve redis:// and rediss://");
    const std::string& directory = s_.directory.url;
    if (!directory.empty()) {
      if (!has_scheme(directory, {"postgres", "postgresql", "https", "http"}))
        problem("directory.url", "must be postgres://... or https://...");
      else if (directory.starts_with("http"))
        check_http("directory.url", with_names(directory));
    }
    const Settings defaults = default_settings(s_.development);
    for (const Field<Settings>& field : fields<Settings>())
      if (field.key.starts_with("webhooks.") && !field.equal(s_, defaults))
        problem(std::string(field.key), "this version does not serve webhooks; leave it out");
  }

  void api_keys() {
    std::set<std::string> seen;
    const auto check_key = [&](const std::string& where, const std::string& key) {
      if (key == kMask) return;  // said by no_masks()
      if (!seen.insert(key).second) problem(where, "is the same key as another one");
      if (!key.starts_with("tw_"))
        warning(where, "does not begin with tw_, so it is accepted in X-API-Key alone");
    };
    if (!s_.api.key.empty()) check_key("api.key", s_.api.key);
    for (std::size_t i = 0; i < s_.api.keys.size(); ++i) {
      const ApiKeySettings& k = s_.api.keys[i];
      const std::string where = fmt::format("api.keys[{}]", i);
      if (k.key.empty())
        problem(where + ".key", "must not be empty");
      else
        check_key(where + ".key", k.key);
      // Scopes that were refused are set and empty.
      if (k.scopes.empty() && !is_set(where + ".scopes"))
        problem(where + ".scopes", "is missing; name what the key may do: publish, read, admin");
      if (k.tenant != "default" && !s_.tenants.contains(k.tenant))
        problem(where + ".tenant", "there is no tenant \"" + k.tenant + "\"");
    }
    for (const auto& [name, tenant] : s_.tenants) {
      const std::string key = "tenants." + name + ".api_key";
      if (!tenant.api_key.empty()) check_key(key, tenant.api_key);
    }
  }

  void check_tenant(const std::string& name, const TenantSettings& tenant) {
    const std::string key = "tenants." + name;
    if (name == "default") problem(key, "the default tenant is configured by auth.*, api.* and limits.*");
    if (name.empty() || name.size() > 64 || !all_of_chars(name, "._-"))
      problem(key, "a tenant's name is 1 to 64 letters, digits, '.', '_' or '-'");
    check_jwks(key + ".", tenant.jwks_url);
    check_keys(key + ".keys", tenant.keys);
    check_secret(key + ".hs256_secret", tenant.hs256_secret);
    if (tenant.hs256_secret.empty() && tenant.jwks_url.empty() && tenant.keys.empty())
      warning(key, "no key is configured, so every token of the tenant is refused");
  }

  void hosts() {
    std::map<std::string_view, std::string_view> owners;
    for (const auto& [name, tenant] : s_.tenants) {
      for (const std::string& host : tenant.hosts) {
        const std::string key = "tenants." + name + ".hosts";
        const bool bracketed = host.starts_with('[') && host.ends_with(']');
        if (!bracketed && host.find(':') != host.npos)
          problem(key, "\"" + host + "\" must be a host name without a port (IPv6 in brackets)");
        else if (!all_of_chars(host, bracketed ? ".:[]" : ".-_"))
          problem(key, "\"" + host + "\" is no host name");
        if (owners.try_emplace(host, name).first->second != name)
          problem(key, "\"" + host + "\" belongs to another tenant too");
      }
    }
  }

  void check_namespace(const std::string& name, const NamespaceSettings& space) {
    const std::string key = "namespaces." + name;
    const auto fits = [](char c) { return is_channel_character(c) && c != ':'; };
    if (name.empty() || name.size() > 200 || !std::ranges::all_of(name, fits))
      problem(key, "a namespace's name is 1 to 200 of the channel characters, no colon");
    check_access(key, ".subscribe", space.subscribe, space.kind);
    check_access(key, ".publish", space.publish, space.kind);
    if (space.conflate_ms != 0 && space.kind != Kind::document && space.kind != Kind::upload)
      warning(key + ".conflate_ms", "only documents and uploads are conflated");
    if (space.join != JoinRule::invite && space.kind != Kind::session)
      warning(key + ".join", "only sessions are joined");
  }

  // What `config print` writes is no configuration where it hides something: "***" is a password that
  // everybody knows.
  template <class Owner>
  void no_masks(const std::string& prefix, const Owner& owner) {
    for (const Field<Owner>& field : fields<Owner>()) {
      if (field.type != "string") continue;
      const std::string text = field.print(owner);
      if (field.secret ? text == json_string(kMask) : text.find(kMask) != text.npos)
        problem(prefix + std::string(field.name),
                "*** is what `config print` shows in place of a secret; write the secret itself");
    }
  }
  template <class Element>
  void no_masks_in(const std::string& key, const std::vector<Element>& elements) {
    for (std::size_t i = 0; i < elements.size(); ++i) no_masks(fmt::format("{}[{}].", key, i), elements[i]);
  }

  // A rule that can never come true in a kind is a mistake.
  void check_access(const std::string& space, std::string_view field, Access access, Kind kind) {
    const bool fits = (access != Access::user || kind == Kind::inbox) &&
                      (access != Access::member || kind == Kind::session) &&
                      (access != Access::creator || kind == Kind::upload || kind == Kind::agent);
    if (fits) return;
    const std::string key = space + std::string(field);
    const std::string why =
        fmt::format("a channel of kind {} has no {}", name_of(kind),
                    access == Access::user ? "user of its own" : std::string(name_of(access)));
    if (is_set(key)) return problem(key, why);
    // The kind of a built-in namespace was changed, and its rules are still those of the old kind.
    problem(space + ".kind",
            fmt::format("{}, but {} is \"{}\" as long as it is not set", why, key, name_of(access)));
  }

  const Settings& s_;
  const Places& places_;
  Report& problems_;
  Report& warnings_;
};

}  // namespace

void check(const Settings& settings, const Places& places, Report& problems, Report& warnings) {
  Checks(settings, places, problems, warnings).run();
}

}  // namespace tidewire::config
