#include "gateway/sse_request.h"

#include <gtest/gtest.h>

#include "protocol/resume_token.h"

namespace tidewire::gateway {
namespace {

wire::HttpRequest request_for(std::string query, std::string last_event_id = {}) {
  wire::HttpRequest request;
  request.method = "GET";
  request.path = "/sse";
  request.query = std::move(query);
  if (!last_event_id.empty()) request.headers.add("last-event-id", last_event_id);
  return request;
}

std::vector<std::string> names(const std::string& query) {
  std::vector<std::string> out;
  const auto items = read_sse_request(request_for(query));
  if (!items) return {std::to_string(items.error().status) + " " + std::string(items.error().code)};
  for (const auto& item : *items) out.emplace_back(item.channel);
  return out;
}

using Names = std::vector<std::string>;

TEST(SseRequest, SplitsChannelsAtCommasAndChannelNever) {
  EXPECT_EQ(names("channels=a,b&channel=c"), (Names{"a", "b", "c"}));
  EXPECT_EQ(names("channels=room:1%2Croom:2"), (Names{"room:1", "room:2"}));
  EXPECT_EQ(names("channel=room:a,b&channel=room:c%2Cd"), (Names{"room:a,b", "room:c,d"}));
  EXPECT_EQ(names("channel=c&channels=b,a&channel=d"), (Names{"c", "b", "a", "d"}));
  EXPECT_EQ(names("channel=room:a%2Bb%23"), (Names{"room:a+b#"}));
  EXPECT_EQ(names("token=x&channel=a&channel=a"), (Names{"a", "a"}));
}

TEST(SseRequest, LeavesBadNamesToTheirSubscription) {
  EXPECT_EQ(names("channels=a,,b"), (Names{"a", "", "b"}));
  EXPECT_EQ(names("channel=%24all&channel=x+y"), (Names{"$all", "x y"}));
}

TEST(SseRequest, NeedsAChannelAndTakesAHundred) {
  for (const char* query : {"", "token=x", "channels=", "channel=", "channels=&channel=", "channel"})
    EXPECT_EQ(names(query), (Names{"400 invalid_message"})) << query;
  std::string many = "channels=c1";
  for (int i = 2; i <= 100; ++i) many += ",c" + std::to_string(i);
  EXPECT_EQ(names(many).size(), 100u);
  EXPECT_EQ(names(many + "&channel=one"), (Names{"400 invalid_message"}));
}

TEST(SseRequest, RefusesWhatIsBadlyEncoded) {
  EXPECT_EQ(names("channel=a%2"), (Names{"400 invalid_message"}));
  EXPECT_EQ(names("channel=%ff"), (Names{"400 invalid_message"}));
  EXPECT_EQ(names("channel=a&other=%zz"), (Names{"a"}));
}

TEST(SseRequest, GoesOnBehindItsPositions) {
  protocol::ResumeToken positions;
  positions.set(protocol::resume_key("a"), {"e1", 7});
  positions.set(protocol::resume_key("z"), {"e2", 1});
  const std::string token(positions.text());
  for (const auto& request :
       {request_for("channels=a,b", token), request_for("channels=a,b&last_event_id=" + token),
        request_for("channels=a,b&lastEventId=" + token),
        request_for("channels=a,b&last_event_id=old", token)}) {
    const auto items = read_sse_request(request);
    ASSERT_TRUE(items);
    EXPECT_EQ((*items)[0].since, (protocol::Position{"e1", 7}));
    EXPECT_FALSE((*items)[1].since);
  }
}

TEST(SseRequest, ATokenThatItCannotReadIsAPositionOfAnotherEpoch) {
  const auto items = read_sse_request(request_for("channels=a,b", "17"));
  ASSERT_TRUE(items);
  for (const auto& item : *items) EXPECT_EQ(item.since, (protocol::Position{"", 0}));
}

}  // namespace
}  // namespace tidewire::gateway
