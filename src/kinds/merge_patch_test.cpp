#include "kinds/merge_patch.h"

#include <gtest/gtest.h>

#include "kinds/test_trees.h"

namespace tidewire::kinds {
namespace {

std::string merged(std::string_view document, std::string_view patch) {
  Json tree = tree_of(document);
  apply_merge(tree, tree_of(patch));
  return text_of(tree);
}

TEST(MergePatch, DoesWhatTheExamplesOfTheRfcSay) {
  struct Example {
    std::string_view document, patch, result;
  };
  // RFC 7396, appendix A.
  constexpr Example kExamples[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", R"(null)", R"(null)"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& [document, patch, result] : kExamples)
    EXPECT_EQ(merged(document, patch), result) << document << " + " << patch;
}

TEST(MergePatch, KeepsNullsInsideOfArrays) {
  EXPECT_EQ(merged("{}", R"({"a":[null,{"b":null}]})"), R"({"a":[null,{"b":null}]})");
}

TEST(MergePatch, SaysBeforeHowMuchTheDocumentGrows) {
  Dice dice(2);
  for (int i = 0; i < 20000; ++i) {
    Json document = random_tree(dice, 4);
    const Json patch = random_tree(dice, 4);
    const auto before = static_cast<std::int64_t>(measure(document).bytes);
    const std::int64_t growth = merge_growth(document, patch);
    Json oracle = document;
    oracle.merge_patch(patch);
    apply_merge(document, Json(patch));
    ASSERT_EQ(document, oracle);
    ASSERT_EQ(static_cast<std::int64_t>(measure(document).bytes), before + growth)
        << text_of(patch) << " made " << text_of(document);
  }
}

TEST(MergePatch, TwoInARowAreOneWhereOneCanSayIt) {
  const auto composed = [](std::string_view first, std::string_view second) {
    Json tree = tree_of(first);
    return compose_merges(tree, tree_of(second)) ? text_of(tree) : "none";
  };
  EXPECT_EQ(composed(R"({"a":1})", R"({"b":2})"), R"({"a":1,"b":2})");
  EXPECT_EQ(composed(R"({"a":{"x":1}})", R"({"a":{"y":null}})"), R"({"a":{"x":1,"y":null}})");
  EXPECT_EQ(composed(R"({"a":{"x":1}})", R"({"a":null})"), R"({"a":null})");
  EXPECT_EQ(composed(R"({"a":null})", R"({"a":5})"), R"({"a":5})");
  EXPECT_EQ(composed(R"({"a":1})", "7"), "7");
  EXPECT_EQ(composed("7", "[]"), "[]");
  EXPECT_EQ(composed(R"({"a":null})", R"({"a":{"x":1}})"), "none");
  EXPECT_EQ(composed(R"({"a":null})", R"({"a":{}})"), "none");
  EXPECT_EQ(composed(R"({"a":5})", R"({"a":{"x":1}})"), "none");
  EXPECT_EQ(composed(R"({"a":[1]})", R"({"a":{"x":1}})"), "none");
  EXPECT_EQ(composed("7", R"({"a":1})"), "none");
  EXPECT_EQ(composed("null", "{}"), "none");
}

TEST(MergePatch, AComposedOneDoesTheSameToEveryDocument) {
  Dice dice(3);
  int composed = 0;
  for (int i = 0; i < 20000; ++i) {
    const Json first = random_tree(dice, 3), second = random_tree(dice, 3);
    Json both = first;
    if (!compose_merges(both, Json(second))) continue;
    ++composed;
    for (int k = 0; k < 5; ++k) {
      Json step_by_step = random_tree(dice, 3);
      Json at_once = step_by_step;
      apply_merge(step_by_step, Json(first));
      apply_merge(step_by_step, Json(second));
      apply_merge(at_once, Json(both));
      ASSERT_EQ(at_once, step_by_step) << text_of(first) << " then " << text_of(second);
    }
  }
  EXPECT_GT(composed, 5000);
}

}  // namespace
}  // namespace tidewire::kinds
