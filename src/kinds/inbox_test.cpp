#include "kinds/inbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinds/test_written.h"

namespace tidewire::kinds {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum Priority;

constexpr std::size_t kMany = 1'000'000;

struct World {
  explicit World(std::size_t entries_max = 1000) : World(InboxOptions{.entries_max = entries_max}) {}
  explicit World(const InboxOptions& of_inbox) : options(std::make_shared<InboxOptions>(of_inbox)) {}

  Result<Taken> take(const Written& written) { return inbox.take(written.event(), {.may_publish = true}); }
  Result<Taken> add(std::uint64_t seq, std::optional<Priority> priority = {}) {
    return take({.seq = seq, .name = "notify", .data = std::to_string(seq), .priority = priority});
  }
  Result<Taken> ack(std::uint64_t seq, const std::string& data) {
    return take({.seq = seq, .name = "ack", .author = "7", .data = data});
  }
  std::vector<std::uint64_t> order(Inbox::Cursor after = {}, std::uint64_t up_to = kMany,
                                   std::int64_t now_ms = 1000) const {
    std::vector<std::uint64_t> seqs;
    for (const auto& pending : inbox.backlog(after, up_to, kMany, kMany, now_ms)) seqs.push_back(pending.seq);
    return seqs;
  }

  std::shared_ptr<InboxOptions> options;
  Inbox inbox{"7", options};
};

TEST(Inbox, ShowsWhatIsPendingInTheOrderOfDelivery) {
  World world;
  world.take({.seq = 1, .name = "notify", .author = "3", .data = R"({"a":1})"});
  world.take({.seq = 2, .name = "alarm", .data = "2", .priority = critical});
  world.take({.seq = 3, .name = "notify", .data = "3"});
  EXPECT_EQ(
      world.inbox.snapshot(1000),
      R"({"pending":[{"seq":2,"timestamp":1000,"event":"alarm","priority":"critical","data":2},)"
      R"({"seq":1,"timestamp":1000,"event":"notify","from":{"user":{"id":3,"type":"user"},"connection":"c-1"},)"
      R"("data":{"a":1}},{"seq":3,"timestamp":1000,"event":"notify","data":3}],)"
      R"("counts":{"critical":1,"high":0,"medium":2,"low":0}})");
}

TEST(Inbox, IsSmallAndShowsNothingWhileItIsEmpty) {
  World world;
  EXPECT_LE(sizeof(Inbox), 64u);
  EXPECT_EQ(world.inbox.snapshot(0), R"({"pending":[],"counts":{"critical":0,"high":0,"medium":0,"low":0}})");
  EXPECT_EQ(world.inbox.save(), R"({"v":1,"pending":[]})");
  EXPECT_EQ(world.inbox.oldest_seq(), 0u);
  EXPECT_EQ(world.inbox.size(0), 0u);
  EXPECT_THAT(world.order(), IsEmpty());
  const std::uint64_t seqs[] = {1};
  EXPECT_THAT(world.inbox.pending_among(seqs, 0), IsEmpty());
  EXPECT_THAT(world.inbox.pending_up_to(5, 0), IsEmpty());
  EXPECT_EQ(outcome(world.ack(1, R"({"seqs":[1]})")), "ok");
}

TEST(Inbox, BelongsToItsUserAlone) {
  const World world;
  EXPECT_TRUE(world.inbox.owned_by("7"));
  EXPECT_FALSE(world.inbox.owned_by("8"));
  EXPECT_FALSE(world.inbox.owned_by(""));
  const Inbox nobodys("", std::make_shared<InboxOptions>());
  EXPECT_FALSE(nobodys.owned_by(""));
}

TEST(Inbox, IsPublishedToByTheRuleOrAGrantAlone) {
  const World world;
  const Event event = Written{.seq = 1, .name = "notify"}.event();
  EXPECT_EQ(outcome(world.inbox.admit(event, {.user_id = "7", .user_json = "7", .may_subscribe = true})),
            "forbidden");
  EXPECT_EQ(outcome(world.inbox.admit(event, {})), "forbidden");
  EXPECT_EQ(outcome(world.inbox.admit(event, {.server = true, .may_publish = true})), "ok");
  EXPECT_EQ(outcome(world.inbox.admit(event, {.user_id = "8", .may_publish = true})), "ok");
}

TEST(Inbox, TakesEveryNameButAckForAnEntry) {
  World world;
  EXPECT_EQ(outcome(world.take({.seq = 1})), "ok");
  EXPECT_EQ(outcome(world.take({.seq = 2, .name = "Ack"})), "ok");
  EXPECT_EQ(outcome(world.take({.seq = 3, .name = "session_message"})), "ok");
  EXPECT_THAT(world.order(), ElementsAre(1, 2, 3));
}

TEST(Inbox, RefusesEphemeralEventsMergesAndPatches) {
  World world;
  EXPECT_EQ(outcome(world.take({.seq = 0, .name = "notify"})), "invalid_event");
  EXPECT_EQ(outcome(world.take({.seq = 0, .name = "ack", .data = R"({"seqs":[1]})"})), "invalid_event");
  EXPECT_EQ(outcome(world.take({.seq = 1, .name = "notify", .data = "{}", .form = "merge"})),
            "invalid_event");
  EXPECT_EQ(outcome(world.take({.seq = 1, .name = "notify", .data = "[]", .form = "patch"})),
            "invalid_event");
  EXPECT_EQ(world.inbox.size(1000), 0u);
}

TEST(Inbox, RefusesAnAckOfAnotherShape) {
  World world;
  world.add(1);
  const std::string before = world.inbox.save();
  for (const char* data :
       {"null", "1", "\"seqs\"", "[1]", "{}", R"({"seqs":1})", R"({"seqs":null})", R"({"seqs":{"0":1}})",
        R"({"seqs":["1"]})", R"({"seqs":[1.0]})", R"({"seqs":[1e0]})", R"({"seqs":[0]})", R"({"seqs":[-1]})",
        R"({"seqs":[1,null]})", R"({"seqs":[[1]]})", R"({"seqs":[9007199254740992]})", R"({"up_to":1})",
        R"({"seqs":[99999999999999999999999]})"}) {
    EXPECT_EQ(outcome(world.ack(2, data)), "invalid_event") << data;
    EXPECT_EQ(world.inbox.save(), before) << data;
  }
}

TEST(Inbox, LosesWhatIsAckedAndOverlooksWhatIsNot) {
  World world;
  for (std::uint64_t seq = 1; seq <= 5; ++seq) world.add(seq, seq % 2 == 0 ? high : low);
  EXPECT_EQ(outcome(world.ack(6, R"({ "seqs" : [ 3, 2, 2, 77, 9007199254740991 ], "x":1 })")), "ok");
  EXPECT_THAT(world.order(), ElementsAre(4, 1, 5));
  EXPECT_EQ(outcome(world.ack(7, R"({"seqs":[ ]})")), "ok");
  EXPECT_EQ(outcome(world.ack(8, R"({"seqs":[1,4,5]})")), "ok");
  EXPECT_EQ(world.inbox.save(), World().inbox.save());
}

TEST(Inbox, GivesAnEntryThatSaysNoneMediumPriorityAndTheTimeOfTheOptions) {
  World world({.ttl_ms = 500});
  world.add(1);
  world.take({.seq = 2, .expires_ms = 1200, .name = "notify", .priority = high});
  const auto all = world.inbox.backlog({}, kMany, kMany, kMany, 1000);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].priority, high);
  EXPECT_EQ(all[0].expires_ms, 1200);
  EXPECT_EQ(all[1].priority, medium);
  EXPECT_EQ(all[1].expires_ms, 1500);
  EXPECT_EQ(all[1].body.view(), R"("seq":1,"timestamp":1000,"event":"notify","data":1})");
}

TEST(Inbox, HidesExpiredEntriesAndHoldsThemUntilTheNextEvent) {
  World world;
  world.take({.seq = 1, .expires_ms = 1200, .name = "notify"});
  world.take({.seq = 2, .expires_ms = 2000, .name = "notify"});
  EXPECT_EQ(world.inbox.size(1199), 2u);
  EXPECT_EQ(world.inbox.size(1200), 1u);
  EXPECT_THAT(world.order({}, kMany, 1200), ElementsAre(2));
  const std::uint64_t both[] = {2, 1, 2};
  EXPECT_THAT(world.inbox.pending_among(both, 1199), ElementsAre(1, 2));
  EXPECT_THAT(world.inbox.pending_among(both, 1200), ElementsAre(2));
  EXPECT_THAT(world.inbox.pending_up_to(2, 1200), ElementsAre(2));
  EXPECT_THAT(world.inbox.snapshot(1200), HasSubstr(R"("medium":1)"));
  EXPECT_EQ(world.inbox.oldest_seq(), 1u);
  world.take({.seq = 3, .timestamp_ms = 1500, .name = "notify"});
  EXPECT_EQ(world.inbox.oldest_seq(), 2u);
  EXPECT_EQ(outcome(world.take({.seq = 4, .timestamp_ms = 2000, .name = "ack", .data = R"({"seqs":[]})"})),
            "ok");
  EXPECT_EQ(world.inbox.oldest_seq(), 3u);
}

TEST(Inbox, LosesTheOldestOfTheLowestPriorityWhenItIsFull) {
  World world(3);
  world.add(1, medium);
  world.add(2, low);
  world.add(3, low);
  EXPECT_FALSE(world.add(4, low)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(1, 3, 4));
  EXPECT_FALSE(world.add(5, critical)->dropped);
  EXPECT_FALSE(world.add(6, high)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(5, 6, 1));
  EXPECT_FALSE(world.add(7, medium)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(5, 6, 7));
}

TEST(Inbox, DropsANewEntryThatIsLowerThanAllWhenItIsFull) {
  World world(2);
  world.add(1, high);
  world.add(2, medium);
  const std::string before = world.inbox.save();
  EXPECT_TRUE(world.add(3, low)->dropped);
  EXPECT_EQ(world.inbox.save(), before);
  EXPECT_FALSE(world.add(3, medium)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(1, 3));
}

TEST(Inbox, NeverPushesACriticalEntryOutForALowerOne) {
  World world(3);
  for (std::uint64_t seq = 1; seq <= 3; ++seq) world.add(seq, critical);
  for (const Priority priority : {high, medium, low}) EXPECT_TRUE(world.add(4, priority)->dropped);
  EXPECT_FALSE(world.add(4, critical)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(2, 3, 4));
}

TEST(Inbox, LetsExpiredEntriesGoBeforeOthers) {
  World world(2);
  world.take({.seq = 1, .expires_ms = 1100, .name = "notify", .priority = critical});
  world.take({.seq = 2, .name = "notify", .priority = high});
  EXPECT_FALSE(world.take({.seq = 3, .timestamp_ms = 1100, .name = "notify", .priority = low})->dropped);
  EXPECT_THAT(world.order({}, kMany, 1100), ElementsAre(2, 3));
}

TEST(Inbox, IsTrimmedByTheNextEventAfterItsBoundHasShrunk) {
  World world;
  for (std::uint64_t seq = 1; seq <= 6; ++seq) world.add(seq, seq <= 3 ? low : high);
  world.options->entries_max = 4;
  EXPECT_THAT(world.order(), ElementsAre(4, 5, 6, 1, 2, 3));
  world.ack(7, R"({"seqs":[]})");
  EXPECT_THAT(world.order(), ElementsAre(4, 5, 6, 3));
  world.options->entries_max = 2;
  EXPECT_TRUE(world.add(8, low)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(4, 5, 6, 3));
  EXPECT_FALSE(world.add(8, high)->dropped);
  EXPECT_THAT(world.order(), ElementsAre(6, 8));
}

// The body of an entry with so much text.
Written sized(std::uint64_t seq, Priority priority, std::size_t text) {
  return {.seq = seq, .name = "notify", .data = '"' + std::string(text, 'x') + '"', .priority = priority};
}

TEST(Inbox, LosesTheOldestOfTheLowestPriorityWhenItHoldsTooManyBytes) {
  World world({.bytes_max = 10'000});
  world.take(sized(1, medium, 3000));
  world.take(sized(2, low, 3000));
  world.take(sized(3, low, 3000));
  EXPECT_THAT(world.order(), ElementsAre(1, 2, 3));
  EXPECT_FALSE(world.take(sized(4, low, 3000))->dropped);
  EXPECT_THAT(world.order(), ElementsAre(1, 3, 4));
  EXPECT_FALSE(world.take(sized(5, critical, 6500))->dropped);
  EXPECT_THAT(world.order(), ElementsAre(5, 1));
  EXPECT_FALSE(world.take(sized(6, medium, 1000))->dropped);
  EXPECT_THAT(world.order(), ElementsAre(5, 6));
}

TEST(Inbox, DropsANewEntryThatDoesNotFitBesideTheMoreImportantOnes) {
  World world({.bytes_max = 10'000});
  world.take(sized(1, high, 7000));
  world.take(sized(2, low, 100));
  const std::string before = world.inbox.save();
  EXPECT_TRUE(world.take(sized(3, low, 3000))->dropped);
  EXPECT_TRUE(world.take(sized(3, medium, 20'000))->dropped);
  EXPECT_EQ(world.inbox.save(), before);
  EXPECT_FALSE(world.take(sized(3, high, 7000))->dropped);
  EXPECT_THAT(world.order(), ElementsAre(3));
}

TEST(Inbox, HoldsAnEntryThatIsOverTheBoundByItself) {
  World world({.bytes_max = 10'000});
  world.take(sized(1, low, 100));
  EXPECT_FALSE(world.take(sized(2, low, 20'000))->dropped);
  EXPECT_THAT(world.order(), ElementsAre(2));
  EXPECT_FALSE(world.take(sized(3, low, 100))->dropped);
  EXPECT_THAT(world.order(), ElementsAre(3));
}

TEST(Inbox, IsAsFullOfBytesWhenItIsRestored) {
  World world({.bytes_max = 10'000}), other({.bytes_max = 10'000});
  for (std::uint64_t seq = 1; seq <= 3; ++seq) world.take(sized(seq, medium, 3000));
  ASSERT_TRUE(other.inbox.restore(world.inbox.save()));
  for (World* each : {&world, &other}) {
    each->take(sized(4, medium, 3000));
    EXPECT_THAT(each->order(), ElementsAre(2, 3, 4));
  }
}

TEST(Inbox, GoesOnBehindTheCursor) {
  World world;
  world.add(1, low);
  world.add(2, critical);
  world.add(3, medium);
  world.add(4, critical);
  world.add(5, low);
  EXPECT_THAT(world.order({critical, 0}), ElementsAre(2, 4, 3, 1, 5));
  EXPECT_THAT(world.order({critical, 2}), ElementsAre(4, 3, 1, 5));
  EXPECT_THAT(world.order({high, 9}), ElementsAre(3, 1, 5));
  EXPECT_THAT(world.order({low, 1}), ElementsAre(5));
  EXPECT_THAT(world.order({low, 5}), IsEmpty());
  EXPECT_THAT(world.order({low, ~std::uint64_t{0}}), IsEmpty());
  EXPECT_THAT(world.order({critical, ~std::uint64_t{0}}), ElementsAre(3, 1, 5));
  EXPECT_THAT(world.order({}, 3), ElementsAre(2, 3, 1));
  EXPECT_THAT(world.order({}, 0), IsEmpty());
}

TEST(Inbox, GivesAsMuchOfTheBacklogAsBothBoundsAllow) {
  World world;
  for (std::uint64_t seq = 1; seq <= 5; ++seq) world.add(seq);
  const std::size_t one = world.inbox.backlog({}, 1, 1, kMany, 0)[0].body.size();
  EXPECT_EQ(world.inbox.backlog({}, kMany, 2, kMany, 0).size(), 2u);
  EXPECT_EQ(world.inbox.backlog({}, kMany, kMany, 3 * one, 0).size(), 3u);
  EXPECT_EQ(world.inbox.backlog({}, kMany, kMany, 3 * one - 1, 0).size(), 2u);
  EXPECT_EQ(world.inbox.backlog({}, kMany, kMany, 0, 0).size(), 1u);
  EXPECT_EQ(world.inbox.backlog({}, kMany, 0, kMany, 0).size(), 1u);
}

TEST(Inbox, SavesBodiesAsTheyAre) {
  World world;
  const std::string data =
      R"({"n":1.0e+2,"big":123456789012345678901234567890,"s":"\u003cx\/\"]","a":[ 1 ,{ }]})";
  world.take({.seq = 1, .name = "no\"te", .author = "\"a\"", .data = data, .priority = high});
  world.take({.seq = 2, .expires_ms = 123456, .name = "notify", .data = "[[[]]]"});
  World other;
  ASSERT_TRUE(other.inbox.restore(world.inbox.save()));
  EXPECT_EQ(other.inbox.save(), world.inbox.save());
  EXPECT_EQ(other.inbox.snapshot(1000), world.inbox.snapshot(1000));
  EXPECT_THAT(other.inbox.snapshot(1000), HasSubstr(data));
}

TEST(Inbox, SavesTheDeepestDataThatAMessageMayHave) {
  World world;
  world.take({.seq = 1, .data = std::string(512, '[') + std::string(512, ']')});
  World other;
  EXPECT_TRUE(other.inbox.restore(world.inbox.save()));
  EXPECT_EQ(other.inbox.save(), world.inbox.save());
}

TEST(Inbox, IsAsNewWhenTheSavedStateCantBeRead) {
  const std::string entry = R"([2,1,5000,{"seq":1,"data":null}])";
  World world;
  EXPECT_TRUE(world.inbox.restore(R"({"v":1,"pending":[)" + entry + "]}"));
  EXPECT_EQ(world.inbox.size(1000), 1u);
  for (const std::string& saved : std::vector<std::string>{
           "", "{", "null", "[]", "{}", R"({"v":2,"pending":[]})", R"({"pending":[]})", R"({"v":1})",
           R"({"v":"1","pending":[]})", R"({"v":1,"pending":{}})", R"({"v":1,"pending":[1]})",
           R"({"v":1,"pending":[[2,1,5000]]})", R"({"v":1,"pending":[[4,1,5000,{}]]})",
           R"({"v":1,"pending":[[-1,1,5000,{}]]})", R"({"v":1,"pending":[[2,0,5000,{}]]})",
           R"({"v":1,"pending":[[2,1,-9223372036854775808,{}]]})", R"({"v":1,"pending":[[2,1,"5000",{}]]})",
           R"({"v":1,"pending":[[2,1,5000,null]]})", R"({"v":1,"pending":[)" + entry + ",]}"}) {
    EXPECT_TRUE(world.inbox.restore(R"({"v":1,"pending":[)" + entry + "]}"));
    EXPECT_FALSE(world.inbox.restore(saved)) << saved;
    EXPECT_EQ(world.inbox.save(), World().inbox.save()) << saved;
  }
}

TEST(Inbox, OverlooksWhatItCantReplay) {
  World world;
  world.add(1);
  const std::string before = world.inbox.save();
  world.inbox.replay(Written{.seq = 0, .name = "notify"}.event());
  world.inbox.replay(Written{.seq = 2, .name = "ack", .data = "[1]"}.event());
  world.inbox.replay(Written{.seq = 2, .name = "notify", .form = "merge"}.event());
  EXPECT_EQ(world.inbox.save(), before);
}

}  // namespace
}  // namespace tidewire::kinds
