#include "kinds/agent.h"

#include <gtest/gtest.h>

#include "kinds/json_tree.h"
#include "kinds/test_events.h"

namespace tidewire::kinds {
namespace {

using AgentFeed = Feed<Agent>;

Said delta(std::string_view payload) { return {.name = "delta", .payload = payload}; }

std::vector<Run> runs_of(std::span<const Event> events) {
  std::vector<Run> runs;
  for (const Event& event : events) runs.push_back(run_of(event));
  return runs;
}

Json tools_after(std::initializer_list<Said> events, AgentOptions options = {}) {
  AgentFeed feed(options);
  for (const Said& said : events) {
    EXPECT_TRUE(feed(said));
    feed.save_and_restore();
  }
  return Json::parse(feed.snapshot())["tools"];
}

TEST(Agent, ShowsARunFromItsStartToItsEnd) {
  AgentFeed feed;
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"pending","text":"","tools":[],"started_at":null,"ended_at":null,"usage":null})");
  EXPECT_TRUE(feed({.name = "start", .payload = R"({"model":"m"})"}));
  EXPECT_TRUE(feed(delta(R"({"text":"Hel"})")));
  EXPECT_TRUE(feed(delta(R"({"text":"lo\n\u00e9"})")));
  EXPECT_TRUE(
      feed({.name = "tool_call", .payload = R"({"id":"t1","name":"search","arguments":{"q": 1.50}})"}));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"running","text":"Hello\n\u00e9","tools":[{"id":"t1","name":"search",)"
            R"("arguments":{"q": 1.50}}],"started_at":1000010,"ended_at":null,"usage":null})");
  EXPECT_TRUE(feed({.name = "tool_result", .payload = R"({"id":"t1","result":[ 1 ]})"}));
  EXPECT_TRUE(feed({.name = "status", .payload = R"({"step":"thinking"})"}));
  EXPECT_TRUE(feed({.name = "complete", .payload = R"({"usage":{"tokens":12}})"}));
  EXPECT_EQ(feed.snapshot(),
            R"({"status":"complete","text":"Hello\n\u00e9","tools":[{"id":"t1","name":"search",)"
            R"("arguments":{"q": 1.50},"result":[ 1 ]}],"started_at":1000010,"ended_at":1000070,)"
            R"("usage":{"tokens":12},"detail":{"step":"thinking"}})");
}

TEST(Agent, AnyFirstEventStartsARun) {
  for (const std::string_view name : {"start", "delta", "status", "tool_call", "tool_result", "custom"}) {
    AgentFeed feed;
    EXPECT_TRUE(feed({.name = name, .payload = R"({"text":""})"}));
    const Json snapshot = Json::parse(feed.snapshot());
    EXPECT_EQ(snapshot["status"], "running");
    EXPECT_EQ(snapshot["started_at"], feed.now_ms);
    EXPECT_TRUE(feed({.name = "start"}));
    EXPECT_EQ(Json::parse(feed.snapshot())["started_at"], snapshot["started_at"]);
  }
}

TEST(Agent, HasNothingAfterItsEnd) {
  for (const auto& [end, status] :
       {std::pair{"complete", "complete"}, {"fail", "failed"}, {"cancel", "cancelled"}}) {
    AgentFeed feed;
    EXPECT_TRUE(feed({.name = end}));
    const Json snapshot = Json::parse(feed.snapshot());
    EXPECT_EQ(snapshot["status"], status);
    EXPECT_EQ(snapshot["started_at"], feed.now_ms);
    EXPECT_EQ(snapshot["ended_at"], feed.now_ms);
    EXPECT_EQ(snapshot["usage"], nullptr);
    EXPECT_TRUE(feed.fold.ended());
    for (const std::string_view name : {"start", "delta", "status", "complete", "fail", "cancel", "custom"})
      EXPECT_EQ(code_of(feed({.name = name, .payload = R"({"text":""})"})), ErrorCode::invalid_event) << name;
    EXPECT_EQ(code_of(feed.ephemeral({.name = "custom"})), ErrorCode::invalid_event);
  }
}

TEST(Agent, RefusesWhatItCannotFold) {
  AgentFeed feed;
  EXPECT_EQ(code_of(feed({.payload = R"({"text":"x"})"})), ErrorCode::invalid_event);
  for (const std::string_view payload : {"null", "\"text\"", "[]", "{}", R"({"text":null})", R"({"text":1})",
                                         R"({"Text":"x"})", R"({"text":"x","text":1})"})
    EXPECT_EQ(code_of(feed(delta(payload))), ErrorCode::invalid_event) << payload;
  EXPECT_EQ(code_of(feed({.name = "delta", .payload = R"({"text":"x"})", .form = "merge"})),
            ErrorCode::invalid_event);
  EXPECT_EQ(code_of(feed({.name = "custom", .payload = "[]", .form = "patch"})), ErrorCode::invalid_event);
}

TEST(Agent, OnlyWhatDoesNotLastMayBeEphemeral) {
  AgentFeed feed;
  for (const std::string_view name :
       {"start", "delta", "tool_call", "tool_result", "complete", "fail", "cancel", ""})
    EXPECT_EQ(code_of(feed.ephemeral({.name = name, .payload = R"({"text":"x"})"})), ErrorCode::invalid_event)
        << name;
  EXPECT_TRUE(feed.ephemeral({.name = "status", .payload = "1"}));
  EXPECT_TRUE(feed.ephemeral({.name = "cursor"}));
  EXPECT_EQ(Json::parse(feed.snapshot())["status"], "pending");
}

TEST(Agent, WhoPublishesFirstIsItsCreatorAlsoWithAnEphemeralEvent) {
  AgentFeed feed;
  EXPECT_EQ(code_of(feed.ephemeral({.name = "delta", .payload = R"({"text":"x"})"})),
            ErrorCode::invalid_event);
  EXPECT_EQ(feed.fold.creator(), "") << "nothing was published";
  EXPECT_TRUE(feed.ephemeral({.name = "status", .payload = "1"}));
  const std::string creator(feed.fold.creator());
  EXPECT_NE(creator, "");
  EXPECT_TRUE(feed.fold.owned_by(creator));
  EXPECT_FALSE(feed.fold.admit({}, {.user_id = "another"}));
}

TEST(Agent, TextIsBounded) {
  AgentFeed feed(AgentOptions{.text_bytes_max = 6});
  EXPECT_TRUE(feed(delta(R"({"text":"abc\n"})")));
  EXPECT_EQ(code_of(feed(delta(R"({"text":"de"})"))), ErrorCode::too_large);
  EXPECT_TRUE(feed(delta(R"({"text":"d"})")));
  EXPECT_TRUE(feed(delta(R"({"text":""})")));
  EXPECT_EQ(Json::parse(feed.snapshot())["text"], "abc\nd");
}

TEST(Agent, HalvesOfACharacterInTwoDeltasBecomeOne) {
  AgentFeed feed;
  EXPECT_TRUE(feed(delta(R"({"text":"\ud83d"})")));
  feed.save_and_restore();
  EXPECT_TRUE(feed(delta(R"({"text":"\ude00"})")));
  EXPECT_EQ(Json::parse(feed.snapshot())["text"], "\xf0\x9f\x98\x80");
}

TEST(Agent, AResultGoesToTheCallWithItsId) {
  const Json tools = tools_after({{.name = "tool_call", .payload = R"({"id":"a","n":1})"},
                                  {.name = "tool_call", .payload = R"({"id":7,"n":2})"},
                                  {.name = "tool_call", .payload = R"({"id":"7","n":3})"},
                                  {.name = "tool_result", .payload = R"({"id":7,"result":"seven"})"},
                                  {.name = "tool_result", .payload = R"({"id":"\u0061","output":"x"})"},
                                  {.name = "tool_result", .payload = R"({"id":"a","result":"again"})"},
                                  {.name = "tool_result", .payload = R"({"id":"unknown","result":1})"}});
  EXPECT_EQ(tools, Json::parse(R"([{"id":"a","n":1,"result":{"id":"a","output":"x"}},
                                   {"id":7,"n":2,"result":"seven"},{"id":"7","n":3}])"));
}

TEST(Agent, AResultWithoutAnIdGoesToTheLastOpenCall) {
  const Json tools = tools_after({{.name = "tool_result", .payload = "0"},
                                  {.name = "tool_call", .payload = R"({"name":"a"})"},
                                  {.name = "tool_call", .payload = R"({"name":"b","id":"x"})"},
                                  {.name = "tool_result", .payload = "1"},
                                  {.name = "tool_call", .payload = "\"c\""},
                                  {.name = "tool_call"},
                                  {.name = "tool_call", .payload = "{ }"},
                                  {.name = "tool_result", .payload = R"({"result":{"r":5}})"},
                                  {.name = "tool_result", .payload = "[4]"},
                                  {.name = "tool_result"},
                                  {.name = "tool_result", .payload = "2"},
                                  {.name = "tool_result", .payload = "3"}});
  EXPECT_EQ(tools, Json::parse(R"([{"name":"a","result":2},{"id":"x","name":"b","result":1},
      {"data":"c","result":null},{"data":null,"result":[4]},{"result":{"r":5}}])"));
}

TEST(Agent, ACallMayHaveAMemberNamedResult) {
  EXPECT_EQ(tools_after({{.name = "tool_call", .payload = R"({"result":"pending","id":1})"},
                         {.name = "tool_result", .payload = R"({"id":1,"result":2})"}}),
            Json::parse(R"([{"id":1,"result":2}])"));
}

TEST(Agent, ToolsAreBounded) {
  const AgentOptions two{.tools = {.calls_max = 2}};
  EXPECT_EQ(tools_after({{.name = "tool_call", .payload = R"({"id":1})"},
                         {.name = "tool_call", .payload = R"({"id":2})"},
                         {.name = "tool_call", .payload = R"({"id":3})"},
                         {.name = "tool_result", .payload = "\"whose\""},
                         {.name = "tool_result", .payload = R"({"id":3,"result":3})"},
                         {.name = "tool_result", .payload = R"({"id":1,"result":1})"}},
                        two),
            Json::parse(R"([{"id":1,"result":1},{"id":2}])"));
  const AgentOptions small{.tools = {.bytes_max = 40}};
  EXPECT_EQ(tools_after({{.name = "tool_call", .payload = R"({"id":1})"},
                         {.name = "tool_result", .payload = R"("0123456789012345678901234567")"},
                         {.name = "tool_call", .payload = R"({"id":2})"},
                         {.name = "tool_result", .payload = "22"},
                         {.name = "tool_call", .payload = R"({"id":"0123456789012345678901234567"})"},
                         {.name = "tool_call", .payload = "3"}},
                        small),
            Json::parse(R"([{"id":1},{"id":2,"result":22}])"));
}

TEST(Agent, WhoMayPublishToARun) {
  AgentFeed feed;
  const Event custom = event_at(1, 1, {.name = "custom"}), cancel = event_at(1, 1, {.name = "cancel"});
  const Asker creator{.user_id = "1"}, reader{.user_id = "2", .may_subscribe = true}, other{.user_id = "3"};
  EXPECT_EQ(feed.fold.admit(custom, {}).error().code, ErrorCode::unauthorized);
  EXPECT_TRUE(feed.fold.admit(custom, other));
  EXPECT_TRUE(feed({.name = "start"}));
  EXPECT_TRUE(feed.fold.admit(custom, creator));
  EXPECT_TRUE(feed.fold.admit(cancel, creator));
  EXPECT_TRUE(feed.fold.admit(custom, {.server = true}));
  EXPECT_TRUE(feed.fold.admit(custom, {.user_id = "4", .may_publish = true}));
  EXPECT_EQ(feed.fold.admit(custom, reader).error().code, ErrorCode::forbidden);
  EXPECT_TRUE(feed.fold.admit(cancel, reader));
  EXPECT_TRUE(feed.fold.admit(cancel, {.may_subscribe = true}));
  EXPECT_EQ(feed.fold.admit(cancel, other).error().code, ErrorCode::forbidden);
  EXPECT_EQ(feed.fold.admit(cancel, {}).error().code, ErrorCode::unauthorized);
}

TEST(Agent, DeltasInARowBecomeOneAndTheRestStays) {
  const Agent agent;
  const Event events[] = {event_at(1, 10, {.name = "start"}),
                          event_at(2, 20, delta(R"({"text":"a"})")),
                          event_at(3, 30, delta(R"({"text":"\ud83d"})")),
                          event_at(4, 40, delta(R"({"i": 3, "text":"\ude00","n":"\u0061"})")),
                          event_at(5, 50, {.name = "status", .payload = "1"}),
                          event_at(6, 60, delta(R"({ "text" : "alone" })")),
                          event_at(7, 70, {.name = "complete"})};
  const auto runs = agent.conflate(runs_of(events));
  ASSERT_EQ(runs->size(), 5u);
  EXPECT_EQ((*runs)[0].body, events[0].body);
  EXPECT_EQ((*runs)[1].first, 2u);
  EXPECT_EQ((*runs)[1].last, 4u);
  EXPECT_EQ((*runs)[1].body.view(),
            R"("seq":4,"first_seq":2,"timestamp":40,"event":"delta","from":{"user":{"id":"1","type":"user"},)"
            R"("connection":"c-1"},"data":{"i":3,"n":"\u0061","text":"a\ud83d\ude00"}})");
  EXPECT_EQ((*runs)[2].body, events[4].body);
  EXPECT_EQ((*runs)[3].body, events[5].body);
  EXPECT_EQ((*runs)[4].body, events[6].body);
  EXPECT_TRUE(agent.conflate({})->empty());
}

TEST(Agent, AMergedDeltaStaysBelowWhatClientsTake) {
  const Agent agent;
  std::vector<Event> events;
  const std::string payload = "{\"text\":\"" + std::string(100'000, 'x') + "\"}";
  for (std::uint64_t seq = 1; seq <= 5; ++seq) events.push_back(event_at(seq, 1, delta(payload)));
  const auto runs = agent.conflate(runs_of(events));
  ASSERT_EQ(runs->size(), 3u);
  EXPECT_EQ((*runs)[0].last, 2u);
  EXPECT_EQ((*runs)[1].first, 3u);
  EXPECT_EQ((*runs)[2].body, events[4].body);
}

TEST(Agent, CannotBeRestoredFromWhatWasNeverSaved) {
  AgentFeed feed;
  EXPECT_TRUE(feed(delta(R"({"text":"x"})")));
  EXPECT_TRUE(feed({.name = "tool_call", .payload = R"({"id":1})"}));
  const std::string fresh = Agent().save();
  const std::string saved = feed.fold.save();
  for (std::size_t cut = 0; cut < saved.size(); ++cut) EXPECT_FALSE(feed.fold.restore(saved.substr(0, cut)));
  EXPECT_EQ(feed.fold.save(), fresh);
  for (const auto& [from, to] : {std::pair{"\"text\":\"x\"", "\"text\":1"},
                                 {"[true]", "[]"},
                                 {"[true]", "[1]"},
                                 {"{\"id\":1}", "1"},
                                 {"\"usage\"", "\"used\""},
                                 {"\"tools\"", "\"tool\""},
                                 {"\"creator\":\"1\"", "\"creator\":1"}}) {
    std::string other = saved;
    ASSERT_NE(other.find(from), std::string::npos) << from;
    EXPECT_FALSE(feed.fold.restore(other.replace(other.find(from), std::string_view(from).size(), to))) << to;
    EXPECT_EQ(feed.fold.save(), fresh);
  }
  EXPECT_TRUE(feed.fold.restore(saved));
  EXPECT_EQ(feed.fold.save(), saved);
}

TEST(Agent, IsTheSameTakenReplayedRestoredAndReadInMergedDeliveries) {
  static constexpr std::string_view kNames[] = {"start", "tool_call", "tool_result", "status", "custom", ""};
  static constexpr std::string_view kEnds[] = {"complete", "fail", "cancel"};
  static constexpr std::string_view kPayloads[] = {"null",
                                                   "1",
                                                   "[{}]",
                                                   R"({"id":1})",
                                                   R"({"id":"1","result":2})",
                                                   R"({"usage":3})",
                                                   R"({"text":"status"})"};
  for (std::uint32_t seed = 0; seed < 1500; ++seed) {
    Dice dice(seed);
    const AgentOptions options{.text_bytes_max = 80, .tools = {.calls_max = 4, .bytes_max = 60}};
    AgentFeed feed(options);
    Agent reader(options);
    std::string tokens;
    std::size_t seen = 0;
    for (int i = 0; i < 40; ++i) {
      const std::string token = "<" + std::to_string(i) + ">";
      const std::string text = "{\"text\":\"" + token + "\"}";
      if (dice.one_in(2)) {
        if (feed(delta(text))) tokens += token;
      } else {
        (void)feed({.name = dice.one_in(30) ? dice.pick(kEnds) : dice.pick(kNames),
                    .payload = dice.pick(kPayloads),
                    .user = dice.one_in(3) ? "" : "1"});
      }
      if (dice.one_in(5)) feed.save_and_restore();
      if (!dice.one_in(4)) continue;
      const auto runs = feed.fold.conflate(runs_of(std::span(feed.events).subspan(seen)));
      seen = feed.events.size();
      for (const kinds::Run& run : *runs) reader.replay(event_of(run.body, 0));
      Json mine = Json::parse(reader.snapshot(0)), theirs = Json::parse(feed.snapshot());
      // The times of the first deltas are not told.
      mine.erase("started_at");
      theirs.erase("started_at");
      ASSERT_EQ(mine, theirs) << seed;
    }
    ASSERT_EQ(Json::parse(feed.snapshot())["text"], tokens) << seed;
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

}  // namespace
}  // namespace tidewire::kinds
