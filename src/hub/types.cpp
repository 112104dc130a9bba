#include "hub/types.h"

namespace tidewire::hub {

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::stream:
      return "stream";
    case Kind::document:
      return "document";
    case Kind::session:
      return "session";
    case Kind::inbox:
      return "inbox";
    case Kind::upload:
      return "upload";
    case Kind::agent:
      return "agent";
  }
  return "";
}

}  // namespace tidewire::hub
