#include "base/error.h"

namespace tidewire {

namespace {
struct Row {
  std::string_view name;
  int http;
  std::string_view text;
};
constexpr Row kRows[] = {
#define TIDEWIRE_ERROR(name, http, text) {#name, http, text},
#include "spec/errors.inc"
#undef TIDEWIRE_ERROR
};
const Row& row(ErrorCode code) { return kRows[static_cast<std::size_t>(code)]; }
}  // namespace

std::string_view name_of(ErrorCode code) { return row(code).name; }
int http_status_of(ErrorCode code) { return row(code).http; }
std::string_view meaning_of(ErrorCode code) { return row(code).text; }

}  // namespace tidewire
