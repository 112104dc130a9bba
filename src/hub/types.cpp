#include "hub/types.h"

namespace tidewire::hub {

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::stream:
      return "stream";
  }
  return "";
}

}  // namespace tidewire::hub
