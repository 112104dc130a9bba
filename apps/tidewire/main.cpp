#include <CLI/CLI.hpp>
#include <iostream>

#include "check_command.h"
#include "config_command.h"
#include "exit_code.h"
#include "output.h"
#include "serve_command.h"
#include "token_command.h"

int main(int argc, char** argv) {
  tidewire::hold_standard_descriptors();
  CLI::App app("Tidewire, a self-hosted real-time server");
  app.require_subcommand(1);
  app.set_version_flag("--version", "tidewire " TIDEWIRE_VERSION);
  int exit_code = 0;
  tidewire::add_serve_command(app, exit_code);
  tidewire::add_token_command(app, exit_code);
  tidewire::add_config_command(app, exit_code);
  tidewire::add_check_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 only says that a command is missing, also where one is misspelt.
    if (const auto unknown = app.remaining(true);
        error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) && !unknown.empty()) {
      tidewire::complain("error: there is no command `" + unknown.front() +
                         "`\nRun with --help for more information.");
      return tidewire::kBadArgument;
    }
    if (app.exit(error) != 0) return tidewire::kBadArgument;
    return std::cout.flush() ? 0 : tidewire::kNotWritten;  // --help, --version
  }
  return exit_code;
}
