#include "protocol/delivery_batch.h"

#include "wire/frame.h"
#include "wire/permessage_deflate.h"

namespace tidewire::protocol {

void DeliveryBatch::add(std::string_view a, std::string_view b, std::string_view c, std::string_view d) {
  char header[wire::kMaxFrameHeaderBytes];
  const std::size_t size = a.size() + b.size() + c.size() + d.size();
  plain_.append(header, wire::write_frame_header(header, wire::Opcode::text, size));
  const std::size_t json = plain_.size();
  plain_.append(a).append(b).append(c).append(d);
  items_.push_back({.json = json, .plain_end = plain_.size(), .deflated_end = 0});
}

void DeliveryBatch::clear() {
  plain_.clear();
  deflated_.clear();
  items_.clear();
  deflated_items_ = 0;
  plain_shared_ = {};
  deflated_shared_ = {};
}

DeliveryBatch::Frames DeliveryBatch::plain(std::size_t first, std::size_t last) {
  const std::size_t begin = first == 0 ? 0 : items_[first - 1].plain_end;
  const std::size_t end = last == 0 ? 0 : items_[last - 1].plain_end;
  return {std::string_view(plain_).substr(begin, end - begin), plain_shared_, begin};
}

DeliveryBatch::Frames DeliveryBatch::deflated(std::size_t first, std::size_t last, wire::Deflater& deflater,
                                              std::size_t min_bytes) {
  std::string compressed;
  for (; deflated_items_ < items_.size(); ++deflated_items_) {
    const std::size_t i = deflated_items_;
    const std::string_view text = json(i);
    const bool shrunk =
        text.size() >= min_bytes && deflater.deflate(text, compressed) && compressed.size() < text.size();
    const std::string_view payload = shrunk ? std::string_view(compressed) : text;
    char header[wire::kMaxFrameHeaderBytes];
    deflated_.append(header, wire::write_frame_header(header, wire::Opcode::text, payload.size(), shrunk));
    deflated_.append(payload);
    items_[i].deflated_end = deflated_.size();
  }
  const std::size_t begin = first == 0 ? 0 : items_[first - 1].deflated_end;
  const std::size_t end = last == 0 ? 0 : items_[last - 1].deflated_end;
  return {std::string_view(deflated_).substr(begin, end - begin), deflated_shared_, begin};
}

SharedBytes DeliveryBatch::keep(const Frames& frames) {
  if (!frames.keeper)
    frames.keeper = SharedBytes(&frames.keeper == &plain_shared_ ? std::string_view(plain_)
                                                                 : std::string_view(deflated_));
  return frames.keeper;
}

}  // namespace tidewire::protocol
