#include "config_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "config/load.h"
#include "config/print.h"
#include "exit_code.h"
#include "output.h"
#include "server/load_checked.h"

namespace tidewire {

namespace {

struct ConfigOptions {
  std::string file;
  bool dev = false;
  bool defaults = false;
};

// The settings that `serve` would use, or nothing after every problem went to standard error.
std::optional<config::Loaded> load_or_complain(const ConfigOptions& options) {
  config::LoadInput input;
  if (!options.file.empty()) input.file = options.file;
  input.environment = config::read_environment();
  input.dev = options.dev;
  auto loaded = server::load_checked(input);
  if (!loaded) {
    for (const config::ConfigProblem& problem : loaded.error()) complain("error: " + problem.to_string());
    return std::nullopt;
  }
  for (const config::ConfigProblem& warning : loaded->warnings) complain("warning: " + warning.to_string());
  return *std::move(loaded);
}

int print(const ConfigOptions& options) {
  if (options.defaults) return print_out(config::print_defaults()) ? 0 : kNotWritten;
  const auto loaded = load_or_complain(options);
  if (!loaded) return kBadArgument;
  return print_out(config::print_effective(*loaded)) ? 0 : kNotWritten;
}

int check(const ConfigOptions& options) {
  if (!load_or_complain(options)) return kBadArgument;
  // The status is the answer; the sentence only accompanies it.
  std::ignore = print_out("the configuration is good\n");
  return 0;
}

void add_source_options(CLI::App& command, ConfigOptions& options) {
  command.add_option("--config", options.file, "TOML file; the environment wins over it");
  command.add_flag("--dev", options.dev, "With the development profile");
}

}  // namespace

void add_config_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("config", "Shows and checks the configuration");
  command->require_subcommand(1);
  const auto options = std::make_shared<ConfigOptions>();

  CLI::App* printing = command->add_subcommand("print", "Prints the values in force, secrets masked");
  add_source_options(*printing, *options);
  printing->add_flag("--defaults", options->defaults, "Every key with its default, unit and meaning");
  printing->callback([options, &exit_code] { exit_code = print(*options); });

  CLI::App* checking = command->add_subcommand("check", "Exits 0 when the configuration is good, 2 when not");
  add_source_options(*checking, *options);
  checking->callback([options, &exit_code] { exit_code = check(*options); });
}

}  // namespace tidewire
