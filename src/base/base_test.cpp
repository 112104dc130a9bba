#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json_text.h"
#include "base/shared_bytes.h"
#include "base/slab.h"

namespace tidewire {
namespace {

TEST(Slab, HandleOfAnErasedObjectNeverResolvesAgain) {
  Slab<std::string> slab;
  const Handle first = slab.emplace("one");
  slab.erase(first);
  const Handle second = slab.emplace("two");
  EXPECT_EQ(first.index, second.index);
  EXPECT_EQ(slab.get(first), nullptr);
  EXPECT_EQ(*slab.get(second), "two");
  EXPECT_EQ(slab.size(), 1u);
}

TEST(Slab, ForetellsTheNextHandleAndKeepsAddresses) {
  Slab<int> slab;
  const Handle foretold = slab.handle_of_next();
  const Handle first = slab.emplace(7);
  EXPECT_EQ(foretold, first);
  int* address = slab.get(first);
  for (int i = 0; i < 1000; ++i) slab.emplace(i);
  EXPECT_EQ(slab.get(first), address);
  EXPECT_EQ(slab.get(Handle{}), nullptr);
  EXPECT_EQ(slab.get(Handle{5000, 1}), nullptr);
}

TEST(Slab, NoHandleResolvesToASlotThatIsFree) {
  Slab<std::string> slab;
  const Handle kept = slab.emplace("kept");
  const Handle gone = slab.emplace("gone");
  slab.erase(gone);
  for (std::uint32_t generation = 0; generation < 10; ++generation)
    EXPECT_EQ(slab.get(Handle{gone.index, generation}), nullptr);
  EXPECT_FALSE(slab.handle_at(gone.index));
  EXPECT_EQ(slab.handle_at(kept.index), kept);
  std::size_t seen = 0;
  slab.for_each([&](Handle handle, std::string& text) {
    EXPECT_EQ(handle, kept);
    EXPECT_EQ(text, "kept");
    ++seen;
  });
  EXPECT_EQ(seen, 1u);
}

TEST(SharedBytes, JoinsTwoPartsAndSharesThem) {
  SharedBytes a("head", "tail");
  SharedBytes b = a;
  a = SharedBytes();
  EXPECT_EQ(b.view(), "headtail");
  EXPECT_EQ(a.view(), "");
}

TEST(JsonText, EscapesWhatJsonDemands) {
  EXPECT_EQ(json_string("a\"b\\c\n\x01 \xc3\xa4"), "\"a\\\"b\\\\c\\n\\u0001 \xc3\xa4\"");
}

TEST(JsonText, RemovesLineBreaksBetweenTokens) {
  std::string out;
  append_json_without_line_breaks(out, "{\r\n \"a\":1\n}");
  EXPECT_EQ(out, "{ \"a\":1}");
  for (const auto& [text, flat] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"\n", ""}, {"1\r", "1"}, {"\r1\n\n\r2\n3", "123"}, {"[1]", "[1]"}}) {
    std::string one;
    append_json_without_line_breaks(one, text);
    EXPECT_EQ(one, flat);
  }
}

TEST(ErrorCode, HasTheNamesAndStatusesOfTheSpec) {
  EXPECT_EQ(name_of(ErrorCode::token_not_yet_valid), "token_not_yet_valid");
  EXPECT_EQ(http_status_of(ErrorCode::too_large), 413);
  EXPECT_EQ(fail(ErrorCode::conflict).error().message, "the channel has moved on");
}

}  // namespace
}  // namespace tidewire
