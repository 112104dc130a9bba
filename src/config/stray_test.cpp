#include "config/stray.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewire::config {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

TEST(StrayCharacter, IsFoundOutsideQuotesAndComments) {
  EXPECT_EQ(find_stray_character("caf\xc3\xa9 = 1"), 3u);
  EXPECT_EQ(find_stray_character("a = 1\n\x02"), 6u);
  EXPECT_EQ(find_stray_character("a = \"x\" \xc3\xa9"), 8u);
  EXPECT_EQ(find_stray_character("a = '''x''' \xc3\xa9"), 12u);
  EXPECT_EQ(find_stray_character(std::string_view("a\0b", 3)), 1u);
}

TEST(StrayCharacter, IsWelcomeInQuotesAndComments) {
  EXPECT_EQ(find_stray_character(""), kNone);
  EXPECT_EQ(find_stray_character("\xef\xbb\xbf"
                                 "a = 1\r\n\tb = 2"),
            kNone);
  EXPECT_EQ(find_stray_character("# caf\xc3\xa9\na = 1 # \xc3\xa9"), kNone);
  EXPECT_EQ(find_stray_character("\"\xc3\xa9\" = '\xc3\xa9'"), kNone);
  EXPECT_EQ(find_stray_character("a = \"\\\"\xc3\xa9\""), kNone);
  EXPECT_EQ(find_stray_character("a = \"# no comment\" # \xc3\xa9"), kNone);
  EXPECT_EQ(find_stray_character("a = \"\"\"\n\xc3\xa9 \"\" \\\"\"\" \xc3\xa9\"\"\"\"\" # \xc3\xa9"), kNone);
  EXPECT_EQ(find_stray_character("a = '''\n\xc3\xa9\\'''"), kNone);
}

TEST(StrayCharacter, IsFoundBehindAnEmptyOrBrokenString) {
  EXPECT_EQ(find_stray_character("a = \"\" \xc3\xa9"), 7u);
  EXPECT_EQ(find_stray_character("a = \"x\n\xc3\xa9"), 7u);
  EXPECT_EQ(find_stray_character("a = \"\"\"x"), kNone);
  EXPECT_EQ(find_stray_character("a = \"\\"), kNone);
}

}  // namespace
}  // namespace tidewire::config
