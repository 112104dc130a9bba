// `tidewire serve`: runs the server (protocol §9).
#pragma once

namespace CLI {
class App;
}

namespace tidewire {

// Adds the subcommand to `app`. When it was chosen, parsing returns only after the server has ended and
// has put its result into `exit_code`.
void add_serve_command(CLI::App& app, int& exit_code);

}  // namespace tidewire
