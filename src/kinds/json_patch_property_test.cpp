// Random patches of random documents, against another implementation and against themselves, one operation
// at a time.

#include <gtest/gtest.h>

#include <optional>

#include "kinds/json_patch.h"
#include "kinds/test_trees.h"

namespace tidewire::kinds {
namespace {

const Json* at(const Json& document, const std::string& pointer) {
  try {
    return &document.at(Json::json_pointer(pointer));
  } catch (const Json::exception&) {
    return nullptr;
  }
}

// What another implementation makes of one operation; nullopt: refused. It does not look whether the target's
// parent is a scalar, and a move is a remove and an add to it.
std::optional<Json> oracle(const Json& document, const Json& operation) {
  const std::string name = operation["op"], path = operation["path"];
  if (name == "move") {
    const std::string from = operation["from"];
    const Json* value = at(document, from);
    if (value == nullptr || path.starts_with(from + "/")) return std::nullopt;
    if (path == from) return document;
    const auto without = oracle(document, {{"op", "remove"}, {"path", from}});
    return without ? oracle(*without, {{"op", "add"}, {"path", path}, {"value", *value}}) : std::nullopt;
  }
  if (name == "test") {
    const Json* value = at(document, path);
    // To it -1 and 2^64-1 are equal.
    return value != nullptr && same_value(*value, operation["value"]) ? std::optional(document)
                                                                      : std::nullopt;
  }
  if (!path.empty()) {
    const Json* parent = at(document, Json::json_pointer(path).parent_pointer().to_string());
    if (parent == nullptr || parent->is_primitive()) return std::nullopt;
  }
  try {
    return document.patch(Json::array({operation}));
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

TEST(JsonPatch, AgreesWithAnotherImplementation) {
  Dice dice(4);
  int done = 0;
  for (int i = 0; i < 15000; ++i) {
    Json document = random_tree(dice, 4);
    std::size_t bytes = measure(document).bytes;
    for (int k = 0; k < 4; ++k) {
      const Json operation = random_operation(dice, document);
      const auto expected = oracle(document, operation);
      const std::string before = text_of(document);
      const auto applied = apply_patch(document, bytes, Json::array({operation}), kPatchLimits);
      ASSERT_EQ(applied.has_value(), expected.has_value()) << before << " + " << text_of(operation);
      ASSERT_EQ(text_of(document), expected ? text_of(*expected) : before)
          << before << " + " << text_of(operation);
      ASSERT_EQ(bytes, measure(document).bytes) << before << " + " << text_of(operation);
      done += applied.has_value();
    }
  }
  EXPECT_GT(done, 10000);
}

TEST(JsonPatch, ManyOperationsAreAllOrNone) {
  Dice dice(5);
  int refused_late = 0;
  for (int i = 0; i < 20000; ++i) {
    const Json document = random_tree(dice, 4);
    Json step_by_step = document, at_once = document;
    std::size_t step_bytes = measure(document).bytes, bytes = step_bytes;
    Json patch = Json::array();
    bool refused = false;
    for (int k = 0; k < 8 && !refused; ++k) {
      patch.push_back(random_operation(dice, step_by_step));
      refused = !apply_patch(step_by_step, step_bytes, Json::array({patch.back()}), kPatchLimits);
    }
    refused_late += refused && patch.size() > 2;
    ASSERT_EQ(apply_patch(at_once, bytes, Json(patch), kPatchLimits).has_value(), !refused);
    ASSERT_EQ(text_of(at_once), text_of(refused ? document : step_by_step)) << text_of(patch);
    ASSERT_EQ(bytes, measure(at_once).bytes);
  }
  EXPECT_GT(refused_late, 1500);
}

}  // namespace
}  // namespace tidewire::kinds
