#include "gateway/sse_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "protocol/delivery_batch.h"

namespace tidewire::gateway {
namespace {

using hub::Priority;
using protocol::Position;

std::vector<protocol::SubscribeItem> items(std::vector<std::string> names,
                                           std::optional<Position> since = {}) {
  std::vector<protocol::SubscribeItem> out;
  for (std::string& name : names) {
    out.emplace_back().channel = std::move(name);
    out.back().since = since;
  }
  return out;
}

std::string subscribed(const std::string& channel, const std::string& epoch, int seq) {
  return R"({"type":"subscribed","channel":")" + channel + R"(","kind":"stream","epoch":")" + epoch +
         R"(","seq":)" + std::to_string(seq) + R"(,"messages":[]})";
}
std::string message(const std::string& channel, int seq) {
  return R"({"type":"message","channel":")" + channel + R"(","seq":)" + std::to_string(seq) +
         R"(,"timestamp":1,"data":null})";
}

// What a client knows after some events: its last id, read, and the data in order.
struct Seen {
  std::map<std::string, Position> positions;
  std::vector<std::string> data;
  std::vector<bool> has_id;
};

Seen read(std::string_view text, const std::vector<std::string>& names) {
  Seen seen;
  bool has_id = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    if (line.starts_with("id: ")) {
      has_id = true;
      const auto positions = protocol::read_resume_token(line.substr(4));
      EXPECT_TRUE(positions);
      seen.positions.clear();
      for (const auto& [key, position] : positions.value_or(std::vector<protocol::ResumePosition>()))
        for (const std::string& name : names)
          if (protocol::resume_key(name) == key) seen.positions[name] = position;
    } else if (line.starts_with("data: ")) {
      seen.data.emplace_back(line.substr(6));
      seen.has_id.push_back(std::exchange(has_id, false));
    } else {
      EXPECT_TRUE(line.empty() || line.starts_with(":")) << line;
    }
  }
  return seen;
}

class SseStreamTest : public testing::Test {
 protected:
  SseStream stream{"", items({"a", "b"})};
  std::string out;
  Seen seen() const { return read(out, {"a", "b"}); }
  void answer_both() {
    stream.render(out, subscribed("a", "ea", 5), 5);
    stream.render(out, subscribed("b", "eb", 7), 7);
    stream.open();
  }
  void keep(Priority lane, const std::vector<std::string>& messages, Handle channel = {1, 1}) {
    protocol::DeliveryBatch batch;
    for (const std::string& one : messages) batch.add(one);
    const auto frames = batch.plain(0, batch.size());
    stream.keep_delivery(lane, batch.keep(frames), frames.offset, frames.bytes.size(), channel);
  }
};

TEST_F(SseStreamTest, AnEventIsOneDataLineAndNothingElse) {
  stream.render(out, "{\"type\":\"connected\",\n\"protocol\":1}");
  EXPECT_EQ(out, "data: {\"type\":\"connected\",\"protocol\":1}\n\n");
}

TEST_F(SseStreamTest, BeginsWithItsHeadOnce) {
  SseStream one("HEAD\r\n\r\n", items({"a"}));
  EXPECT_FALSE(one.has_begun());
  one.render(out, "{}");
  EXPECT_TRUE(one.has_begun());
  one.render(out, "{}");
  EXPECT_EQ(out, "HEAD\r\n\r\ndata: {}\n\ndata: {}\n\n");
}

TEST_F(SseStreamTest, WhatWaitsComesBehindItsHead) {
  SseStream one("HEAD\r\n\r\n", items({"a"}));
  one.keep_lines("retry: 5\n\n");
  EXPECT_TRUE(one.has_begun());
  one.keep_reply("{}", {});
  one.render_waiting(out, 1000);
  EXPECT_EQ(out, "HEAD\r\n\r\nretry: 5\n\ndata: {}\n\n");
}

TEST_F(SseStreamTest, TheIdHoldsEveryChannelThatWasAnswered) {
  stream.render(out, subscribed("a", "ea", 5), 5);
  EXPECT_EQ(seen().positions, (std::map<std::string, Position>{{"a", {"ea", 5}}}));
  stream.render(out, subscribed("b", "eb", 0), 0);
  stream.render(out, message("a", 6));
  EXPECT_EQ(seen().positions, (std::map<std::string, Position>{{"a", {"ea", 6}}, {"b", {"eb", 0}}}));
}

TEST_F(SseStreamTest, SubscribedCoversOnlyWhatItBrings) {
  // More than a reply holds comes behind it, so the position is still where the client came from.
  stream.render(out, subscribed("a", "ea", 5000), 3);
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 3}));
  stream.render(out, message("a", 4));
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 4}));
}

TEST_F(SseStreamTest, WhatHasNoSeqHasNoId) {
  answer_both();
  out.clear();
  for (const char* json :
       {R"({"type":"message","channel":"$all","timestamp":1,"data":1})",
        R"({"type":"message","channel":"a","timestamp":1,"data":1})",
        R"({"type":"error","request":"subscribe","channel":"a","code":"conflict","message":"","seq":4})",
        R"({"type":"gap","channel":"a","epoch":"ea","from":6,"to":9})",
        R"({"type":"unsubscribed","channel":"a","code":"revoked"})",
        R"({"type":"reconnect","after_ms":5,"reason":"draining"})"})
    stream.render(out, json);
  EXPECT_EQ(seen().has_id, std::vector<bool>(6, false));
  // But what a gap covers need not come again.
  stream.render(out, message("b", 8));
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 9}));
}

TEST_F(SseStreamTest, KeepsThePositionOfAChannelThatIsNotAnsweredYet) {
  SseStream resumed("", items({"a", "b"}, Position{"old", 4}));
  resumed.render(out, subscribed("b", "old", 6), 6);
  EXPECT_EQ(seen().positions, (std::map<std::string, Position>{{"a", {"old", 4}}, {"b", {"old", 6}}}));
  // Nor does a refusal take it away.
  resumed.render(out, R"({"type":"error","request":"subscribe","channel":"a","code":"unavailable"})");
  resumed.render(out, message("b", 7));
  EXPECT_EQ(seen().positions["a"], (Position{"old", 4}));
}

TEST_F(SseStreamTest, ANewBeginningMayLieBeforeTheOldPosition) {
  SseStream resumed("", items({"a"}, Position{"ea", 900}));
  resumed.render(out, subscribed("a", "ea", 5), 2);
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 2}));
  resumed.render(out, R"({"type":"snapshot","channel":"a","epoch":"eb","seq":1,"data":{}})");
  EXPECT_EQ(seen().positions["a"], (Position{"eb", 1}));
}

TEST_F(SseStreamTest, AnInboxsBacklogDoesNotMoveItBack) {
  answer_both();
  stream.render(out, message("a", 9));
  stream.render(out, message("a", 7));
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 9}));
}

TEST_F(SseStreamTest, AChannelThatWasNotAskedForHasNoPlaceInTheId) {
  answer_both();
  stream.render(out, subscribed("user:1", "eu", 3), 3);
  stream.render(out, message("user:1", 4));
  const auto both = seen().positions;
  EXPECT_EQ(both, (std::map<std::string, Position>{{"a", {"ea", 5}}, {"b", {"eb", 7}}}));
}

TEST_F(SseStreamTest, OvertakingDeliveriesAreNotCovered) {
  answer_both();
  keep(Priority::low, {message("a", 6), message("a", 7)});
  keep(Priority::critical, {message("b", 8)});
  out.clear();
  stream.render_waiting(out, 1);
  EXPECT_EQ(seen().data, std::vector<std::string>{message("b", 8)});
  EXPECT_EQ(seen().positions, (std::map<std::string, Position>{{"a", {"ea", 5}}, {"b", {"eb", 8}}}));
  // One that comes meanwhile goes first again, between two of the other lane.
  stream.render_waiting(out, out.size() + 1);
  keep(Priority::critical, {message("b", 9)});
  stream.render_waiting(out, 1 << 20);
  EXPECT_EQ(seen().data,
            (std::vector<std::string>{message("b", 8), message("a", 6), message("b", 9), message("a", 7)}));
  EXPECT_EQ(seen().positions, (std::map<std::string, Position>{{"a", {"ea", 7}}, {"b", {"eb", 9}}}));
  EXPECT_EQ(stream.queued(), 0u);
  EXPECT_FALSE(stream.can_render());
}

TEST_F(SseStreamTest, DeliveriesWaitUntilEveryChannelIsAnswered) {
  stream.render(out, subscribed("a", "ea", 5), 5);
  keep(Priority::medium, {message("a", 6)});
  EXPECT_FALSE(stream.can_render());
  stream.keep_reply(subscribed("b", "eb", 7), 7);
  EXPECT_TRUE(stream.can_render());
  stream.render_waiting(out, 1 << 20);
  EXPECT_EQ(seen().data.back(), subscribed("b", "eb", 7));
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 5}));
  stream.open();
  stream.render_waiting(out, 1 << 20);
  EXPECT_EQ(seen().data.back(), message("a", 6));
}

TEST_F(SseStreamTest, RepliesGoFirstAndLinesStayAsTheyAre) {
  answer_both();
  out.clear();
  keep(Priority::critical, {message("a", 6)});
  stream.keep_reply(R"({"type":"auth_expiring"})", {});
  stream.keep_lines(": hello\n\n");
  EXPECT_TRUE(stream.has_replies());
  stream.render_waiting(out, 1 << 20);
  EXPECT_TRUE(out.starts_with("data: {\"type\":\"auth_expiring\"}\n\n: hello\n\nid: ")) << out;
}

TEST_F(SseStreamTest, WhatIsDroppedMovesNothing) {
  answer_both();
  out.clear();
  keep(Priority::medium, {message("a", 6)}, {1, 1});
  keep(Priority::medium, {message("b", 8)}, {2, 1});
  stream.drop(Priority::medium, {1, 1});
  stream.render_waiting(out, 1 << 20);
  EXPECT_EQ(seen().data, std::vector<std::string>{message("b", 8)});
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 5}));
  keep(Priority::low, {message("a", 6)});
  stream.drop_deliveries();
  EXPECT_EQ(stream.queued(), 0u);
  EXPECT_FALSE(stream.can_render());
}

TEST_F(SseStreamTest, WhatIsHurriedGoesBeforeLaterRepliesAndMovesItsPosition) {
  answer_both();
  out.clear();
  keep(Priority::medium, {message("b", 8)}, {2, 1});
  keep(Priority::medium, {message("a", 6), message("a", 7)}, {1, 1});
  stream.hurry(Priority::medium, {1, 1});
  const std::string notice = R"({"type":"unsubscribed","channel":"a","code":"revoked"})";
  stream.keep_reply(notice, {});
  stream.render_waiting(out, 1 << 20);
  EXPECT_EQ(seen().data,
            (std::vector<std::string>{message("a", 6), message("a", 7), notice, message("b", 8)}));
  EXPECT_EQ(seen().positions["a"], (Position{"ea", 7}));
  EXPECT_EQ(stream.queued(), 0u);
}

TEST_F(SseStreamTest, HandsOutItsChannelsInOrder) {
  EXPECT_TRUE(stream.has_next());
  EXPECT_EQ(stream.take_next().channel, "a");
  EXPECT_EQ(stream.take_next().channel, "b");
  EXPECT_FALSE(stream.has_next());
}

TEST_F(SseStreamTest, ToleratesALittleInput) {
  EXPECT_TRUE(stream.tolerates(1000));
  EXPECT_TRUE(stream.tolerates(64 * 1024 - 1000));
  EXPECT_FALSE(stream.tolerates(1));
}

// However a client is cut off, its last id says what it has, and no more and no less.
TEST_F(SseStreamTest, TheLastIdIsTrueWhereverTheStreamIsCut) {
  answer_both();
  for (int i = 0; i < 30; ++i) {
    keep(Priority::low, {message("a", 6 + i)}, {1, 1});
    if (i % 3 == 0) keep(Priority::critical, {message("b", 8 + i / 3)}, {2, 1});
    if (i % 5 == 0) stream.render_waiting(out, out.size() + 100);
  }
  stream.render_waiting(out, 1 << 20);
  const auto messages_of = [](const Seen& now, const std::string& channel) {
    return static_cast<std::uint64_t>(std::ranges::count_if(now.data, [&](const std::string& data) {
      return data.starts_with(R"({"type":"message","channel":")" + channel);
    }));
  };
  for (std::size_t end = out.find("\n\n"); end != std::string::npos; end = out.find("\n\n", end + 2)) {
    const Seen now = read(std::string_view(out).substr(0, end + 2), {"a", "b"});
    EXPECT_EQ(now.positions.at("a").seq, 5 + messages_of(now, "a"));
    if (now.data.size() < 2) continue;
    EXPECT_EQ(now.positions.at("b").seq, 7 + messages_of(now, "b"));
  }
  EXPECT_EQ(messages_of(seen(), "a") + messages_of(seen(), "b"), 40u);
}

}  // namespace
}  // namespace tidewire::gateway
