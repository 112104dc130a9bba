// What a channel's subscribers on one shard get in one turn: messages in a row, rendered once as
// WebSocket frames that lie back to back, so that a subscriber costs one write, however many there are
// (ARCHITECTURE.md, idea 6). The compressed form is made once, when the first subscriber wants it.
//
// Built and read on one shard within one turn; keep() gives a reference that outlives it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_bytes.h"

namespace tidewire::wire {
class Deflater;
}

namespace tidewire::protocol {

class DeliveryBatch {
 public:
  // Appends one JSON text, given in pieces.
  void add(std::string_view a, std::string_view b = {}, std::string_view c = {}, std::string_view d = {});
  void clear();

  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  // What its forms take so far, about.
  std::size_t bytes() const {
    return plain_.size() + deflated_.size() + plain_shared_.size() + deflated_shared_.size();
  }
  std::string_view json(std::size_t i) const {
    return std::string_view(plain_).substr(items_[i].json, items_[i].plain_end - items_[i].json);
  }

  // Some of the messages, in one of the forms in which they travel.
  struct Frames {
    std::string_view bytes;
    SharedBytes& keeper;  // the whole form, to keep a reference to, empty until keep() was called
    std::size_t offset;   // of `bytes` in it
  };

  // Messages first..last-1 as plain text frames.
  Frames plain(std::size_t first, std::size_t last);
  // The same with every message of at least min_bytes compressed. The deflater keeps no context.
  Frames deflated(std::size_t first, std::size_t last, wire::Deflater& deflater, std::size_t min_bytes);

  // A reference to the form that outlives the turn.
  SharedBytes keep(const Frames& frames);

 private:
  struct Item {
    std::size_t json;       // where the JSON begins in plain_
    std::size_t plain_end;  // where the frame ends in plain_
    std::size_t deflated_end;
  };
  std::string plain_;
  std::string deflated_;
  std::vector<Item> items_;
  std::size_t deflated_items_ = 0;
  SharedBytes plain_shared_;
  SharedBytes deflated_shared_;
};

}  // namespace tidewire::protocol
