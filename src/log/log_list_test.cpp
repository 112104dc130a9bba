// List: the stored channels page by page, on every engine.
#include "log/log_conformance.h"

namespace tidewire::log {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

namespace {

class LogList : public LogConformance {
 protected:
  void make(std::uint32_t index, const std::string& name, bool under_way = false) {
    const Handle channel{.index = index, .generation = 1};
    Append first = append(channel, {entry(1, "m")});
    first.under_way = under_way;
    run({open(channel, name, "e" + std::to_string(index)), std::move(first)});
  }
  Listed list(List what) {
    if (!what.wanted) what.wanted = [](const StoredChannel&) { return true; };
    Outcome outcome = run_one(std::move(what));
    return std::get<Listed>(std::move(outcome));
  }
  static std::vector<std::string> names_of(const Listed& listed) {
    std::vector<std::string> all;
    for (const StoredChannel& channel : listed.channels) all.push_back(channel.name);
    return all;
  }
};

List page(std::string prefix, std::string after = {}, std::size_t channels_max = 100,
          std::size_t looks_max = 100) {
  return {.number = 5,
          .prefix = std::move(prefix),
          .after = std::move(after),
          .channels_max = channels_max,
          .looks_max = looks_max,
          .wanted = {}};
}

List under_way(std::string after = {}, std::size_t channels_max = 100) {
  List what = page("", std::move(after), channels_max);
  what.of = List::Of::under_way;
  return what;
}

}  // namespace

TEST_P(LogList, TellsOfEachChannelByName) {
  make(1, "t/b");
  make(2, "t/a");
  run({append({.index = 2, .generation = 1}, {entry(2, "m")}), Close{.channel = kTwo}});
  Append kept = append(kOne, {entry(2, "m")});
  kept.keep_from = 2;
  run({std::move(kept)});
  const Listed listed = list(page("t/"));
  EXPECT_EQ(listed.number, 5u);
  EXPECT_EQ(listed.looked_to, "");
  ASSERT_THAT(names_of(listed), ElementsAre("t/a", "t/b"));
  EXPECT_EQ(listed.channels[0].epoch, "e2");
  EXPECT_EQ(listed.channels[0].last_seq, 2u);
  EXPECT_EQ(listed.channels[0].keep_from, 0u);
  EXPECT_EQ(listed.channels[1].keep_from, 2u);
}

TEST_P(LogList, LeavesOutWhatNeverHadAnEntry) {
  run({open(kOne, "t/a")});
  EXPECT_THAT(list(page("t/")).channels, IsEmpty());
}

TEST_P(LogList, KeepsToThePrefixAndStartsBehindTheNameBefore) {
  std::uint32_t index = 1;
  for (const char* name : {"s/z", "t/a", "t/ab", "t/abc", "t/b", "t0"}) make(index++, name);
  EXPECT_THAT(names_of(list(page("t/"))), ElementsAre("t/a", "t/ab", "t/abc", "t/b"));
  EXPECT_THAT(names_of(list(page("t/", "t/ab"))), ElementsAre("t/abc", "t/b"));
  EXPECT_THAT(names_of(list(page("t/", "t/aa"))), ElementsAre("t/ab", "t/abc", "t/b"));
  EXPECT_THAT(names_of(list(page("t/ab", "t/a"))), ElementsAre("t/ab", "t/abc"));
  EXPECT_THAT(names_of(list(page("t/", "t/b"))), IsEmpty());
  EXPECT_THAT(names_of(list(page("u/"))), IsEmpty());
}

TEST_P(LogList, SaysWhereAPageEndedAndNothingBehindTheLast) {
  std::uint32_t index = 1;
  for (const char* name : {"t/a", "t/b", "t/c"}) make(index++, name);
  Listed listed = list(page("t/", "", 2));
  EXPECT_THAT(names_of(listed), ElementsAre("t/a", "t/b"));
  EXPECT_EQ(listed.looked_to, "t/b");
  listed = list(page("t/", listed.looked_to, 1));
  EXPECT_THAT(names_of(listed), ElementsAre("t/c"));
  EXPECT_EQ(listed.looked_to, "");
}

TEST_P(LogList, LooksAtNoMoreThanItMayAndTakesWhatIsWanted) {
  std::uint32_t index = 1;
  for (const char* name : {"t/a1", "t/a2", "t/b1", "t/b2"}) make(index++, name);
  List what = page("t/", "", 100, 3);
  what.wanted = [](const StoredChannel& channel) { return channel.name.ends_with('2'); };
  Listed listed = list(what);
  EXPECT_THAT(names_of(listed), ElementsAre("t/a2"));
  EXPECT_EQ(listed.looked_to, "t/b1");
  what.after = listed.looked_to;
  listed = list(what);
  EXPECT_THAT(names_of(listed), ElementsAre("t/b2"));
  EXPECT_EQ(listed.looked_to, "");
}

TEST_P(LogList, FindsWhatIsUnderWayUntilAnAppendEndsIt) {
  make(1, "t/a", true);
  make(2, "t/b");
  make(3, "u/c", true);
  EXPECT_THAT(names_of(list(under_way())), ElementsAre("t/a", "u/c"));
  EXPECT_THAT(names_of(list(under_way("", 1))), ElementsAre("t/a"));
  EXPECT_THAT(names_of(list(under_way("t/a", 1))), ElementsAre("u/c"));

  Append more = append(kOne, {entry(2, "m")});
  more.under_way = true;
  run({std::move(more), append({.index = 3, .generation = 1}, {entry(2, "end")})});
  EXPECT_THAT(names_of(list(under_way())), ElementsAre("t/a"));
  run({append(kOne, {entry(3, "end")})});
  EXPECT_THAT(names_of(list(under_way())), IsEmpty());
}

TEST_P(LogList, LeavesWhatIsUnderWayAsItIsWhenAnAppendIsRefused) {
  make(1, "t/a", true);
  run({append(kOne, {entry(9, "no")})});
  EXPECT_THAT(names_of(list(under_way())), ElementsAre("t/a"));
}

TEST_P(LogList, FindsAllOfItAfterARestart) {
  make(1, "t/a", true);
  make(2, "t/b");
  run({append(kTwo, {entry(2, "m")})});
  if (!log_->reopen()) GTEST_SKIP() << "nothing outlives it";
  EXPECT_THAT(names_of(list(page("t/"))), ElementsAre("t/a", "t/b"));
  EXPECT_THAT(names_of(list(under_way())), ElementsAre("t/a"));
  run({open(kOne, "t/a"), append(kOne, {entry(2, "end")})});
  EXPECT_THAT(names_of(list(under_way())), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Engines, LogList,
                         ::testing::Values(Engine{"memory", &memory_under_test},
                                           Engine{"rocksdb", &rocksdb_under_test}),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace tidewire::log
