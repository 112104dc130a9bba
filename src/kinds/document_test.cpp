#include "kinds/document.h"

#include <gtest/gtest.h>

#include "kinds/merge_patch.h"
#include "kinds/test_events.h"
#include "kinds/test_trees.h"

namespace tidewire::kinds {
namespace {

using DocumentFeed = Feed<Document>;

Said puts(std::string_view payload) { return {.payload = payload, .form = "data"}; }
Said merges(std::string_view payload) { return {.payload = payload, .form = "merge"}; }
Said patches(std::string_view payload) { return {.payload = payload, .form = "patch"}; }

std::vector<Run> runs_of(const std::vector<Event>& events) {
  std::vector<kinds::Run> runs;
  for (const Event& event : events) runs.push_back(run_of(event));
  return runs;
}

TEST(Document, StartsAsNullAndTakesEachForm) {
  DocumentFeed feed;
  EXPECT_EQ(feed.snapshot(), "null");
  EXPECT_TRUE(feed(merges(R"({"a": {"b": 1, "c": null}})")));
  EXPECT_EQ(feed.snapshot(), R"({"a":{"b":1}})");
  EXPECT_TRUE(feed(patches(R"([{"op":"add","path":"/a/c","value":[1e2,18446744073709551615]}])")));
  EXPECT_EQ(feed.snapshot(), R"({"a":{"b":1,"c":[100.0,18446744073709551615]}})");
  EXPECT_TRUE(feed(puts(R"([true])")));
  EXPECT_EQ(feed.snapshot(), "[true]");
  EXPECT_TRUE(feed(puts("null")));
  EXPECT_EQ(feed.snapshot(), "null");
}

TEST(Document, IsNobodysAndOnlyForThoseWhoMayPublish) {
  const Document document;
  EXPECT_FALSE(document.owned_by("1"));
  EXPECT_FALSE(document.owned_by(""));
  const Event event = event_at(1, 1, puts("1"));
  EXPECT_TRUE(document.admit(event, {.user_id = "1", .may_publish = true}));
  EXPECT_TRUE(document.admit(event, {.may_publish = true}));
  EXPECT_TRUE(document.admit(event, {.server = true}));
  EXPECT_EQ(document.admit(event, {.user_id = "1", .may_subscribe = true}).error().code,
            ErrorCode::forbidden);
  EXPECT_EQ(document.admit(event, {.may_subscribe = true}).error().code, ErrorCode::unauthorized);
}

TEST(Document, NeverFoldsWhatIsEphemeral) {
  DocumentFeed feed;
  EXPECT_TRUE(feed(puts("1")));
  EXPECT_TRUE(feed.ephemeral(puts("2")));
  EXPECT_TRUE(feed.ephemeral(patches("\"no patch\"")));
  feed.fold.replay(event_at(0, 1, puts("3")));
  EXPECT_EQ(feed.snapshot(), "1");
}

TEST(Document, ARefusedEventChangesNothing) {
  DocumentFeed feed;
  EXPECT_TRUE(feed(puts(R"({"a":[1,2]})")));
  const auto code = [&feed](const Said& said) { return code_of(feed(said)); };
  EXPECT_EQ(code(patches(R"([{"op":"remove","path":"/a/0"},{"op":"remove","path":"/b"}])")),
            ErrorCode::invalid_event);
  EXPECT_EQ(code(patches(R"({"op":"remove","path":"/a"})")), ErrorCode::invalid_event);
  EXPECT_EQ(code(patches("null")), ErrorCode::invalid_event);
  EXPECT_EQ(code(puts("1e999")), ErrorCode::invalid_event);
  EXPECT_EQ(code(merges(R"({"a":-1e999})")), ErrorCode::invalid_event);
  EXPECT_EQ(code(merges(R"({"a":"\udead"})")), ErrorCode::invalid_event);
  EXPECT_EQ(code(patches(R"([{"op":"add","path":"/b","value":"\ud83d"}])")), ErrorCode::invalid_event);
  EXPECT_EQ(code(puts(std::string(129, '[') + std::string(129, ']'))), ErrorCode::invalid_event);
  EXPECT_EQ(feed.snapshot(), R"({"a":[1,2]})");
}

TEST(Document, IsAtMostSoLong) {
  DocumentFeed feed(DocumentOptions{.bytes_max = 20});
  EXPECT_TRUE(feed(puts(R"({ "a" : "0123456789ab" })")));
  EXPECT_EQ(feed.snapshot().size(), 20u);
  EXPECT_EQ(code_of(feed(puts(R"("0123456789abcdefghi")"))), ErrorCode::too_large);
  EXPECT_EQ(code_of(feed(merges(R"({"b":1})"))), ErrorCode::too_large);
  EXPECT_EQ(code_of(feed(patches(R"([{"op":"add","path":"/b","value":1}])"))), ErrorCode::too_large);
  EXPECT_TRUE(feed(merges(R"({"a":null,"b":"0123456789ab"})")));
  EXPECT_TRUE(feed(patches(R"([{"op":"move","from":"/b","path":"/a"}])")));
  EXPECT_EQ(code_of(feed(patches(R"([{"op":"copy","from":"/a","path":"/b"}])"))), ErrorCode::too_large);
}

TEST(Document, ReplaysWhatWasTakenUnderAHigherLimit) {
  Document document({.bytes_max = 4});
  document.replay(event_at(1, 1, puts("[1,2,3,4]")));
  EXPECT_EQ(document.snapshot(0), "[1,2,3,4]");
  EXPECT_TRUE(document.restore("[1,2,3,4,5]"));
  document.replay(event_at(2, 1, patches(R"([{"op":"copy","from":"/0","path":"/-"}])")));
  EXPECT_EQ(document.snapshot(0), "[1,2,3,4,5,1]");
  EXPECT_EQ(code_of(document.take(event_at(3, 1, merges("[1,2,3]")), {})), ErrorCode::too_large);
  EXPECT_TRUE(document.take(event_at(3, 1, merges("1")), {}));
}

TEST(Document, CannotBeRestoredFromWhatIsNoDocument) {
  Document document;
  EXPECT_TRUE(document.restore(R"({"a":1})"));
  for (const std::string_view bad : {"", "{", "1 2", "[1e999]", R"("\ud800")"}) {
    EXPECT_FALSE(document.restore(bad)) << bad;
    EXPECT_EQ(document.save(), "null");
  }
}

TEST(Document, AWholeDocumentStandsForAnyStretch) {
  DocumentFeed feed;
  EXPECT_TRUE(feed(puts(R"({"a":1})")));
  EXPECT_EQ(feed.fold.whole(3, 7, 99).view(), R"("seq":7,"first_seq":3,"timestamp":99,"data":{"a":1}})");
  EXPECT_EQ(feed.fold.whole(7, 7, 99).view(), R"("seq":7,"timestamp":99,"data":{"a":1}})");
}

TEST(Document, MergesInARowBecomeOne) {
  const Document document;
  std::vector<kinds::Run> runs;
  runs.push_back(run_of(event_at(4, 100, merges(R"({"a":1,"b":{"x":1}})"))));
  runs.push_back(run_of(event_at(5, 110, merges(R"({"b":{"y":null},"c":"\u00e9"})"))));
  runs.push_back(
      {.first = 6,
       .last = 9,
       .body = SharedBytes(R"("seq":9,"first_seq":6,"timestamp":120,"event":"e","from":{"user":null},)"
                           R"("priority":"low","merge":{"a": null}})")});
  const auto merged = document.conflate(std::move(runs));
  ASSERT_TRUE(merged.has_value());
  ASSERT_EQ(merged->size(), 1u);
  EXPECT_EQ(merged->front().first, 4u);
  EXPECT_EQ(merged->front().last, 9u);
  EXPECT_EQ(merged->front().body.view(),
            R"("seq":9,"first_seq":4,"timestamp":120,"event":"e","from":{"user":null},"priority":"low",)"
            "\"merge\":{\"a\":null,\"b\":{\"x\":1,\"y\":null},\"c\":\"\xc3\xa9\"}}");
}

TEST(Document, OneEventStaysByteForByte) {
  const Document document;
  for (const Said& said : {merges(R"({ "a" : 1e2 })"), puts("[ 1 ]"), patches("[ ]")}) {
    const Event event = event_at(1, 1, said);
    const auto alone = document.conflate(runs_of({event}));
    ASSERT_TRUE(alone.has_value());
    EXPECT_EQ(alone->front().body, event.body);
  }
  EXPECT_TRUE(document.conflate({})->empty());
}

TEST(Document, OnlyTheWholeStandsForWhatNoMergeCanSay) {
  const Document document({.bytes_max = 40});
  const auto conflated = [&document](const Said& first, const Said& second) {
    return document.conflate(runs_of({event_at(1, 1, first), event_at(2, 2, second)})).has_value();
  };
  EXPECT_TRUE(conflated(merges(R"({"a":1})"), merges(R"({"b":1})")));
  EXPECT_FALSE(conflated(puts(R"({"a":1})"), merges(R"({"b":1})")));
  EXPECT_FALSE(conflated(merges(R"({"b":1})"), puts(R"({"a":1})")));
  EXPECT_FALSE(conflated(patches("[]"), merges("{}")));
  EXPECT_FALSE(conflated(merges("{}"), patches("[]")));
  EXPECT_FALSE(conflated(merges(R"({"a":null})"), merges(R"({"a":{"b":1}})")));
  EXPECT_FALSE(conflated(merges(R"({"a":"0123456789012345"})"), merges(R"({"b":"0123456789012345"})")));
}

Said random_said(Dice& dice, const std::string& document, std::string& payload) {
  const std::size_t form = dice.below(8);
  if (form == 0) return puts(payload = text_of(random_tree(dice, 3)));
  if (form < 5) {
    Json tree = random_tree(dice, 3);
    if (!tree.is_object() && !dice.one_in(4)) tree = Json::object({{random_key(dice), tree}});
    return merges(payload = text_of(tree));
  }
  Json operations = Json::array();
  const Json tree = Json::parse(document);
  for (std::size_t i = dice.below(3); i > 0; --i) operations.push_back(random_operation(dice, tree));
  return patches(payload = text_of(operations));
}

TEST(Document, IsTheSameTakenReplayedAndRestoredAnywhere) {
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    Dice dice(seed);
    DocumentFeed feed(DocumentOptions{.bytes_max = 200});
    for (int i = 0; i < 20; ++i) {
      std::string payload;
      (void)feed(random_said(dice, feed.snapshot(), payload));
      ASSERT_LE(feed.snapshot().size(), 200u);
      if (dice.one_in(5)) feed.save_and_restore();
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

TEST(Document, AReaderOfConflatedDeliveriesSeesTheSame) {
  int merged = 0;
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    Dice dice(seed);
    DocumentFeed feed(DocumentOptions{.bytes_max = 300});
    Document reader;
    std::size_t seen = 0;
    for (int i = 0; i < 30; ++i) {
      std::string payload;
      (void)feed(random_said(dice, feed.snapshot(), payload));
      if (seen == feed.events.size() || !dice.one_in(3)) continue;
      const std::vector<Event> window(feed.events.begin() + static_cast<std::ptrdiff_t>(seen),
                                      feed.events.end());
      if (auto runs = feed.fold.conflate(runs_of(window))) {
        ASSERT_EQ(runs->size(), 1u);
        merged += window.size() > 1;
        reader.replay(event_of(runs->front().body, 0));
      } else {
        reader.replay(event_of(feed.fold.whole(seen + 1, feed.seq, 1), 0));
      }
      seen = feed.events.size();
      ASSERT_EQ(reader.snapshot(0), feed.snapshot()) << seed;
    }
  }
  EXPECT_GT(merged, 1000);
}

}  // namespace
}  // namespace tidewire::kinds
