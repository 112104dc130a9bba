// `tidewire config print` and `tidewire config check`: what the server would run with. Protocol §9.
#pragma once

namespace CLI {
class App;
}

namespace tidewire {

// Adds the subcommand to `app`. When it was chosen, parsing has put its work's result into `exit_code`:
// 0, or 2 for a configuration with errors. Without it `exit_code` stays as it is.
void add_config_command(CLI::App& app, int& exit_code);

}  // namespace tidewire
