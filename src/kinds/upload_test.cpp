#include "kinds/upload.h"

#include <gtest/gtest.h>

#include "kinds/test_events.h"

namespace tidewire::kinds {
namespace {

using UploadFeed = Feed<Upload>;

Said progress(std::string_view payload) { return {.name = "progress", .payload = payload}; }

std::vector<Run> runs_of(std::span<const Event> events) {
  std::vector<Run> runs;
  for (const Event& event : events) runs.push_back(run_of(event));
  return runs;
}

TEST(Upload, ShowsHowFarItIs) {
  UploadFeed feed;
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"pending","bytes":0,"total":null,"percent":null,"rate_bps":null,"eta_ms":null})");
  EXPECT_TRUE(feed(progress(R"({"bytes":0,"total":3000})")));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"active","bytes":0,"total":3000,"percent":0,"rate_bps":null,"eta_ms":null})");
  EXPECT_TRUE(feed(progress(R"({"bytes":1000})"), 1000));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"active","bytes":1000,"total":3000,"percent":33.3,"rate_bps":1000,"eta_ms":2000})");
  EXPECT_TRUE(feed(progress(R"({"bytes":2999,"total":null,"file":"x"})"), 1999));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"active","bytes":2999,"total":3000,"percent":99.9,"rate_bps":1000,"eta_ms":1})");
  EXPECT_TRUE(feed({.name = "complete"}, 1));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"complete","bytes":3000,"total":3000,"percent":100,"rate_bps":1000,"eta_ms":0})");
}

TEST(Upload, WorksWithoutATotal) {
  UploadFeed feed;
  EXPECT_TRUE(feed(progress(R"({"bytes":10})")));
  EXPECT_TRUE(feed(progress(R"({"bytes":10,"total":null})"), 100));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"active","bytes":10,"total":null,"percent":null,"rate_bps":0,"eta_ms":null})");
  EXPECT_TRUE(feed({.name = "complete", .payload = R"({"url":"x"})"}));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"complete","bytes":10,"total":null,"percent":null,"rate_bps":0,"eta_ms":0})");
}

TEST(Upload, FailsAndIsCancelled) {
  UploadFeed failed;
  EXPECT_TRUE(failed(progress(R"({"bytes":1,"total":2})")));
  EXPECT_TRUE(failed({.name = "fail", .payload = R"({"reason":"orphaned"})", .user = ""}));
  EXPECT_EQ(failed.snapshot(),
            R"({"status":"failed","bytes":1,"total":2,"percent":50,"rate_bps":null,"eta_ms":null})");
  UploadFeed cancelled;
  EXPECT_TRUE(cancelled({.name = "cancel"}));
  EXPECT_EQ(cancelled.snapshot(),
            R"({"status":"cancelled","bytes":0,"total":null,"percent":null,"rate_bps":null,"eta_ms":null})");
  EXPECT_TRUE(cancelled.fold.ended());
}

TEST(Upload, HasNothingAfterItsEnd) {
  for (const std::string_view end : {"complete", "fail", "cancel"}) {
    UploadFeed feed;
    EXPECT_TRUE(feed({.name = end}));
    for (const std::string_view name : {"progress", "complete", "fail", "cancel"})
      EXPECT_EQ(code_of(feed({.name = name, .payload = R"({"bytes":1})"})), ErrorCode::invalid_event);
  }
}

TEST(Upload, RefusesWhatIsNoProgress) {
  UploadFeed feed;
  EXPECT_TRUE(feed(progress(R"({"bytes":100,"total":200})")));
  constexpr std::string_view kBad[] = {"null",
                                       "7",
                                       "[]",
                                       "\"bytes\"",
                                       "{}",
                                       R"({"total":300})",
                                       R"({"bytes":null})",
                                       R"({"bytes":"150"})",
                                       R"({"bytes":150.0})",
                                       R"({"bytes":1e2})",
                                       R"({"bytes":true})",
                                       R"({"bytes":-1})",
                                       R"({"bytes":99})",
                                       R"({"bytes":201})",
                                       R"({"bytes":150,"total":149})",
                                       R"({"bytes":150,"total":"200"})",
                                       R"({"bytes":150,"total":200.5})",
                                       R"({"bytes":150,"total":-1})",
                                       R"({"bytes":150,"total":{}})",
                                       R"({"bytes":9007199254740993,"total":9007199254740993})",
                                       R"({"bytes":150,"total":99999999999999999999})",
                                       R"({"bytes":150,"bytes":160})"};
  for (const std::string_view payload : kBad)
    EXPECT_EQ(code_of(feed(progress(payload))), ErrorCode::invalid_event) << payload;
  EXPECT_TRUE(feed(progress(R"({"bytes":150,"total":150})")));
  EXPECT_TRUE(feed(progress(R"({"bytes":9007199254740992,"total":9007199254740992})")));
}

TEST(Upload, RefusesOtherEvents) {
  UploadFeed feed;
  EXPECT_EQ(code_of(feed({.name = "start"})), ErrorCode::invalid_event);
  EXPECT_EQ(code_of(feed({.name = "Progress", .payload = R"({"bytes":1})"})), ErrorCode::invalid_event);
  EXPECT_EQ(code_of(feed({.payload = R"({"bytes":1})"})), ErrorCode::invalid_event);
  EXPECT_EQ(code_of(feed({.name = "progress", .payload = R"({"bytes":1})", .form = "merge"})),
            ErrorCode::invalid_event);
  EXPECT_EQ(code_of(feed({.name = "complete", .payload = "[]", .form = "patch"})), ErrorCode::invalid_event);
  EXPECT_EQ(code_of(feed.ephemeral(progress(R"({"bytes":1})"))), ErrorCode::invalid_event);
}

TEST(Upload, TheFirstUserIsItsCreatorAndAnApiKeyNever) {
  UploadFeed feed;
  const Asker first{.user_id = "1"}, other{.user_id = "2"}, granted{.user_id = "3", .may_publish = true};
  const Asker server{.server = true, .may_subscribe = true, .may_publish = true};
  const Event event = event_at(1, 1, progress(R"({"bytes":0})"));
  EXPECT_EQ(feed.fold.admit(event, {}).error().code, ErrorCode::unauthorized);
  EXPECT_TRUE(feed.fold.admit(event, server));
  EXPECT_TRUE(feed(Said{.name = "progress", .payload = R"({"bytes":0})", .user = ""}));
  EXPECT_EQ(feed.fold.creator(), "");
  EXPECT_FALSE(feed.fold.owned_by(""));
  EXPECT_TRUE(feed.fold.admit(event, first));
  EXPECT_TRUE(feed.fold.admit(event, other));
  EXPECT_TRUE(feed(progress(R"({"bytes":1})")));
  EXPECT_EQ(feed.fold.creator(), "1");
  EXPECT_TRUE(feed.fold.owned_by("1"));
  EXPECT_FALSE(feed.fold.owned_by("2"));
  EXPECT_FALSE(feed.fold.owned_by(""));
  for (const std::string_view name : {"progress", "cancel"}) {
    const Event next = event_at(3, 1, {.name = name, .payload = R"({"bytes":2})"});
    EXPECT_TRUE(feed.fold.admit(next, first));
    EXPECT_TRUE(feed.fold.admit(next, granted));
    EXPECT_TRUE(feed.fold.admit(next, server));
    EXPECT_EQ(feed.fold.admit(next, other).error().code, ErrorCode::forbidden);
    EXPECT_EQ(feed.fold.admit(next, {.user_id = "2", .may_subscribe = true}).error().code,
              ErrorCode::forbidden);
    EXPECT_EQ(feed.fold.admit(next, {}).error().code, ErrorCode::unauthorized);
  }
  EXPECT_TRUE(feed(Said{.name = "progress", .payload = R"({"bytes":2})", .user = "3"}));
  EXPECT_EQ(feed.fold.creator(), "1");
  EXPECT_EQ(feed.fold.last_event_ms(), feed.now_ms);
}

TEST(Upload, ARateOfNewTimesWeighsMore) {
  UploadFeed feed;
  EXPECT_TRUE(feed(progress(R"({"bytes":0,"total":100000000})")));
  std::int64_t bytes = 0;
  const auto rate_after = [&](int steps, std::int64_t bytes_per_step) {
    for (int i = 0; i < steps; ++i) {
      bytes += bytes_per_step;
      EXPECT_TRUE(feed(progress("{\"bytes\":" + std::to_string(bytes) + "}"), 1000));
    }
    const std::string text = feed.snapshot();
    return std::stoll(text.substr(text.find("rate_bps") + 10));
  };
  EXPECT_EQ(rate_after(10, 100), 100);
  const auto soon = rate_after(2, 1000);
  EXPECT_GT(soon, 300);
  EXPECT_LT(soon, 600);
  EXPECT_GT(rate_after(30, 1000), 990);
}

TEST(Upload, EventsOfOneInstantHaveNoRate) {
  UploadFeed feed;
  EXPECT_TRUE(feed(progress(R"({"bytes":0,"total":10})")));
  EXPECT_TRUE(feed(progress(R"({"bytes":5})"), 0));
  EXPECT_NE(feed.snapshot().find(R"("rate_bps":null,"eta_ms":null)"), std::string::npos);
  EXPECT_TRUE(feed(progress(R"({"bytes":6})"), -50));
  EXPECT_NE(feed.snapshot().find(R"("rate_bps":null,"eta_ms":null)"), std::string::npos);
  EXPECT_TRUE(feed(progress(R"({"bytes":10})"), 51));
  EXPECT_NE(feed.snapshot().find(R"("rate_bps":9999,"eta_ms":0)"), std::string::npos);
}

TEST(Upload, NumbersStaySafeAtTheirLimits) {
  UploadFeed feed;
  EXPECT_TRUE(feed(progress(R"({"bytes":0,"total":9007199254740992})")));
  EXPECT_TRUE(feed(progress(R"({"bytes":1})"), 1'000'000'000));
  EXPECT_NE(feed.snapshot().find(R"("rate_bps":0,"eta_ms":9007199254740992)"), std::string::npos)
      << feed.snapshot();
  EXPECT_TRUE(feed(progress(R"({"bytes":9007199254740991})"), 1));
  EXPECT_NE(feed.snapshot().find(R"("percent":99.9)"), std::string::npos) << feed.snapshot();
  UploadFeed fast;
  EXPECT_TRUE(fast(progress(R"({"bytes":0})")));
  EXPECT_TRUE(fast(progress(R"({"bytes":9007199254740992})"), 1));
  EXPECT_NE(fast.snapshot().find(R"("rate_bps":9007199254740992)"), std::string::npos) << fast.snapshot();
  UploadFeed empty;
  EXPECT_TRUE(empty(progress(R"({"bytes":0,"total":0})")));
  EXPECT_NE(empty.snapshot().find(R"("percent":100)"), std::string::npos);
}

TEST(Upload, ManyDeliveriesBecomeTheLastAndTheEnd) {
  const Upload upload;
  const Event events[] = {event_at(1, 10, progress(R"({"bytes":1,"total":9})")),
                          event_at(2, 20, progress(R"({"bytes":2,"total":8})")),
                          event_at(3, 30, progress(R"({"bytes":3,"note":"n"})")),
                          event_at(4, 40, {.name = "complete", .payload = R"({ "url" : 1 })"})};
  const auto body = [&](std::size_t from, std::size_t count) {
    const auto runs = upload.conflate(runs_of(std::span(events).subspan(from, count)));
    EXPECT_EQ(runs->size(), 1u);
    return std::string(runs->front().body.view());
  };
  constexpr std::string_view kFrom = R"("from":{"user":{"id":"1","type":"user"},"connection":"c-1"})";
  const std::string from(kFrom);
  EXPECT_EQ(body(0, 2), R"("seq":2,"first_seq":1,"timestamp":20,"event":"progress",)" + from +
                            R"(,"data":{"bytes":2,"total":8}})");
  EXPECT_EQ(body(0, 3), R"("seq":3,"first_seq":1,"timestamp":30,"event":"progress",)" + from +
                            R"(,"data":{"bytes":3,"note":"n","total":8}})");
  // An end does not say how far it had come.
  const auto ended = upload.conflate(runs_of(std::span(events).subspan(1, 3)));
  ASSERT_EQ(ended->size(), 2u);
  EXPECT_EQ(ended->front().body.view(), R"("seq":3,"first_seq":2,"timestamp":30,"event":"progress",)" + from +
                                            R"(,"data":{"bytes":3,"note":"n","total":8}})");
  EXPECT_EQ(ended->back().body.view(), events[3].body.view());
  EXPECT_EQ(body(2, 1), events[2].body.view());
  EXPECT_TRUE(upload.conflate({})->empty());
}

TEST(Upload, CannotBeRestoredFromWhatWasNeverSaved) {
  UploadFeed feed;
  EXPECT_TRUE(feed(progress(R"({"bytes":5,"total":9})")));
  const std::string fresh = Upload().save();
  const std::string saved = feed.fold.save();
  for (std::size_t cut = 0; cut < saved.size(); ++cut) EXPECT_FALSE(feed.fold.restore(saved.substr(0, cut)));
  EXPECT_EQ(feed.fold.save(), fresh);
  for (const std::string_view bad : {"null", "[]", "{}", R"({"creator":1})"})
    EXPECT_FALSE(feed.fold.restore(bad));
  for (const auto& [from, to] : {std::pair{"\"status\":1", "\"status\":9"},
                                 {"\"bytes\":5", "\"bytes\":50"},
                                 {"\"bytes\":5", "\"bytes\":-5"},
                                 {"\"weighted_ms\":0", "\"weighted_ms\":-1"},
                                 {"\"weighted_ms\":0", "\"weighted_ms\":\"0\""}}) {
    std::string other = saved;
    ASSERT_NE(other.find(from), std::string::npos) << from;
    EXPECT_FALSE(feed.fold.restore(other.replace(other.find(from), std::string_view(from).size(), to))) << to;
    EXPECT_EQ(feed.fold.save(), fresh);
  }
  EXPECT_TRUE(feed.fold.restore(saved));
  EXPECT_EQ(feed.fold.save(), saved);
}

TEST(Upload, IsTheSameTakenReplayedAndRestoredAnywhere) {
  static constexpr std::string_view kNames[] = {"progress", "progress", "progress", "progress", "other"};
  static constexpr std::string_view kEnds[] = {"complete", "fail", "cancel"};
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    Dice dice(seed);
    UploadFeed feed;
    std::size_t bytes = 0, seen = 0;
    Upload reader;
    for (int i = 0; i < 30; ++i) {
      bytes += dice.below(1000);
      std::string payload = "{\"bytes\":" + std::to_string(dice.one_in(10) ? bytes / 2 : bytes);
      if (dice.one_in(5)) payload += ",\"total\":" + std::to_string(dice.below(40000));
      if (dice.one_in(10)) payload += ",\"total\":null";
      payload += "}";
      (void)feed({.name = dice.one_in(30) ? dice.pick(kEnds) : dice.pick(kNames),
                  .payload = payload,
                  .user = dice.one_in(4)   ? ""
                          : dice.one_in(2) ? "1"
                                           : "2"},
                 static_cast<std::int64_t>(dice.below(300)));
      if (dice.one_in(5)) feed.save_and_restore();
      if (seen == feed.events.size() || !dice.one_in(3)) continue;
      const auto runs = feed.fold.conflate(runs_of(std::span(feed.events).subspan(seen)));
      seen = feed.events.size();
      for (const kinds::Run& run : *runs) reader.replay(event_of(run.body, 0));
      // All but the rate, which is measured from each event.
      const auto known = [](const std::string& snapshot) {
        return snapshot.substr(0, snapshot.find("\"rate"));
      };
      ASSERT_EQ(known(reader.snapshot(0)), known(feed.snapshot())) << seed;
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

}  // namespace
}  // namespace tidewire::kinds
