// A deleter for unique_ptr that calls an OpenSSL free function.
#pragma once

namespace tidewire::auth {

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

}  // namespace tidewire::auth
