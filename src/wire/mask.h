// WebSocket masking (RFC 6455 §5.3): XOR with a 4-byte key, at memory speed.
//
// Uses AVX2 where the processor has it, decided at run time. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>

namespace tidewire::wire {

using MaskKey = std::array<unsigned char, 4>;  // in the order on the wire

// Unmasks n bytes from `src` to `dst`. The two may be the same place, apart from each other, or
// overlap with dst below src (a payload moved over its own header). `phase` is how many bytes of the
// frame's payload came before src; only its two low bits count.
void move_unmask(char* dst, const char* src, std::size_t n, const MaskKey& key, std::size_t phase = 0);

// Unmasks in place.
inline void unmask(char* data, std::size_t n, const MaskKey& key, std::size_t phase = 0) {
  move_unmask(data, data, n, key, phase);
}

// Unmasks in place, and says whether all of it is ASCII: text needs no second pass then.
bool unmask_is_ascii(char* data, std::size_t n, const MaskKey& key);
// The same to a place that may lie below the data and overlap it.
bool move_unmask_is_ascii(char* dst, const char* src, std::size_t n, const MaskKey& key);

}  // namespace tidewire::wire
