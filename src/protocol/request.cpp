#include "protocol/request.h"

#include <array>

namespace tidewire::protocol {

namespace {
constexpr std::array<std::string_view, kPriorities> kPriorityNames{"critical", "high", "medium", "low"};
}

std::string_view name_of(Priority priority) { return kPriorityNames[static_cast<std::size_t>(priority)]; }

std::optional<Priority> priority_named(std::string_view name) {
  for (std::size_t i = 0; i < kPriorities; ++i)
    if (kPriorityNames[i] == name) return static_cast<Priority>(i);
  return std::nullopt;
}

std::string_view channel_of(const Request& request) {
  return std::visit(
      [](const auto& body) -> std::string_view {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (requires { body.channel; })
          return body.channel;
        else if constexpr (std::is_same_v<Body, SubscribeRequest>)
          return body.channels.size() == 1 ? std::string_view(body.channels[0].channel) : std::string_view();
        else
          return {};
      },
      request.body);
}

}  // namespace tidewire::protocol
