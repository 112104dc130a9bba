#include "api/call_counts.h"

#include <algorithm>
#include <array>
#include <string>

#include "api/route.h"
#include "telemetry/metrics.h"

namespace tidewire::api {

namespace {

constexpr std::string_view kOther = "other";
// What is no route of the table.
constexpr std::array<std::string_view, 3> kBesideRoutes{"/sse", "/ws", kOther};

std::size_t place_beside_routes(std::string_view path) {
  if (path == "/sse") return 0;
  return path == "/ws" || path == "/api/ws" ? 1 : 2;
}

std::string_view label_of(const Route& route) {
  const bool is_page = route.pattern.starts_with("/demo") || route.pattern.starts_with("/admin");
  return is_page ? kOther : route.pattern;
}

}  // namespace

CallCounts::CallCounts() : by_route_(Route::all().size() + kBesideRoutes.size()) {}

void CallCounts::note(const Route* route, std::string_view path, int status) {
  const auto routes = Route::all();
  const std::size_t row = route == nullptr ? routes.size() + place_beside_routes(path)
                                           : static_cast<std::size_t>(route - routes.data());
  ++by_route_[row][static_cast<std::size_t>(std::clamp(status / 100, 2, 5) - 2)];
}

void add_call_counts(telemetry::Snapshot& out, const std::vector<hub::CallsByStatus>& by_route) {
  const auto routes = Route::all();
  for (std::size_t i = 0; i < by_route.size(); ++i)
    for (std::size_t status = 0; status < by_route[i].size(); ++status)
      out.counter(
          "tidewire_http_requests_total",
          "HTTP requests answered, by route and class of status; not those that became a WebSocket or "
          "an event stream.",
          static_cast<double>(by_route[i][status]),
          {{"route",
            std::string(i < routes.size() ? label_of(routes[i]) : kBesideRoutes.at(i - routes.size()))},
           {"status", std::to_string(status + 2) + "xx"}});
}

}  // namespace tidewire::api
