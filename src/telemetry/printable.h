// Text from outside made fit for a log line or a label: valid UTF-8, whatever came.
#pragma once

#include <string>
#include <string_view>

namespace tidewire::telemetry {

// A copy in which every byte that is not part of valid UTF-8 (RFC 3629) is U+FFFD.
std::string to_utf8(std::string_view text);

}  // namespace tidewire::telemetry
