#include "gateway/lanes.h"

#include <algorithm>

#include "base/check.h"

namespace tidewire::gateway {

void Lanes::take(hub::Priority lane, Handle channel, const std::function<void(std::string_view)>& taken) {
  Ring<Piece>& pieces = lanes_[static_cast<std::size_t>(lane)];
  for (std::size_t left = pieces.size(); left > 0; --left) {
    Piece piece = std::move(pieces.front());
    pieces.pop_front();
    if (piece.channel != channel) {
      pieces.push_back(std::move(piece));
      continue;
    }
    bytes_ -= piece.size;
    taken(piece.view());
  }
}

void Lanes::clear() {
  for (Ring<Piece>& lane : lanes_) lane.clear();
  bytes_ = 0;
}

Ring<Piece>& Lanes::next() {
  const auto lane = std::ranges::find_if(lanes_, [](const Ring<Piece>& each) { return !each.empty(); });
  TIDEWIRE_CHECK(lane != lanes_.end());
  return *lane;
}

}  // namespace tidewire::gateway
