// What stands in for a real secret in development. Everybody knows it, so it protects nothing.
#pragma once

#include <string_view>

namespace tidewire {

// What `serve --dev` and `tidewire token` use where nothing is configured.
inline constexpr std::string_view kDevelopmentSecret = "development-secret-not-for-production";

}  // namespace tidewire
