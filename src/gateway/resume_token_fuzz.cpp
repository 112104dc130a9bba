// Any text as a resume token: what is read would have been written so.

#include <cstdint>

#include "auth/base64url.h"
#include "base/check.h"
#include "gateway/resume_token.h"

namespace {
void check(std::string_view token) {
  using namespace tidewire::gateway;
  const auto positions = read_resume_token(token);
  if (positions) TIDEWIRE_CHECK(write_resume_token(*positions) == token);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(tidewire::auth::base64url_encode(text));
  return 0;
}
