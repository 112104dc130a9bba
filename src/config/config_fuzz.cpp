// Any text as a configuration file, and as the value of a variable: problems, never a crash, and twice the
// same settings from the same text.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "config/load.h"
#include "config/print.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidewire::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto from_file = load({.file = "fuzz.toml", .text = text});
  if (from_file) (void)print_effective(*from_file);
  if (from_file) TIDEWIRE_CHECK(load({.file = "fuzz.toml", .text = text})->settings == from_file->settings);

  LoadInput input;
  for (const char* name : {"TIDEWIRE_API_KEYS", "TIDEWIRE_LIMITS_PENALTY", "TIDEWIRE_LIMITS_MESSAGE_BYTES",
                           "TIDEWIRE_SERVER_LISTEN", "TIDEWIRE_SERVER_TRUSTED_PROXIES",
                           "TIDEWIRE_AUTH_JWKS_URL", "TIDEWIRE_HEALTH_MAX_ERROR_RATE"})
    input.environment.emplace_back(name, text);
  input.environment.emplace_back("TIDEWIRE_" + text, "1");
  (void)load(input);
  return 0;
}
