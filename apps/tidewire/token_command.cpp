#include "token_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "auth/mint.h"
#include "base/development.h"
#include "base/time.h"
#include "config/types.h"
#include "exit_code.h"
#include "output.h"

namespace tidewire {

namespace {

constexpr double kMaxTtl_ms = 100.0 * 365 * 86'400'000;

struct TokenOptions {
  std::string user;
  std::string type;
  std::string ttl = "1h";
  std::string secret = std::string(kDevelopmentSecret);
  std::string tenant;
  std::vector<std::string> grants;
  std::vector<std::string> claims;
};

std::unexpected<std::string> no(std::string_view flag, const std::string& message) {
  return std::unexpected(fmt::format("{}: {}", flag, message));
}

std::expected<std::string, std::string> token_for(const TokenOptions& options) {
  auth::MintOptions mint;
  auto user = auth::parse_user_argument(options.user);
  if (!user) return no("--user", user.error());
  mint.user = *std::move(user);
  const auto ttl_ms =
      config::types::duration::read(config::Value{config::Value::Text{options.ttl}}, {1000, kMaxTtl_ms});
  if (!ttl_ms) return no("--ttl", ttl_ms.error());
  if (*ttl_ms % 1000 != 0) return no("--ttl", "must be whole seconds");
  mint.ttl_s = *ttl_ms / 1000;
  mint.type = options.type;
  mint.secret = options.secret;
  mint.tenant = options.tenant;
  for (const std::string& argument : options.grants) {
    auto grant = auth::parse_grant_argument(argument);
    if (!grant) return no("--grant", grant.error());
    mint.grants.push_back(*std::move(grant));
  }
  for (const std::string& argument : options.claims) {
    auto claim = auth::parse_claim_argument(argument);
    if (!claim) return no("--claim", claim.error());
    mint.claims.push_back(*std::move(claim));
  }
  return auth::mint(mint, read_clocks());
}

int print_token(const TokenOptions& options) {
  const auto token = token_for(options);
  if (!token) {
    complain("error: " + token.error());
    return kBadArgument;
  }
  return print_out(*token + '\n') ? 0 : kNotWritten;
}

}  // namespace

void add_token_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("token", "Prints a token (JWT) for tests and development");
  const auto options = std::make_shared<TokenOptions>();
  command->add_option("--user", options->user, "The user's id; \"1\" in quotes is a string")->required();
  command->add_option("--type", options->type, "The user's type");
  command->add_option("--ttl", options->ttl, "How long it lives, such as 15m, 1h or 7d")
      ->capture_default_str();
  command->add_option("--secret", options->secret, "Signs it (HS256); the development secret when not given");
  command->add_option("--tenant", options->tenant, "The tenant that it belongs to");
  command->add_option("--grant", options->grants, "CHANNELS=ACTIONS, such as 'room:*=subscribe,publish'")
      ->allow_extra_args(false);
  command->add_option("--claim", options->claims, "NAME=VALUE, the value as JSON or as plain text")
      ->allow_extra_args(false);
  command->callback([options, &exit_code] { exit_code = print_token(*options); });
}

}  // namespace tidewire
