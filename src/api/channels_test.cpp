#include "api/test_world.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

void fill(World& world, const std::string& channel, int messages) {
  for (int i = 1; i <= messages; ++i)
    world.post("/api/v1/publish", R"({"channel":")" + channel + R"(","data":)" + std::to_string(i) + "}");
}

TEST(Channel, IsNotFoundUntilItIsUsed) {
  World world;
  EXPECT_EQ(world.get("/api/v1/channels/room:a").status, 404);
  fill(world, "room:a", 2);
  EXPECT_THAT(
      world.get("/api/v1/channels/room:a").body,
      MatchesRegex(R"(\{"channel":"room:a","kind":"stream","epoch":"[^"]+","seq":2,"subscribers":0\})"));
  const auto reader = world.connect(1, "ann");
  world.say(reader, R"({"type":"subscribe","channel":"room:a"})");
  EXPECT_THAT(world.get("/api/v1/channels/room:a").body, HasSubstr(R"("subscribers":1)"));
}

TEST(Channel, WithABadNameIsRefused) {
  World world;
  EXPECT_EQ(world.get("/api/v1/channels/room%3A%20a").status, 400);
  EXPECT_EQ(world.get("/api/v1/channels/$all").status, 403);
}

TEST(ChannelList, ComesInPagesThatMissNothing) {
  World world;
  for (int i = 10; i < 35; ++i) fill(world, "room:" + std::to_string(i), 1);
  fill(world, "other", 1);
  std::string all, cursor;
  int pages = 0;
  do {
    const Answer answer = world.get("/api/v1/channels?prefix=room%3A&limit=10&cursor=" + cursor);
    ASSERT_EQ(answer.status, 200) << answer.body;
    all += answer.body;
    const std::size_t at = answer.body.find(R"("next":")");
    cursor = at == std::string::npos ? "" : answer.body.substr(at + 8, answer.body.size() - at - 10);
    ++pages;
  } while (!cursor.empty() && pages < 10);
  EXPECT_EQ(pages, 3);
  for (int i = 10; i < 35; ++i) EXPECT_THAT(all, HasSubstr(R"("channel":"room:)" + std::to_string(i) + "\""));
  EXPECT_THAT(all, testing::Not(HasSubstr("other")));
}

TEST(ChannelList, EndsWhereAPageIsExactlyFull) {
  World world;
  fill(world, "room:a", 1);
  fill(world, "room:b", 1);
  EXPECT_THAT(world.get("/api/v1/channels?limit=2").body, HasSubstr(R"("next":null)"));
  EXPECT_THAT(world.get("/api/v1/channels?limit=1").body, HasSubstr(R"("next":")"));
  EXPECT_EQ(world.get("/api/v1/channels?limit=100000").status, 200);
}

TEST(ChannelList, RefusesBadParameters) {
  World world;
  for (const std::string query : {"limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "cursor=%21"})
    EXPECT_EQ(world.get("/api/v1/channels?" + query).status, 400) << query;
}

TEST(History, IsTheReplyOfTheWebSocket) {
  World world;
  fill(world, "room:a", 5);
  EXPECT_THAT(world.get("/api/v1/channels/room:a/history?after=1&limit=2").body,
              MatchesRegex(R"(\{"channel":"room:a","epoch":"[^"]+","first":1,"last":5,"messages":\[)"
                           R"(\{"seq":2,"timestamp":1762907034678,"data":2\},)"
                           R"(\{"seq":3,"timestamp":1762907034678,"data":3\}\]\})"));
  EXPECT_THAT(world.get("/api/v1/channels/room:a/history?before=3").body,
              HasSubstr(R"("messages":[{"seq":1,)"));
  EXPECT_EQ(world.as(world.token("ann"), "GET", "/api/v1/channels/room:a/history").status, 200);
}

TEST(History, OfAnotherEpochIsAConflictThatNamesTheSeq) {
  World world;
  fill(world, "room:a", 3);
  const Answer answer = world.get("/api/v1/channels/room:a/history?epoch=old");
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.body, HasSubstr(R"("code":"conflict")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("seq":3)"));
}

TEST(History, RefusesBadParameters) {
  World world;
  for (const std::string query : {"after=-1", "before=x", "limit=1e3", "after=99999999999999999999"})
    EXPECT_EQ(world.get("/api/v1/channels/room:a/history?" + query).status, 400) << query;
}

TEST(PresenceList, ShowsWhoEntered) {
  World world;
  const auto ann = world.connect(1, "ann");
  world.say(ann, R"({"type":"presence","channel":"room:a","action":"enter","data":{"mood":"calm"}})");
  EXPECT_THAT(
      world.get("/api/v1/channels/room:a/presence").body,
      MatchesRegex(
          R"(\{"channel":"room:a","members":\[\{"user":\{"id":"ann","type":"user"\},.*"calm".*\}\]\})"));
  EXPECT_EQ(world.as(world.token("bob"), "GET", "/api/v1/channels/room:a/presence").status, 200);
  EXPECT_EQ(world.get("/api/v1/channels/public:a/presence").status, 403);
  EXPECT_EQ(world.get("/api/v1/channels/room:b/presence").body, R"({"channel":"room:b","members":[]})");
}

TEST(Snapshot, OfAStreamIsNotThere) {
  World world;
  fill(world, "room:a", 1);
  EXPECT_EQ(world.get("/api/v1/channels/room:a/snapshot").status, 404);
  EXPECT_EQ(world.as(world.token("ann"), "GET", "/api/v1/channels/room:b/snapshot").status, 404);
  EXPECT_EQ(world.get("/api/v1/channels/room:/snapshot").status, 400);
}

}  // namespace
}  // namespace tidewire::api
