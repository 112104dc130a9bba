// `tidewire check URL`: tries a running server as its clients will, and says whether it is ready.
// Protocol §9.
#pragma once

namespace CLI {
class App;
}

namespace tidewire {

// Adds the subcommand to `app`. When it was chosen, parsing has put its work's result into `exit_code`:
// 0 ready, 1 not, 2 for an argument that is none. Without it `exit_code` stays as it is.
void add_check_command(CLI::App& app, int& exit_code);

}  // namespace tidewire
