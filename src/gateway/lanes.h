// Deliveries that wait for a connection, by lane: parts of buffers that all their readers share. What is
// taken first is the oldest of the highest lane.
//
// Allocates nothing while it is empty. Owned by its connection.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "base/ring.h"
#include "base/shared_bytes.h"
#include "hub/types.h"

namespace tidewire::gateway {

struct Piece {
  SharedBytes bytes;
  std::size_t offset = 0;
  std::size_t size = 0;
  Handle channel;  // whose it is

  std::string_view view() const { return bytes.view().substr(offset, size); }
  void advance(std::size_t by) {
    offset += by;
    size -= by;
  }
};

class Lanes {
 public:
  bool empty() const { return bytes_ == 0; }
  std::size_t bytes() const { return bytes_; }

  // A piece is not empty.
  void add(hub::Priority lane, Piece piece) {
    bytes_ += piece.size;
    lanes_[static_cast<std::size_t>(lane)].push_back(std::move(piece));
  }
  // What comes next; there is something.
  Piece pop() {
    Ring<Piece>& lane = next();
    Piece piece = std::move(lane.front());
    lane.pop_front();
    bytes_ -= piece.size;
    return piece;
  }
  std::string_view front() { return next().front().view(); }
  // Takes so many bytes of what comes next, at most all of it.
  void advance(std::size_t by) {
    Ring<Piece>& lane = next();
    bytes_ -= by;
    lane.front().advance(by);
    if (lane.front().size == 0) lane.pop_front();
  }
  // Drops the channel's pieces in a lane.
  void drop(hub::Priority lane, Handle channel) {
    take(lane, channel, [](std::string_view) {});
  }
  // Takes them out, in their order.
  void take(hub::Priority lane, Handle channel, const std::function<void(std::string_view)>& taken);
  void clear();

  // In their order, as long as `see` answers true.
  template <class See>
  void each(See&& see) const {
    for (const Ring<Piece>& lane : lanes_)
      for (std::size_t i = 0; i < lane.size(); ++i)
        if (!see(lane[i].view())) return;
  }

 private:
  Ring<Piece>& next();

  std::array<Ring<Piece>, hub::kLanes> lanes_;
  std::size_t bytes_ = 0;
};

}  // namespace tidewire::gateway
