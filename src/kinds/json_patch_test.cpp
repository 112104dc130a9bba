#include "kinds/json_patch.h"

#include <gtest/gtest.h>

#include "base/json_text.h"

namespace tidewire::kinds {
namespace {

// The document after the patch; the code where it is refused. Either way the count of bytes is right, and a
// refused patch has changed nothing.
std::string patched(std::string_view document, std::string_view patch,
                    const PatchLimits& limits = kPatchLimits) {
  Json tree = tree_of(document);
  std::size_t bytes = measure(tree).bytes;
  const std::string before = text_of(tree);
  const auto done = apply_patch(tree, bytes, tree_of(patch), limits);
  EXPECT_EQ(bytes, measure(tree).bytes);
  if (done) return text_of(tree);
  EXPECT_EQ(text_of(tree), before);
  EXPECT_FALSE(done.error().message.empty());
  return std::string(name_of(done.error().code));
}

TEST(JsonPatch, DoesWhatTheExamplesOfTheRfcSay) {
  struct Example {
    std::string_view document, patch, result;
  };
  // RFC 6902, appendix A.
  constexpr Example kExamples[] = {
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])", R"({"baz":"qux","foo":"bar"})"},
      {R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
       R"({"foo":["bar","qux","baz"]})"},
      {R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
      {R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"},
      {R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])",
       R"({"baz":"boo","foo":"bar"})"},
      {R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
       R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
       R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
      {R"({"foo":["all","grass","cows","eat"]})", R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
       R"({"foo":["all","cows","eat","grass"]})"},
      {R"({"baz":"qux","foo":["a",2,"c"]})",
       R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
       R"({"baz":"qux","foo":["a",2,"c"]})"},
      {R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])", "invalid_event"},
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])",
       R"({"child":{"grandchild":{}},"foo":"bar"})"},
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])",
       R"({"baz":"qux","foo":"bar"})"},
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])", "invalid_event"},
      // Of doubled members the last one counts, so this removes something that is not there.
      {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","op":"remove"}])", "invalid_event"},
      {R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])", R"({"/":9,"~1":10})"},
      {R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":"10"}])", "invalid_event"},
      {R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])",
       R"({"foo":["bar",["abc","def"]]})"},
  };
  for (const auto& [document, patch, result] : kExamples)
    EXPECT_EQ(patched(document, patch), result) << document << " + " << patch;
}

TEST(JsonPatch, WorksOnTheWholeDocument) {
  EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"add","path":"","value":[1]}])"), "[1]");
  EXPECT_EQ(patched("null", R"([{"op":"replace","path":"","value":{}},{"op":"add","path":"/a","value":1}])"),
            R"({"a":1})");
  EXPECT_EQ(patched(R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":""}])"), R"({"b":1})");
  EXPECT_EQ(patched(R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a/b","path":""}])"), "1");
  EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"copy","from":"","path":"/b"}])"), R"({"a":1,"b":{"a":1}})");
  EXPECT_EQ(patched("[1]", R"([{"op":"test","path":"","value":[1.0]}])"), "[1]");
  EXPECT_EQ(patched("[1]", R"([{"op":"move","from":"","path":""}])"), "[1]");
  EXPECT_EQ(patched("[1]", R"([{"op":"remove","path":""}])"), "invalid_event");
  EXPECT_EQ(patched("[1]", R"([{"op":"move","from":"","path":"/0"}])"), "invalid_event");
}

TEST(JsonPatch, ReadsPointersToTheLetter) {
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"/","value":1}])"), R"({"":1})");
  EXPECT_EQ(patched(R"({"":{"":1}})", R"([{"op":"remove","path":"//"}])"), R"({"":{}})");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"/~0~1~01","value":1}])"), R"({"~/~1":1})");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"/-","value":1}])"), R"({"-":1})");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"/01","value":1}])"), R"({"01":1})");
  EXPECT_EQ(patched("[]", R"([{"op":"add","path":"/0","value":1}])"), "[1]");
  for (const std::string_view bad : {"a", "~", "/~", "/~2", "/a~", "#/a"})
    EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"add","path":)" + json_string(bad) + R"(,"value":1}])"),
              "invalid_event")
        << bad;
  for (const std::string_view bad :
       {"/3", "/-1", "/01", "/1e0", "/ 1", "/", "/a", "/18446744073709551616", "/+1", "/-/0", "/0/a", "/1/5"})
    EXPECT_EQ(patched("[1,[2]]", R"([{"op":"add","path":)" + json_string(bad) + R"(,"value":1}])"),
              "invalid_event")
        << bad;
  EXPECT_EQ(patched("[1,2]", R"([{"op":"remove","path":"/-"}])"), "invalid_event");
  EXPECT_EQ(patched("[1,2]", R"([{"op":"replace","path":"/-","value":1}])"), "invalid_event");
  EXPECT_EQ(patched("[1,2]", R"([{"op":"test","path":"/-","value":1}])"), "invalid_event");
  EXPECT_EQ(patched("[1,2]", R"([{"op":"move","from":"/-","path":"/0"}])"), "invalid_event");
  EXPECT_EQ(patched("[1,2]", R"([{"op":"move","from":"/0","path":"/-"}])"), "[2,1]");
  EXPECT_EQ(patched("[1,2]", R"([{"op":"copy","from":"/0","path":"/-"}])"), "[1,2,1]");
}

TEST(JsonPatch, RefusesWhatIsNoPatch) {
  constexpr std::string_view kBad[] = {
      "null",
      "{}",
      "\"add\"",
      "[1]",
      "[null]",
      "[[]]",
      "[{}]",
      R"([{"op":"add"}])",
      R"([{"op":"add","path":"/b"}])",
      R"([{"op":"add","path":1,"value":1}])",
      R"([{"op":"add","path":null,"value":1}])",
      R"([{"op":1,"path":"/b","value":1}])",
      R"([{"op":"Add","path":"/b","value":1}])",
      R"([{"op":"","path":"/b","value":1}])",
      R"([{"path":"/b","value":1}])",
      R"([{"op":"replace","path":"/a"}])",
      R"([{"op":"replace","path":"/b","value":1}])",
      R"([{"op":"test","path":"/a"}])",
      R"([{"op":"test","path":"/b","value":null}])",
      R"([{"op":"remove"}])",
      R"([{"op":"remove","path":"/b"}])",
      R"([{"op":"remove","path":"/a/b"}])",
      R"([{"op":"move","path":"/a"}])",
      R"([{"op":"move","path":"/a","from":7}])",
      R"([{"op":"move","path":"/a","from":"a"}])",
      R"([{"op":"move","path":"/b","from":"/c"}])",
      R"([{"op":"move","path":"/c","from":"/c"}])",
      R"([{"op":"move","path":"/a/b","from":"/a"}])",
      R"([{"op":"move","path":"/x/y","from":"/a"}])",
      R"([{"op":"copy","path":"/b"}])",
      R"([{"op":"copy","path":"/x/y","from":"/a"}])",
  };
  for (const std::string_view patch : kBad) EXPECT_EQ(patched(R"({"a":1})", patch), "invalid_event") << patch;
  EXPECT_EQ(patched(R"({"a":1})", "[]"), R"({"a":1})");
}

TEST(JsonPatch, SaysWhichOperationFailedAndWhere) {
  Json tree = tree_of(R"({"a":1})");
  std::size_t bytes = 7;
  const auto done = apply_patch(
      tree, bytes, tree_of(R"([{"op":"remove","path":"/a"},{"op":"remove","path":"/\"quoted\""}])"),
      kPatchLimits);
  EXPECT_EQ(done.error().message, R"(operation 2 of the patch: there is no such place as "/\"quoted\"")");
}

TEST(JsonPatch, CutsLongNamesInMessagesBetweenCharacters) {
  Json tree;
  std::size_t bytes = 4;
  std::string pointer = "/";
  for (int i = 0; i < 40; ++i) pointer += "\xc3\xa9";
  const Json patch = Json::array({{{"op", "remove"}, {"path", pointer}}});
  const auto done = apply_patch(tree, bytes, Json(patch), kPatchLimits);
  EXPECT_TRUE(done.error().message.ends_with("\xc3\xa9...\"")) << done.error().message;
}

TEST(JsonPatch, IsUndoneWholeWhenItsLastOperationFails) {
  constexpr std::string_view kFails = R"(,{"op":"test","path":"","value":"never"}])";
  constexpr std::string_view kPatches[] = {
      R"([{"op":"add","path":"/a/0","value":0},{"op":"add","path":"/a/-","value":9})",
      R"([{"op":"remove","path":"/a/1"},{"op":"remove","path":"/o"})",
      R"([{"op":"replace","path":"/a","value":[]},{"op":"add","path":"/a/-","value":[]})",
      R"([{"op":"move","from":"/a/2","path":"/a/0"},{"op":"move","from":"/o","path":"/a/1"})",
      R"([{"op":"move","from":"/o/x","path":"/o"},{"op":"move","from":"/o","path":""})",
      R"([{"op":"move","from":"/o/x","path":"/nowhere/y"})",
      R"([{"op":"copy","from":"","path":"/o/x"},{"op":"move","from":"/o/x","path":"/a/-"})",
      R"([{"op":"add","path":"","value":null})",
  };
  for (const std::string_view patch : kPatches)
    EXPECT_EQ(patched(R"({"a":[1,2,3],"o":{"x":{"y":1}}})", std::string(patch) + std::string(kFails)),
              "invalid_event");
}

TEST(JsonPatch, NeverNestsDeeperThanRecursionMay) {
  const std::string deep = std::string(126, '[') + "0" + std::string(126, ']');
  const std::string deeper = "[" + deep + "]";
  EXPECT_EQ(patched(R"({"a":[]})", R"([{"op":"add","path":"/a/0","value":)" + deep + "}]"),
            R"({"a":[)" + deep + "]}");
  EXPECT_EQ(patched(R"({"a":[[]]})", R"([{"op":"add","path":"/a/0/0","value":)" + deep + "}]"),
            "invalid_event");
  EXPECT_EQ(patched(R"({"a":[[0]]})", R"([{"op":"replace","path":"/a/0/0","value":)" + deep + "}]"),
            "invalid_event");
  EXPECT_EQ(patched("{\"a\":[],\"d\":" + deeper + "}", R"([{"op":"move","from":"/d","path":"/a/0"}])"),
            "invalid_event");
  EXPECT_EQ(patched("{\"a\":[],\"d\":" + deeper + "}", R"([{"op":"copy","from":"","path":"/a/0"}])"),
            "invalid_event");
  std::string nesting = "[";
  for (int i = 0; i < 10; ++i) nesting += R"({"op":"copy","from":"","path":"/a"},)";
  nesting += R"({"op":"test","path":"","value":0}])";
  EXPECT_EQ(patched("{}", nesting), "invalid_event");
}

TEST(JsonPatch, DoublingIsBounded) {
  // Each copies the whole document into itself.
  std::string doubling = "[";
  for (int i = 0; i < 60; ++i)
    doubling +=
        (i ? "," : "") + std::string(R"({"op":"copy","from":"","path":"/)") + std::to_string(i) + "\"}";
  EXPECT_EQ(patched("{}", doubling + "]"), "too_large");

  const std::string large = "{\"x\":\"" + std::string(1000, 'x') + "\"}";
  std::string copies = "[";
  for (int i = 0; i < 5; ++i)
    copies += (i ? "," : "") + std::string(R"({"op":"copy","from":"/x","path":"/y"})");
  const PatchLimits limits{.bytes_max = 3000, .copied_max = 5 * 1002, .work_max = 1 << 20};
  EXPECT_EQ(patched(large, copies + "]", limits),
            "{\"x\":\"" + std::string(1000, 'x') + "\",\"y\":\"" + std::string(1000, 'x') + "\"}");
  EXPECT_EQ(patched(large, copies + R"(,{"op":"copy","from":"/x","path":"/y"}])", limits), "too_large");
}

TEST(JsonPatch, TheDocumentAfterItCounts) {
  const PatchLimits limits{.bytes_max = 10, .copied_max = 100, .work_max = 1000};
  EXPECT_EQ(patched("[1,2,3,4]", R"([{"op":"add","path":"/-","value":5}])", limits), "too_large");
  EXPECT_EQ(
      patched("[1,2,3,4]", R"([{"op":"add","path":"/-","value":5},{"op":"remove","path":"/0"}])", limits),
      "[2,3,4,5]");
}

TEST(JsonPatch, ShiftingALongArrayAgainAndAgainIsBounded) {
  Json array = Json::array();
  for (int i = 0; i < 1000; ++i) array.push_back(i);
  std::string patch = "[";
  for (int i = 0; i < 100; ++i)
    patch += (i ? "," : "") + std::string(R"({"op":"add","path":"/0","value":0})");
  patch += "]";
  const std::string document = text_of(array);
  EXPECT_NE(patched(document, patch), "too_large");
  EXPECT_EQ(patched(document, patch, {.bytes_max = 1 << 20, .copied_max = 1 << 20, .work_max = 300'000}),
            "too_large");
  std::string moves = "[";
  for (int i = 0; i < 100; ++i)
    moves += (i ? "," : "") + std::string(R"({"op":"move","from":"/0","path":"/999"})");
  EXPECT_EQ(
      patched(document, moves + "]", {.bytes_max = 1 << 20, .copied_max = 1 << 20, .work_max = 300'000}),
      "too_large");
}

}  // namespace
}  // namespace tidewire::kinds
