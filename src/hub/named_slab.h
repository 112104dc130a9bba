// A slab of things that are a channel each (at its home, or on a shard with subscribers), found by the
// channel's name as well. The name is kept once, as the object's `key`.
//
// Owned by one thread.
#pragma once

#include <utility>

#include "base/index_table.h"
#include "base/slab.h"
#include "hub/types.h"

namespace tidewire::hub {

template <class T>
class NamedSlab {
 public:
  explicit NamedSlab(ChannelKeyHash hash) : hash_(hash) {}

  // Null where there is none of this name.
  Handle find(const ChannelKey& key) const {
    const std::uint32_t index =
        index_.find(static_cast<std::uint32_t>(hash_(key)),
                    [&](std::uint32_t number) { return objects_.at(number).key == key; });
    return index == IndexTable::kNone ? Handle{} : objects_.handle_at(index);
  }

  // There must be none of this name.
  template <class... Args>
  Handle emplace(Args&&... args) {
    const Handle handle = objects_.emplace(std::forward<Args>(args)...);
    index_.insert(hash_of(handle), handle.index);
    return handle;
  }

  void erase(Handle handle) {
    index_.erase(hash_of(handle), handle.index);
    objects_.erase(handle);
  }

  T* get(Handle handle) { return objects_.get(handle); }
  const T* get(Handle handle) const { return objects_.get(handle); }
  std::size_t size() const { return objects_.size(); }

  // As a slab's.
  std::uint32_t slots() const { return objects_.slots(); }
  Handle handle_at(std::uint32_t index) const { return objects_.handle_at(index); }
  template <class F>
  void for_each(F&& f) {
    objects_.for_each(std::forward<F>(f));
  }

 private:
  std::uint32_t hash_of(Handle handle) const {
    return static_cast<std::uint32_t>(hash_(objects_.at(handle.index).key));
  }

  ChannelKeyHash hash_;
  Slab<T> objects_;
  IndexTable index_;
};

}  // namespace tidewire::hub
