#include "wire/mask.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewire::wire {
namespace {

constexpr MaskKey kKey{0x12, 0x9A, 0xFF, 0x03};

std::string bytes(std::size_t n) {
  std::string out(n, '\0');
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<char>(i * 131 + 7);
  return out;
}

std::string masked_by_hand(std::string text, std::size_t phase) {
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>(static_cast<unsigned char>(text[i]) ^ kKey[(i + phase) % 4]);
  return text;
}

TEST(Mask, IsTheSameAsByteByByteForEverySizePhaseAndAlignment) {
  for (std::size_t n = 0; n < 600; n = n < 80 ? n + 1 : n + 37)
    for (std::size_t phase = 0; phase < 5; ++phase)
      for (const std::size_t offset : {0, 1, 2, 3, 13, 16, 31}) {
        std::string buffer = std::string(offset, 'x') + bytes(n) + "tail";
        unmask(buffer.data() + offset, n, kKey, phase);
        ASSERT_EQ(buffer, std::string(offset, 'x') + masked_by_hand(bytes(n), phase) + "tail");
      }
}

TEST(Mask, MovesDownOverItself) {
  for (const std::size_t n : {1, 5, 17, 63, 127, 128, 1000, 5000})
    for (const std::size_t distance : {1, 2, 6, 8, 14, 16, 31, 33, 200}) {
      std::string buffer = std::string(distance, 'x') + bytes(n);
      move_unmask(buffer.data(), buffer.data() + distance, n, kKey, 3);
      ASSERT_EQ(buffer.substr(0, n), masked_by_hand(bytes(n), 3)) << n << " by " << distance;
    }
}

TEST(Mask, SeesAByteThatIsNotAsciiAtEveryPlace) {
  for (std::size_t n = 1; n < 600; n = n < 80 ? n + 1 : n + 37) {
    std::string text(n, 'a');
    unmask(text.data(), n, kKey);
    ASSERT_TRUE(unmask_is_ascii(text.data(), n, kKey)) << n;
    ASSERT_EQ(text, std::string(n, 'a'));
    for (std::size_t at = 0; at < n; ++at) {
      text.assign(n, 'a');
      text[at] = '\x80';
      const std::string plain = text;
      unmask(text.data(), n, kKey);
      ASSERT_FALSE(unmask_is_ascii(text.data(), n, kKey)) << n << ' ' << at;
      ASSERT_EQ(text, plain);
    }
  }
  EXPECT_TRUE(unmask_is_ascii(nullptr, 0, kKey));
}

TEST(Mask, TwiceIsNothing) {
  std::string text = bytes(1000);
  unmask(text.data(), text.size(), kKey);
  unmask(text.data(), text.size(), kKey, 4000);
  EXPECT_EQ(text, bytes(1000));
}

}  // namespace
}  // namespace tidewire::wire
