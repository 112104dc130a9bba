// Subscriptions that are behind: each comes forward at its own pace, and costs the others nothing (protocol
// §5, slow readers). What is counted here is pages, not time.

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Peers = std::vector<TestShards::Peer>;

std::string of(const std::string& type, const std::string& channel, const std::string& more = {}) {
  return R"({"type":")" + type + R"(","id":"x","channel":")" + channel + "\"" + more + "}";
}

// The seqs that came, each exactly once and in order from `first` on; how many.
std::uint64_t expect_in_order(const std::vector<std::string>& sent, std::uint64_t first = 1) {
  std::uint64_t next = first;
  for (const std::string& text : sent) {
    if (!text.starts_with(R"({"type":"message")")) continue;
    EXPECT_THAT(text, HasSubstr("\"seq\":" + std::to_string(next) + ","));
    if (testing::Test::HasFailure()) break;
    ++next;
  }
  return next - first;
}

// In namespaces that keep more than a channel's home has at hand.
class CatchUpFlow : public testing::Test {
 protected:
  CatchUpFlow() {
    auto namespaces = test_namespaces();
    for (const Kind kind : {Kind::stream, Kind::document})
      namespaces.push_back({.name = kind == Kind::stream ? "deep" : "deepdoc",
                            .kind = kind,
                            .durability = Durability::disk,
                            .history_messages = 100'000});
    shards_.namespaces.replace(namespaces);
  }
  // Readers of the channel whose connections are full from the start.
  Peers full_readers(std::size_t count, const std::string& channel) {
    Peers readers;
    for (std::size_t i = 0; i < count; ++i) {
      readers.push_back(shards_.open(TestShards::user("r" + std::to_string(i))));
      shards_.ask(readers.back(), of("subscribe", channel));
      shards_.at(readers.back()).full = true;
    }
    return readers;
  }
  void publish(const std::string& channel, int count, const std::string& more = {}) {
    for (int i = 0; i < count; ++i) shards_.ask(speaker_, of("publish", channel, more));
    shards_.take(speaker_);
  }
  // Their sockets take what comes, turn by turn, until they are live.
  void drain(const Peers& readers) {
    for (bool moved = true; moved;) {
      moved = false;
      for (const TestShards::Peer reader : readers) {
        TestOutbound::Peer& peer = shards_.at(reader);
        peer.full = false;
        if (!std::exchange(peer.wants_drained, false)) continue;
        moved = true;
        shards_.sessions(reader.shard).on_drained(reader.handle, shards_.now);
      }
      shards_.run();
    }
  }
  std::size_t reads_submitted() {
    return static_cast<std::size_t>(std::ranges::count_if(shards_.operations(), [](const auto& operation) {
      return std::holds_alternative<log::Read>(operation);
    }));
  }

  TestShards shards_;
  TestShards::Peer speaker_ = shards_.open(TestShards::user("speaker"));
};

TEST_F(CatchUpFlow, AHundredReadersOfOneChannelShareItsPages) {
  const Peers readers = full_readers(100, "deep:1");
  publish("deep:1", 3000);
  drain(readers);
  for (const TestShards::Peer reader : readers) EXPECT_EQ(expect_in_order(shards_.take(reader)), 3000u);
  // The last of the six pages is everybody's own, since they go live there; of the other five each was asked
  // for at most four times, which is what is under way at once.
  EXPECT_LE(shards_.sessions().counts().pages_asked, 120u);
  EXPECT_GE(shards_.sessions().counts().pages_shared, 480u);
}

TEST_F(CatchUpFlow, ReadersWhoBeganAtDifferentPlacesComeToShareThePages) {
  publish("deep:1", 2000);
  const auto first = shards_.ask(speaker_, of("subscribe", "deep:1"));
  const auto at = first.at(0).find("\"epoch\":\"") + 9;
  const std::string epoch = first[0].substr(at, first[0].find('"', at) - at);
  Peers readers;
  for (int i = 0; i < 10; ++i) {
    readers.push_back(shards_.open(TestShards::user("r")));
    shards_.say(readers.back(),
                of("subscribe", "deep:1",
                   R"(,"since":{"epoch":")" + epoch + R"(","seq":)" + std::to_string(37 * i) + "}"));
  }
  shards_.run();
  drain(readers);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(expect_in_order(shards_.take(readers[static_cast<std::size_t>(i)]),
                              static_cast<std::uint64_t>(37 * i) + 1),
              2000u - static_cast<std::uint64_t>(37 * i));
  // Ten different ways to the first common place, then two pages for all, and the last one, where they go
  // live.
  EXPECT_GE(shards_.sessions().counts().pages_shared, 12u);
}

TEST_F(CatchUpFlow, OnlySoMuchIsReadAtATimeHoweverManyAreBehind) {
  Peers readers;
  for (int i = 0; i < 50; ++i) {
    const std::string channel = "deep:" + std::to_string(i);
    readers.push_back(full_readers(1, channel)[0]);
    publish(channel, 1100);
  }
  shards_.log_held = true;
  for (const TestShards::Peer reader : readers) {
    shards_.at(reader).full = false;
    shards_.sessions().on_drained(reader.handle, shards_.now);
  }
  shards_.run();
  EXPECT_EQ(reads_submitted(), 4u);
  shards_.log_held = false;
  drain(readers);
  for (const TestShards::Peer reader : readers) EXPECT_EQ(expect_in_order(shards_.take(reader)), 1100u);
}

TEST_F(CatchUpFlow, AChannelInMemoryDoesNotWaitForADiskThatHangs) {
  const Peers stored = full_readers(20, "deep:1");
  publish("deep:1", 1100);
  const Peers other = full_readers(1, "room:1");
  publish("room:1", 3);
  shards_.log_held = true;
  for (const TestShards::Peer reader : stored) {
    shards_.at(reader).full = false;
    shards_.sessions().on_drained(reader.handle, shards_.now);
  }
  shards_.run();
  drain(other);
  EXPECT_EQ(expect_in_order(shards_.take(other[0])), 3u);
  for (const TestShards::Peer reader : stored) EXPECT_THAT(shards_.take(reader), IsEmpty());
}

TEST_F(CatchUpFlow, ALiveMessageWaitsForNoPage) {
  const Peers slow = full_readers(20, "deep:1");
  publish("deep:1", 1100);
  const auto live = shards_.open(TestShards::user("live"));
  shards_.ask(live, of("subscribe", "deep:1"));
  shards_.log_held = true;
  for (const TestShards::Peer reader : slow) {
    shards_.at(reader).full = false;
    shards_.sessions().on_drained(reader.handle, shards_.now);
  }
  shards_.ask(speaker_, of("publish", "deep:1"));
  EXPECT_GE(reads_submitted(), 1u);
  // The log commits, and has not read a page yet.
  for (const log::Operation& operation : shards_.operations())
    if (const auto* append = std::get_if<log::Append>(&operation))
      shards_.home().handle(log::Committed{.channel = append->channel, .first_seq = 1, .last_seq = 1101},
                            shards_.now);
  shards_.run();
  EXPECT_THAT(shards_.take(live), ElementsAre(HasSubstr("\"seq\":1101,")));
  EXPECT_THAT(shards_.take(speaker_), ElementsAre(HasSubstr("\"published\"")));
  for (const TestShards::Peer reader : slow) EXPECT_THAT(shards_.take(reader), IsEmpty());
  shards_.log_held = false;
  drain(slow);
  for (const TestShards::Peer reader : slow) EXPECT_EQ(expect_in_order(shards_.take(reader)), 1101u);
}

TEST_F(CatchUpFlow, APageThatWasRefusedIsNotReadAgain) {
  const Peers reader = full_readers(1, "deep:1");
  publish("deep:1", 1100);
  shards_.log_held = true;
  shards_.drained(reader[0]);
  EXPECT_EQ(reads_submitted(), 1u);
  shards_.at(reader[0]).full = true;  // by what came on other channels meanwhile
  shards_.log_held = false;
  shards_.run();
  EXPECT_THAT(shards_.take(reader[0]), IsEmpty());
  EXPECT_TRUE(shards_.at(reader[0]).wants_drained);
  const auto asked = shards_.sessions().counts().pages_asked;
  shards_.drained(reader[0]);
  EXPECT_EQ(shards_.sessions().counts().pages_asked, asked);
  EXPECT_EQ(expect_in_order(shards_.take(reader[0])), 500u);
  drain(reader);
  EXPECT_EQ(expect_in_order(shards_.take(reader[0]), 501), 600u);
}

TEST_F(CatchUpFlow, AKeptPageIsNotHandedOutOnceSomethingInItHasExpired) {
  const Peers readers = full_readers(2, "deep:1");
  publish("deep:1", 10);
  publish("deep:1", 1, R"(,"ttl_ms":1000)");
  publish("deep:1", 1100);
  shards_.drained(readers[0]);
  EXPECT_EQ(expect_in_order(shards_.take(readers[0])), 500u);
  shards_.pass(2000);
  shards_.drained(readers[1]);
  const auto sent = shards_.take(readers[1]);
  ASSERT_THAT(sent, SizeIs(500));
  EXPECT_THAT(sent[10], HasSubstr(R"("from":11,"to":11)"));
}

TEST_F(CatchUpFlow, WhatOnePublishedWithoutEchoIsLeftOutForItAlone) {
  const Peers readers = full_readers(3, "deep:1");
  publish("deep:1", 10);
  shards_.ask(readers[0], of("publish", "deep:1", R"(,"echo":false)"));
  publish("deep:1", 1100);
  shards_.take(readers[0]);
  drain(readers);
  EXPECT_THAT(shards_.take(readers[0]), SizeIs(1110));
  EXPECT_EQ(expect_in_order(shards_.take(readers[1])), 1111u);
  EXPECT_EQ(expect_in_order(shards_.take(readers[2])), 1111u);
}

TEST_F(CatchUpFlow, GoesOnWhenThoseInLineAreGone) {
  const Peers readers = full_readers(20, "deep:1");
  publish("deep:1", 1100);
  shards_.log_held = true;
  for (const TestShards::Peer reader : readers) {
    shards_.at(reader).full = false;
    shards_.sessions().on_drained(reader.handle, shards_.now);
  }
  shards_.run();
  for (std::size_t i = 0; i < 19; ++i) shards_.close(readers[i]);
  shards_.log_held = false;
  shards_.run();
  drain({readers[19]});
  EXPECT_EQ(expect_in_order(shards_.take(readers[19])), 1100u);
}

TEST_F(CatchUpFlow, APageThatComesAfterTheChannelWasOpenedAnewIsPassedOver) {
  shards_.ask(speaker_, of("subscribe", "deepdoc:1"));
  for (int i = 0; i < 600; ++i) shards_.ask(speaker_, of("publish", "deepdoc:1", R"(,"merge":{"a":1})"));
  const auto read = [&](const log::Operation& operation) {
    return std::holds_alternative<log::Read>(operation);
  };
  shards_.take(speaker_);
  shards_.log_held = true;
  shards_.say(speaker_, R"({"type":"history","id":"h","channel":"deepdoc:1","after":0,"limit":5})");
  shards_.say(speaker_, of("publish", "deepdoc:1", R"(,"merge":{"a":2})"));
  shards_.run();
  const auto operations = std::exchange(shards_.operations(), {});
  const auto reading = std::ranges::find_if(operations, read);
  ASSERT_NE(reading, operations.end());
  for (const log::Operation& operation : operations)
    if (std::holds_alternative<log::Append>(operation))
      shards_.home().handle(append_fails(operation), shards_.now);
  shards_.home().handle(log::ReadDone{.channel = std::get<log::Read>(*reading).channel,
                                      .number = std::get<log::Read>(*reading).number,
                                      .first_seq = 1,
                                      .entries = {}},
                        shards_.now);
  EXPECT_THAT(shards_.take(speaker_), IsEmpty());
  shards_.log_held = false;
  shards_.run();
  const auto sent = shards_.take(speaker_);
  ASSERT_THAT(sent, SizeIs(2));  // it was read again
  EXPECT_THAT(sent[0], HasSubstr(R"("type":"history","id":"h")"));
  EXPECT_THAT(sent[0], HasSubstr(R"("seq":5,)"));
  EXPECT_THAT(sent[1], HasSubstr("unavailable"));
}

}  // namespace
}  // namespace tidewire::hub
