#include "wire/utf8.h"

#include <emmintrin.h>

#include <cstddef>

namespace tidewire::wire {
namespace {

using Byte = unsigned char;

constexpr bool is_continuation(Byte byte) { return (byte & 0xC0) == 0x80; }

// The first byte from `at` on that is not ASCII, or somewhere at most 15 bytes before it; `end` if none.
const Byte* skip_ascii(const Byte* at, const Byte* end) {
  for (; end - at >= 64; at += 64) {
    const auto* block = reinterpret_cast<const __m128i_u*>(at);
    const __m128i any = _mm_or_si128(_mm_or_si128(_mm_loadu_si128(block), _mm_loadu_si128(block + 1)),
                                     _mm_or_si128(_mm_loadu_si128(block + 2), _mm_loadu_si128(block + 3)));
    if (_mm_movemask_epi8(any) != 0) break;
  }
  for (; end - at >= 16; at += 16) {
    const int high = _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at)));
    if (high != 0) return at + __builtin_ctz(static_cast<unsigned>(high));
  }
  while (at != end && *at < 0x80) ++at;
  return at;
}

// The size of the character at `at`, of which at least 4 bytes can be read; 0 if it is not valid.
std::size_t character_at(const Byte* at) {
  const Byte lead = at[0];
  if (lead < 0x80) return 1;
  if (!is_continuation(at[1])) return 0;
  if (lead < 0xE0) return lead >= 0xC2 ? 2 : 0;
  if (!is_continuation(at[2])) return 0;
  if (lead < 0xF0) {
    if (lead == 0xE0 && at[1] < 0xA0) return 0;
    if (lead == 0xED && at[1] > 0x9F) return 0;
    return 3;
  }
  if (!is_continuation(at[3]) || lead > 0xF4) return 0;
  if (lead == 0xF0 && at[1] < 0x90) return 0;
  if (lead == 0xF4 && at[1] > 0x8F) return 0;
  return 4;
}

}  // namespace

Utf8Validator::State Utf8Validator::step(State state, Byte byte) {
  switch (state) {
    case State::between:
      if (byte < 0x80) return State::between;
      if (byte < 0xC2) return State::broken;
      if (byte < 0xE0) return State::need1;
      if (byte == 0xE0) return State::after_e0;
      if (byte == 0xED) return State::after_ed;
      if (byte < 0xF0) return State::need2;
      if (byte == 0xF0) return State::after_f0;
      if (byte < 0xF4) return State::need3;
      if (byte == 0xF4) return State::after_f4;
      return State::broken;
    case State::need1:
      return is_continuation(byte) ? State::between : State::broken;
    case State::need2:
      return is_continuation(byte) ? State::need1 : State::broken;
    case State::need3:
      return is_continuation(byte) ? State::need2 : State::broken;
    case State::after_e0:
      return byte >= 0xA0 && byte <= 0xBF ? State::need1 : State::broken;
    case State::after_ed:
      return byte >= 0x80 && byte <= 0x9F ? State::need1 : State::broken;
    case State::after_f0:
      return byte >= 0x90 && byte <= 0xBF ? State::need2 : State::broken;
    case State::after_f4:
      return byte >= 0x80 && byte <= 0x8F ? State::need2 : State::broken;
    case State::broken:
      return State::broken;
  }
  return State::broken;
}

bool Utf8Validator::feed(std::string_view piece) {
  const auto* at = reinterpret_cast<const Byte*>(piece.data());
  const Byte* const end = at + piece.size();
  while (state_ != State::between) {
    if (state_ == State::broken) return false;
    if (at == end) return true;
    state_ = step(state_, *at++);
  }
  while (at != end) {
    at = skip_ascii(at, end);
    while (end - at >= 4) {
      // Text in other scripts has few ASCII bytes in a row; a long run goes back to the fast path.
      if (*at < 0x80 && end - at >= 16 &&
          _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at))) == 0)
        break;
      const std::size_t size = character_at(at);
      if (size == 0) {
        state_ = State::broken;
        return false;
      }
      at += size;
    }
    if (end - at >= 4) continue;
    while (at != end) {
      state_ = step(state_, *at++);
      if (state_ == State::broken) return false;
    }
  }
  return true;
}

bool is_valid_utf8(std::string_view text) {
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t size = max_bytes;
  while (size > 0 && is_continuation(static_cast<Byte>(text[size]))) --size;
  return text.substr(0, size);
}

}  // namespace tidewire::wire
