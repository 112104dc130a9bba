// Any text as a resume token: what is read would have been written so.

#include <cstdint>

#include "base/base64url.h"
#include "base/check.h"
#include "protocol/resume_token.h"

namespace {
void check(std::string_view text) {
  using namespace tidewire::protocol;
  const auto positions = read_resume_token(text);
  if (!positions) return;
  ResumeToken token;
  std::uint64_t key = 0;
  // A channel that stands there twice would be written once.
  for (ResumePosition position : *positions) {
    position.channel = key++;
    token.set(position.channel, position.position);
  }
  auto numbered = *positions;
  for (key = 0; ResumePosition & position : numbered) position.channel = key++;
  TIDEWIRE_CHECK(token.text().size() == text.size() && read_resume_token(token.text()) == numbered);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check("1" + tidewire::base64url_encode(text));
  return 0;
}
