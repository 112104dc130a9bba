// What event streams ask of the hub (protocol §8 `/sse`).

#include <gtest/gtest.h>

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

protocol::SubscribeItem item(std::string channel, std::optional<Position> since = {}) {
  protocol::SubscribeItem out;
  out.channel = std::move(channel);
  out.since = std::move(since);
  return out;
}

struct FollowTest : testing::Test {
  // Follows, lets it be answered, and gives back what the stream was sent.
  std::vector<std::string> follow(TestShards::Peer peer, protocol::SubscribeItem&& wanted) {
    shards.sessions(peer.shard).follow(peer.handle, std::move(wanted), shards.now);
    shards.run();
    return shards.take(peer);
  }
  void publish(const std::string& channel, int count, std::size_t bytes = 1) {
    const auto peer = shards.open(TestShards::user("p"));
    for (int i = 0; i < count; ++i)
      shards.ask(peer, R"({"type":"publish","channel":")" + channel + R"(","data":")" +
                           std::string(bytes, 'x') + "\"}");
    shards.close(peer);
  }
  static std::string epoch_of(const std::string& json) {
    const std::size_t at = json.find("\"epoch\":\"") + 9;
    return json.substr(at, json.find('"', at) - at);
  }
  TestShards shards{2};
};

TEST_F(FollowTest, IsASubscribeWithoutAnId) {
  const auto peer = shards.open();
  for (const ShardId home : {ShardId{0}, ShardId{1}}) {
    const std::string channel = shards.channel_at(home);
    const auto sent = follow(peer, item(channel));
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_TRUE(sent[0].starts_with(R"({"type":"subscribed","channel":")" + channel + '"')) << sent[0];
    publish(channel, 1);
    EXPECT_EQ(shards.take(peer).size(), 1u);
  }
}

TEST_F(FollowTest, IsRefusedAsASubscribeIs) {
  const auto peer = shards.open(nullptr);
  EXPECT_THAT(follow(peer, item("room:1")),
              testing::ElementsAre(testing::AllOf(testing::HasSubstr(R"("request":"subscribe")"),
                                                  testing::HasSubstr(R"("code":"unauthorized")"))));
  EXPECT_THAT(follow(peer, item("")),
              testing::ElementsAre(testing::HasSubstr(R"("code":"invalid_channel")")));
  EXPECT_THAT(follow(peer, item("$all")), testing::ElementsAre(testing::HasSubstr(R"("code":"forbidden")")));
}

TEST_F(FollowTest, AnswersAreOutstandingUntilTheyAreSent) {
  const auto peer = shards.open();
  EXPECT_TRUE(shards.sessions().is_answered(peer.handle));
  shards.sessions().follow(peer.handle, item(shards.channel_at(1)), shards.now);
  EXPECT_FALSE(shards.sessions().is_answered(peer.handle));
  shards.run();
  EXPECT_TRUE(shards.sessions().is_answered(peer.handle));
  shards.close(peer);
  EXPECT_TRUE(shards.sessions().is_answered(peer.handle));
  shards.sessions().follow(peer.handle, item("room:1"), shards.now);  // a connection that is gone
}

TEST_F(FollowTest, SaysWhatSubscribedDoesNotCover) {
  const std::string channel = shards.channel_at(1);
  publish(channel, 90, 4000);
  const auto peer = shards.open();
  const auto missing = [&](TestShards::Peer of) {
    return shards.sessions().first_missing(of.handle, channel);
  };
  EXPECT_EQ(missing(peer), std::nullopt);
  const auto sent = follow(peer, item(channel));
  EXPECT_EQ(missing(peer), 91u);

  // More than a reply holds comes behind it.
  const auto resumed = shards.open();
  const auto replay = follow(resumed, item(channel, Position{epoch_of(sent[0]), 10}));
  ASSERT_GT(replay.size(), 1u);
  EXPECT_THAT(replay[0], testing::HasSubstr(R"("seq":90,"recovered":true,"messages":[])"));
  EXPECT_THAT(replay[1], testing::HasSubstr(R"("seq":11,)"));
  shards.close(resumed);
  EXPECT_EQ(missing(resumed), std::nullopt);

  const auto watched = shards.open();
  shards.sessions().follow(watched.handle, item(channel, Position{epoch_of(sent[0]), 10}), shards.now);
  shards.carry(1);
  shards.carry(0, 1);
  EXPECT_THAT(shards.take(watched), testing::ElementsAre(testing::HasSubstr(R"("messages":[])")));
  EXPECT_EQ(missing(watched), 11u);
}

}  // namespace
}  // namespace tidewire::hub
