// Bytes as the characters of a JSON string, spelled in two ways: both must get the verdict of the rules
// without their shortcuts. And as a JSON text, which may be none: that may not crash.
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <ranges>
#include <string>

#include "base/json_text.h"
#include "guard/content_reference.h"
#include "guard/content_scan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  tidewire::guard::scan_content(bytes);

  // Each byte one character, so that every input is valid UTF-8.
  std::string text, escaped = "\"";
  for (const std::uint8_t byte :
       bytes | std::views::transform([](char c) { return static_cast<std::uint8_t>(c); })) {
    if (byte < 0x80) {
      text += static_cast<char>(byte);
    } else {
      text += static_cast<char>(0xC0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
    escaped += fmt::format("\\u{:04x}", byte);
  }
  escaped += '"';
  const std::string plain = tidewire::json_string(text);
  const tidewire::guard::ContentFlags wanted = tidewire::guard::reference_flags(text);
  for (const std::string& spelling : {plain, escaped})
    for (const auto scan : {tidewire::guard::scan_content, tidewire::guard::scan_content_narrow})
      if (!(scan(spelling) == wanted)) std::abort();
  if (!(tidewire::guard::scan_content("{" + plain + ":[" + plain + "]}") ==
        tidewire::guard::scan_content("{" + escaped + " :[" + escaped + "]}")))
    std::abort();
  return 0;
}
