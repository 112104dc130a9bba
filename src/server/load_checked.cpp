#include "server/load_checked.h"

#include "net/tls.h"
#include "server/directory_setup.h"
#include "server/wiring.h"

namespace tidewire::server {

std::expected<config::Loaded, std::vector<config::ConfigProblem>> load_checked(
    const config::LoadInput& input) {
  auto loaded = config::load(input);
  if (!loaded) return loaded;
  const config::Settings& settings = loaded->settings;
  std::vector<config::ConfigProblem> problems;
  const auto add = [&](std::string key, std::string message) {
    const config::Place place = config::place_of(loaded->places, key);
    problems.push_back({std::move(key), place.source, place.line, std::move(message)});
  };
  if (auto planned = plan_tenants(settings, {}); !planned)
    add(std::move(planned.error().key), std::move(planned.error().message));
  if (settings.tls()) {
    const std::string& key = settings.server.tls_key;
    if (const auto tls = net::TlsContext::load(settings.server.tls_cert, key); !tls) {
      const bool of_key = tls.error().message.find(key) != std::string::npos;
      add(of_key ? "server.tls_key" : "server.tls_cert", tls.error().message);
    }
  }
  if (const auto good = check_directory(settings); !good) add("directory.url", good.error());
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return loaded;
}

}  // namespace tidewire::server
