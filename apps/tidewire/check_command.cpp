#include "check_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "base/time.h"
#include "check/network.h"
#include "check/report.h"
#include "check/suite.h"
#include "exit_code.h"
#include "output.h"

namespace tidewire {

namespace {

struct CheckOptions {
  std::string url;
  check::SuiteOptions suite;
  std::vector<std::string> claims;
  std::string json_file;
  std::string ca_file;
  bool insecure = false;
  double timeout_s = 5;
};

int run_check(CheckOptions options) {
  auto address = check::parse_address(options.url);
  if (!address) {
    complain("error: " + address.error());
    return kBadArgument;
  }
  for (const std::string& argument : options.claims) {
    auto claim = auth::parse_claim_argument(argument);
    if (!claim) {
      complain("error: --claim: " + claim.error());
      return kBadArgument;
    }
    options.suite.claims.push_back(*std::move(claim));
  }
  check::Network network(
      {.address = *std::move(address),
       .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_s * 1000)),
       .insecure = options.insecure,
       .ca_file = options.ca_file});
  check::Report report;
  try {
    check::Suite(network, options.suite, report).run();
  } catch (const std::exception& error) {  // of a library, on an answer that nobody foresaw
    report.add({.id = "check.completed",
                .title = "all checks could be made",
                .outcome = check::Outcome::failed,
                .detail = error.what(),
                .took_ms = 0});
  }
  const bool is_printed = print_out(report.text(options.url, isatty(STDOUT_FILENO) != 0));
  if (!options.json_file.empty()) {
    std::ofstream file(options.json_file);
    file << report.json(options.url, TIDEWIRE_VERSION, read_clocks().unix_ms) << '\n';
    if (!file.flush()) {
      complain(fmt::format("error: --json: {} can't be written", options.json_file));
      return kBadArgument;
    }
  }
  if (!is_printed) return kNotWritten;
  return report.ready() ? 0 : kNotReady;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("check", "Tries a running server and says whether it is ready");
  const auto options = std::make_shared<CheckOptions>();
  command->add_option("URL", options->url, "Where the server is, such as https://realtime.example.com")
      ->required();
  auto* token = command->add_option("--token", options->suite.token, "A user's token to try it with");
  auto* secret =
      command->add_option("--secret", options->suite.secret, "Signs tokens for users of its own (HS256)")
          ->excludes(token);
  command->add_option("--claim", options->claims, "NAME=VALUE, for these tokens, such as aud=authenticated")
      ->needs(secret);
  command->add_option("--namespace", options->suite.name_space, "The namespace to publish in")
      ->capture_default_str();
  command->add_option("--connections", options->suite.connections, "Readers of the load")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--json", options->json_file, "Writes the report as JSON to this file");
  command->add_option("--timeout", options->timeout_s, "Seconds that an answer may take")
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  command->add_option("--ca", options->ca_file, "Trusted certificates (PEM) in place of the system's");
  command->add_flag("--insecure", options->insecure, "Goes on with a certificate that is not trusted");
  command->callback([options, &exit_code] { exit_code = run_check(*options); });
}

}  // namespace tidewire
