// What a namespace is before anybody configures it. Protocol §7.
#pragma once

#include "config/settings.h"

namespace tidewire::config {

// The start values of a new namespace of a kind: those of the built-in one that the kind was made for
// (`default` for streams, `doc` for documents), so that naming the kind is enough.
NamespaceSettings namespace_defaults(Kind kind);

}  // namespace tidewire::config
