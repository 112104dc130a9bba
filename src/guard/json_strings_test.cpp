#include "guard/json_strings.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidewire::guard {
namespace {

// Each way of decoding, where the processor has it.
std::vector<std::string_view (*)(JsonStrings&)> ways() {
  std::vector<std::string_view (*)(JsonStrings&)> all{[](JsonStrings& strings) { return strings.decode(1); }};
  if (has_wide_vectors()) all.push_back([](JsonStrings& strings) { return strings.decode_wide(1); });
  return all;
}

TEST(JsonStrings, AnEscapeIsDecodedWhereverABlockEnds) {
  const std::pair<std::string, std::string> spellings[] = {{R"(\n)", "\n"},
                                                           {R"(\")", "\""},
                                                           {R"(\\)", "\\"},
                                                           {R"(\\\\\")", "\\\\\""},
                                                           {R"(\u0041)", "A"},
                                                           {R"(\u043f\u00e9)", "\xd0\xbf\xc3\xa9"},
                                                           {R"(\u20AC)", "\xe2\x82\xac"},
                                                           {R"(\ud83d\ude00)", "\xf0\x9f\x98\x80"},
                                                           {R"(\ud83dx)", "\xef\xbf\xbdx"},
                                                           {R"(\ud83d\n)", "\xef\xbf\xbd\n"},
                                                           {R"(\ude00\u0031)",
                                                            "\xef\xbf\xbd"
                                                            "1"}};
  for (std::size_t before = 0; before < 140; ++before)
    for (const auto& [spelling, characters] : spellings) {
      const std::string x(before, 'x');
      for (const auto decode : ways()) {
        const std::string twice = '"' + x + spelling + x + spelling + "\",\"y\"",
                          once = '"' + x + spelling + '"';
        JsonStrings first(twice), second(once);
        EXPECT_EQ(decode(first), x + characters + x + characters);
        EXPECT_EQ(decode(second), x + characters);
      }
    }
}

TEST(JsonStrings, ThereAreZerosAroundTheString) {
  for (const auto decode : ways())
    for (const std::size_t size : {std::size_t{0}, std::size_t{63}, std::size_t{64}, std::size_t{5'000}}) {
      const std::string json = '"' + std::string(size, 'x') + R"(","\n"])";
      JsonStrings strings(json);
      const std::string_view text = decode(strings);
      ASSERT_EQ(text.size(), size);
      EXPECT_EQ(strings.end(), size + 2);
      EXPECT_EQ(text.data()[-1], '\0');
      for (std::size_t i = 0; i < JsonStrings::kZeros; ++i) EXPECT_EQ(text.data()[size + i], '\0');
    }
}

TEST(JsonStrings, ATextThatEndsInTheMiddleOfAnEscapeEnds) {
  for (const auto decode : ways())
    for (std::size_t before = 0; before < 140; ++before)
      for (const char* tail : {"", "\\", "\\u", "\\u00", "\\ud83d\\", "\\ud83d\\u", "\\u20ac\\u"}) {
        const std::string json = '"' + std::string(before, 'x') + tail;
        JsonStrings strings(json);
        EXPECT_EQ(decode(strings).substr(0, before), std::string(before, 'x'));
        EXPECT_EQ(strings.end(), json.size());
      }
}

}  // namespace
}  // namespace tidewire::guard
