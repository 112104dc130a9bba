// UTF-8 as RFC 3629 has it: no surrogates, nothing above U+10FFFF, no overlong forms.
//
// Runs of ASCII are checked 64 bytes at a time. The validator is one byte of state; its owner is
// whoever reads the text.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidewire::wire {

// Checks text that comes in pieces. Fails at the first byte that no valid text can have there, which
// may be before the end of a character (RFC 6455 §8.1).
class Utf8Validator {
 public:
  // False once the text cannot become valid any more, and from then on.
  bool feed(std::string_view piece);

  // True between characters: the text may end here.
  bool complete() const { return state_ == State::between; }
  void reset() { state_ = State::between; }

 private:
  // What the next byte must be.
  enum class State : std::uint8_t {
    between,   // the first byte of a character
    need1,     // 80..BF, the last
    need2,     // 80..BF, one more follows
    need3,     // 80..BF, two more follow
    after_e0,  // A0..BF: no overlong forms
    after_ed,  // 80..9F: no surrogates
    after_f0,  // 90..BF: no overlong forms
    after_f4,  // 80..8F: not above U+10FFFF
    broken,
  };
  static State step(State state, unsigned char byte);

  State state_ = State::between;
};

bool is_valid_utf8(std::string_view text);

// The longest prefix of at most `max_bytes` that does not cut a character of valid UTF-8.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

}  // namespace tidewire::wire
