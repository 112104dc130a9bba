#include "serve_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "server/server.h"

namespace tidewire {

namespace {

struct Arguments {
  std::optional<std::string> config, listen, data, log_level, log_format;
  bool dev = false;
  bool echo = false;
};

int run(const Arguments& arguments) {
  server::ServeRequest request{.input = {.file = {},
                                         .text = {},
                                         .environment = config::read_environment(),
                                         .flags = {},
                                         .dev = arguments.dev},
                               .echo = arguments.echo};
  if (arguments.config) request.input.file = *arguments.config;
  const auto flag = [&](const char* name, const char* key, const std::optional<std::string>& value) {
    if (value) request.input.flags.push_back({.name = name, .key = key, .value = *value});
  };
  flag("--listen", "server.listen", arguments.listen);
  flag("--data", "store.path", arguments.data);
  flag("--log-level", "log.level", arguments.log_level);
  flag("--log-format", "log.format", arguments.log_format);
  return server::serve(request);
}

}  // namespace

void add_serve_command(CLI::App& app, int& exit_code) {
  CLI::App* serve = app.add_subcommand("serve", "Run the server");
  auto arguments = std::make_shared<Arguments>();
  serve->add_option("--config", arguments->config, "A TOML file with settings");
  serve->add_option("--listen", arguments->listen, "ADDRESS:PORT to listen on; port 0 picks a free one");
  serve->add_option("--data", arguments->data, "The directory that holds the data");
  serve->add_flag("--dev", arguments->dev,
                  "Development: anonymous connections, wide limits, demo; loopback only");
  serve->add_flag("--echo", arguments->echo, "Serve /echo, a bare WebSocket echo for conformance suites");
  serve->add_option("--log-level", arguments->log_level, "trace, debug, info, warn or error");
  serve->add_option("--log-format", arguments->log_format, "text or json");
  serve->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace tidewire
