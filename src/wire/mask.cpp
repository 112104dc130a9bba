#include "wire/mask.h"

#include <immintrin.h>

#include <bit>
#include <cstdint>
#include <cstring>

namespace tidewire::wire {
namespace {

// Every loop loads before it stores and walks upwards, so dst may lie below src and overlap it.

__attribute__((target("avx2"))) std::size_t unmask_avx2(char* dst, const char* src, std::size_t n,
                                                        std::uint32_t key) {
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(key));
  std::size_t i = 0;
  for (; i + 128 <= n; i += 128) {
    const auto* from = reinterpret_cast<const __m256i_u*>(src + i);
    auto* to = reinterpret_cast<__m256i_u*>(dst + i);
    const __m256i a = _mm256_loadu_si256(from);
    const __m256i b = _mm256_loadu_si256(from + 1);
    const __m256i c = _mm256_loadu_si256(from + 2);
    const __m256i d = _mm256_loadu_si256(from + 3);
    _mm256_storeu_si256(to, _mm256_xor_si256(a, mask));
    _mm256_storeu_si256(to + 1, _mm256_xor_si256(b, mask));
    _mm256_storeu_si256(to + 2, _mm256_xor_si256(c, mask));
    _mm256_storeu_si256(to + 3, _mm256_xor_si256(d, mask));
  }
  return i;
}

}  // namespace

void move_unmask(char* dst, const char* src, std::size_t n, const MaskKey& key, std::size_t phase) {
  std::uint32_t key32;
  std::memcpy(&key32, key.data(), sizeof key32);
  key32 = std::rotr(key32, static_cast<int>(8 * (phase & 3)));

  std::size_t i = 0;
  if (n >= 256 && __builtin_cpu_supports("avx2")) i = unmask_avx2(dst, src, n, key32);
  const __m128i mask = _mm_set1_epi32(static_cast<int>(key32));
  for (; i + 16 <= n; i += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(src + i));
    _mm_storeu_si128(reinterpret_cast<__m128i_u*>(dst + i), _mm_xor_si128(block, mask));
  }
  if (i + 8 <= n) {
    std::uint64_t block;
    std::memcpy(&block, src + i, sizeof block);
    block ^= std::uint64_t{key32} << 32 | key32;
    std::memcpy(dst + i, &block, sizeof block);
    i += 8;
  }
  if (i + 4 <= n) {
    std::uint32_t block;
    std::memcpy(&block, src + i, sizeof block);
    block ^= key32;
    std::memcpy(dst + i, &block, sizeof block);
    i += 4;
  }
  for (std::size_t at = phase; i < n; ++i, ++at)
    dst[i] = static_cast<char>(static_cast<unsigned char>(src[i]) ^ key[at & 3]);
}

}  // namespace tidewire::wire
