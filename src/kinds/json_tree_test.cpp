#include "kinds/json_tree.h"

#include <gtest/gtest.h>

#include "kinds/test_trees.h"

namespace tidewire::kinds {
namespace {

std::string again(std::string_view text) { return text_of(tree_of(text)); }

TEST(JsonTree, KeepsIntegersOfSixtyFourBitsExactly) {
  EXPECT_EQ(again("[-9223372036854775808,18446744073709551615,0]"),
            "[-9223372036854775808,18446744073709551615,0]");
}

TEST(JsonTree, KeepsOtherNumbersAsDoubles) {
  EXPECT_EQ(again("[1.0,1e2,0.1,-0.0,1e-400,2.5E+3]"), "[1.0,100.0,0.1,-0.0,0.0,2500.0]");
  EXPECT_EQ(tree_of("18446744073709551616").get<double>(), 0x1p64);
  EXPECT_EQ(tree_of("-9223372036854775809").get<double>(), -0x1p63);
  EXPECT_TRUE(tree_of(again("18446744073709551616")).is_number_float());
}

TEST(JsonTree, TakesTheLastOfDoubledKeys) {
  EXPECT_EQ(again(R"({"a":1,"b":{"x":1},"a":{"c":2},"b":{"y":2}})"), R"({"a":{"c":2},"b":{"y":2}})");
}

TEST(JsonTree, RefusesWhatItCouldNotKeep) {
  const auto message = [](std::string_view text) {
    const auto tree = parse_tree(text, "it");
    return tree ? std::string("taken") : tree.error().message;
  };
  EXPECT_NE(message("[1e400]").find("beyond the range of a double"), std::string::npos);
  EXPECT_NE(message("-1e309").find("beyond the range of a double"), std::string::npos);
  EXPECT_NE(message(std::string(400, '9')).find("beyond the range of a double"), std::string::npos);
  EXPECT_NE(message(R"("\ud800")").find("surrogate"), std::string::npos);
  EXPECT_NE(message(R"({"\udc00":1})").find("surrogate"), std::string::npos);
  EXPECT_NE(message(R"("\ud800\u0041")").find("surrogate"), std::string::npos);
  EXPECT_EQ(message(R"("\ud83d\ude00")"), "taken");
  EXPECT_EQ(message(std::string(128, '[') + std::string(128, ']')), "taken");
  EXPECT_NE(message(std::string(129, '[') + std::string(129, ']')).find("deeper"), std::string::npos);
  EXPECT_NE(message(std::string(1'000'000, '[')).find("deeper"), std::string::npos);
}

TEST(JsonTree, MeasuresWhatItWrites) {
  Dice dice(1);
  for (int i = 0; i < 5000; ++i) {
    const Json tree = random_tree(dice, 4);
    const std::string text = text_of(tree);
    ASSERT_EQ(measure(tree).bytes, text.size()) << text;
    ASSERT_EQ(text_of(tree_of(text)), text);
    ASSERT_TRUE(same_value(tree_of(text), tree));
    // Another writer spells numbers and strings in the same way.
    ASSERT_EQ(Json::parse(text), tree);
  }
}

TEST(JsonTree, CountsDepthAsTheScannerDoes) {
  EXPECT_EQ(measure(tree_of("1")).depth, 0u);
  EXPECT_EQ(measure(tree_of("{}")).depth, 1u);
  EXPECT_EQ(measure(tree_of(R"([1,{"a":[]},[]])")).depth, 3u);
}

TEST(JsonTree, ComparesNumbersByTheirExactValue) {
  const auto same = [](std::string_view a, std::string_view b) {
    EXPECT_EQ(same_value(tree_of(a), tree_of(b)), same_value(tree_of(b), tree_of(a)));
    return same_value(tree_of(a), tree_of(b));
  };
  EXPECT_TRUE(same("1", "1.0"));
  EXPECT_TRUE(same("0", "-0.0"));
  EXPECT_TRUE(same("-5", "-5.0"));
  EXPECT_TRUE(same("9007199254740992", "9007199254740992.0"));
  EXPECT_FALSE(same("9007199254740993", "9007199254740992.0"));
  EXPECT_FALSE(same("18446744073709551615", "-1"));
  EXPECT_FALSE(same("18446744073709551615", "18446744073709551616"));
  EXPECT_FALSE(same("-9223372036854775808", "9223372036854775808"));
  EXPECT_TRUE(same("-9223372036854775808", "-9.223372036854775808e18"));
  EXPECT_FALSE(same("1", "1.5"));
  EXPECT_FALSE(same("1", "true"));
  EXPECT_FALSE(same("0", "null"));
  EXPECT_FALSE(same("\"1\"", "1"));
  EXPECT_TRUE(same(R"({"a":[1,{"b":2.0}]})", R"({"a":[1.0,{"b":2}]})"));
  EXPECT_FALSE(same(R"({"a":1})", R"({"b":1})"));
  EXPECT_FALSE(same("[1]", "[1,2]"));
  EXPECT_FALSE(same("[]", "{}"));
}

}  // namespace
}  // namespace tidewire::kinds
