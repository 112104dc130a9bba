// Decodes the strings of a JSON text into a buffer that may be read past both ends of the string.
//
// Of a text that is not valid JSON it makes something or other, within its bounds. Owned by one call.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "guard/wide_vectors.h"

namespace tidewire::guard {

class JsonStrings {
 public:
  // So many zeros stand behind the text, and one before it.
  static constexpr std::size_t kZeros = 80;

  // `json` must live as long.
  explicit JsonStrings(std::string_view json) : json_(json) {}

  // Decodes the string whose first character is at `begin`, behind its quote. The text is good until the
  // next call.
  std::string_view decode(std::size_t begin);
  [[TIDEWIRE_WIDE_VECTORS]] std::string_view decode_wide(std::size_t begin);
  // Behind the closing quote of the last one.
  std::size_t end() const { return end_; }
  // Whether it is a member's name.
  bool is_key() const;

 private:
  static constexpr std::size_t kNear = 2048;

  template <bool kWide>
  std::string_view decode_blocks(std::size_t begin);
  // Room for `size` characters with the zeros around them.
  char* room(std::size_t size);

  std::string_view json_;
  std::size_t end_ = 0;
  std::array<char, kNear> near_;  // not set before it is written
  std::unique_ptr<char[]> far_;
};

}  // namespace tidewire::guard
