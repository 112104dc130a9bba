// Text that many objects have in common, in eight bytes each: copies share one buffer. Immutable, any
// thread.
#pragma once

#include <string>
#include <string_view>

#include "base/shared_bytes.h"

namespace tidewire {

class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string_view text) : bytes_(text.empty() ? SharedBytes() : SharedBytes(text)) {}
  SharedText(const std::string& text) : SharedText(std::string_view(text)) {}
  SharedText(const char* text) : SharedText(std::string_view(text)) {}

  std::string_view view() const { return bytes_.view(); }
  operator std::string_view() const { return view(); }
  bool empty() const { return !bytes_; }
  std::size_t size() const { return bytes_.size(); }
  friend bool operator==(const SharedText& a, std::string_view b) { return a.view() == b; }

 private:
  SharedBytes bytes_;  // null: empty
};

}  // namespace tidewire
