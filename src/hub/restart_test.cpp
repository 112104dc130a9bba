// A home on a log that had another home before: what is stored is listed, and runs that were under way end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "hub/calls.h"
#include "hub/dispatch_message.h"
#include "hub/home.h"
#include "hub/publish.h"
#include "log/memory/memory_log.h"

namespace tidewire::hub {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kSeed = 7;
constexpr std::int64_t kIdleMs = 60'000;

std::vector<Namespace> namespaces_of_disk() {
  std::vector<Namespace> all;
  for (const auto& [name, kind] :
       {std::pair{"log", Kind::stream}, std::pair{"agent", Kind::agent}, std::pair{"user", Kind::inbox}})
    all.push_back({.name = name, .kind = kind, .durability = Durability::disk, .idle_timeout_ms = kIdleMs});
  all.push_back({.name = "memory"});
  return all;
}

class Restarted : public testing::Test {
 protected:
  Restarted() { restart(); }

  void restart(ShardId shards = 1) {
    home_ = std::make_unique<Home>(
        HomeOptions{.shards = shards, .hash_seed = kSeed}, namespaces_, 1,
        [this](ShardId, Message&& message) { mail_.push_back(std::move(message)); },
        [this](log::Operation&& operation) { operations_.push_back(std::move(operation)); });
  }
  void run() {
    while (!mail_.empty() || !operations_.empty()) {
      for (Message& message : std::exchange(mail_, {}))
        dispatch_message(
            *home_, nobody_, calls_, [this](ShardId, Ask&& ask) { answer(std::move(ask)); }, 0,
            std::move(message), now_);
      for (log::Operation& operation : std::exchange(operations_, {})) carry_out(std::move(operation));
      for (log::Outcome& outcome : std::exchange(outcomes_, {})) home_->handle(std::move(outcome), now_);
    }
  }
  void carry_out(log::Operation&& operation) {
    const auto* list = std::get_if<log::List>(&operation);
    if (list != nullptr && list_fails_) {
      outcomes_.push_back(log::Failed{.channel = {},
                                      .what = log::Failed::What::list,
                                      .number = list->number,
                                      .error = fail(ErrorCode::unavailable).error()});
      return;
    }
    std::vector<log::Operation> one;
    one.push_back(std::move(operation));
    log_.submit(0, std::move(one), now_.unix_ms);
  }
  void answer(Ask&& ask) {
    if (auto* list = std::get_if<ListChannels>(&ask.question))
      return home_->answer_list(0, ask.reply, std::move(*list));
    AnswerPart part;
    part.connections.resize(creator_is_here_ ? 1 : 0);
    mail_.push_back(Answer{.reply = ask.reply, .part = std::move(part)});
  }
  // By a user, with `tail` behind the seq and the timestamp.
  void publish(const std::string& channel, const std::string& event = "delta",
               const std::string& data = R"({"text":"x"})") {
    PublishCommand command;
    command.channel = {0, channel};
    command.reply.kind = ReplyTo::Kind::nobody;
    command.author = std::make_shared<const Author>(
        Author{.user_id = "c", .user_json = "null", .from_json = {}, .scope = "c"});
    command.tail = SharedBytes("\"event\":\"" + event +
                               R"(","from":{"user":{"id":"c","type":"user"}},"data":)" + data + "}");
    command.rights = {.server = false, .subscribe = true, .publish = true};
    home_->handle(0, std::move(command), now_);
    run();
  }
  void pass(std::int64_t ms) {
    now_.mono_us += ms * 1000;
    now_.unix_ms += ms;
    home_->tick(now_);
    run();
  }
  AnswerPart list(ListChannels query = {}) {
    AnswerPart found;
    calls_.ask_all(std::move(query), [&](AnswerPart&& part) { found = std::move(part); });
    run();
    return found;
  }
  static std::vector<std::string> names_of(const AnswerPart& part) {
    std::vector<std::string> names;
    for (const ChannelInfo& info : part.channels) names.push_back(info.name);
    return names;
  }
  std::uint64_t seq_of(const std::string& channel) {
    const AnswerPart part = list({.prefix = channel, .after = {}});
    return part.channels.empty() ? 0 : part.channels[0].seq;
  }

  struct Nobody {
    template <class Any>
    void handle(Any&&, const Time&) {}
  } nobody_;
  Time now_{.mono_us = 1'000'000, .unix_ms = 1'762'907'000'000};
  Namespaces namespaces_{namespaces_of_disk()};
  std::vector<Message> mail_;
  std::vector<log::Operation> operations_;
  std::vector<log::Outcome> outcomes_;
  log::MemoryLog log_{[this](log::Outcome&& outcome) { outcomes_.push_back(std::move(outcome)); }};
  Calls calls_{1, kSeed, namespaces_,
               [this](ShardId, Message&& message) { mail_.push_back(std::move(message)); }};
  std::unique_ptr<Home> home_;
  bool creator_is_here_ = false;
  bool list_fails_ = false;
};

class StoredList : public Restarted {};
class StoredRuns : public Restarted {};

TEST_F(StoredList, HasTheSameChannelsAsBefore) {
  for (const char* channel : {"log:b", "agent:r", "log:a", "log:b", "memory:m"}) publish(channel);
  const AnswerPart before = list();
  EXPECT_THAT(names_of(before), ElementsAre("agent:r", "log:a", "log:b", "memory:m"));
  restart();
  const AnswerPart after = list();
  ASSERT_THAT(names_of(after), ElementsAre("agent:r", "log:a", "log:b"));
  EXPECT_EQ(home_->size(), 0u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(after.channels[i].kind, before.channels[i].kind);
    EXPECT_EQ(after.channels[i].epoch, before.channels[i].epoch);
    EXPECT_EQ(after.channels[i].seq, before.channels[i].seq);
    EXPECT_EQ(after.channels[i].subscribers, 0u);
  }
}

TEST_F(StoredList, TellsAChannelOnceAndAsItsHomeHasIt) {
  publish("log:a");
  publish("log:b");
  restart();
  SubscribeCommand subscribe;
  subscribe.channel = {0, "log:a"};
  home_->handle(0, std::move(subscribe), now_);
  run();
  const AnswerPart part = list();
  ASSERT_THAT(names_of(part), ElementsAre("log:a", "log:b"));
  EXPECT_EQ(part.channels[0].subscribers, 1u);
}

TEST_F(StoredList, ComesInPages) {
  for (const char* channel : {"log:a", "log:b", "log:c", "log:d", "agent:x"}) publish(channel);
  restart();
  publish("log:c");
  EXPECT_THAT(names_of(list({.prefix = "log:", .after = {}, .limit = 3})),
              ElementsAre("log:a", "log:b", "log:c"));
  EXPECT_THAT(names_of(list({.prefix = "log:", .after = "log:b", .limit = 3})),
              ElementsAre("log:c", "log:d"));
  EXPECT_THAT(names_of(list({.prefix = "log:", .after = "log:d", .limit = 3})), IsEmpty());
}

// What is in memory behind the place must not be told before what is stored up to there.
TEST_F(StoredList, SaysHowFarItLookedWhereMuchIsNotListed) {
  for (int i = 0; i < 5000; ++i) publish("log:" + std::to_string(10'000 + i));
  namespaces_.replace(
      {{.name = "memory"}, {.name = "user", .kind = Kind::inbox, .durability = Durability::disk}});
  restart();
  publish("memory:m");
  publish("memory:a");
  AnswerPart part = list({.prefix = {}, .after = {}, .limit = 1});
  EXPECT_THAT(part.channels, IsEmpty());
  EXPECT_EQ(part.looked_to, "log:14095");
  part = list({.prefix = {}, .after = part.looked_to, .limit = 1});
  EXPECT_THAT(names_of(part), ElementsAre("memory:a"));
  EXPECT_EQ(part.looked_to, "");
}

TEST_F(StoredList, HasAnInboxOnlyWhileSomethingWaitsInIt) {
  publish("user:full");
  publish("user:empty");
  AckCommand ack;
  ack.channel = {0, "user:empty"};
  ack.reply.kind = ReplyTo::Kind::nobody;
  ack.author = server_author();
  ack.seqs = {1};
  home_->handle(0, std::move(ack), now_);
  run();
  restart();
  EXPECT_THAT(names_of(list()), ElementsAre("user:full"));
}

TEST_F(StoredList, FailsWithTheLog) {
  publish("log:a");
  list_fails_ = true;
  EXPECT_EQ(list().error->code, ErrorCode::unavailable);
  list_fails_ = false;
  EXPECT_FALSE(list().error);
}

TEST_F(StoredRuns, EndWhenTheirCreatorDoesNotComeBack) {
  publish("agent:r");
  pass(kIdleMs / 2);
  restart();
  pass(0);
  pass(kIdleMs - 1);
  EXPECT_EQ(seq_of("agent:r"), 1u);
  pass(1);
  EXPECT_EQ(seq_of("agent:r"), 2u);
  restart();
  pass(0);
  EXPECT_EQ(home_->size(), 0u) << "nothing is under way any more";
}

TEST_F(StoredRuns, GoOnWhileTheirCreatorIsThere) {
  publish("agent:r");
  restart();
  pass(0);
  creator_is_here_ = true;
  pass(kIdleMs);
  pass(kIdleMs);
  EXPECT_EQ(seq_of("agent:r"), 1u);
  creator_is_here_ = false;
  pass(kIdleMs);
  EXPECT_EQ(seq_of("agent:r"), 2u);
}

TEST_F(StoredRuns, EndAtOnceWhenTheyAreFoundToHaveBeenSilentForLonger) {
  publish("agent:r");
  restart();
  list_fails_ = true;
  pass(0);
  pass(2 * kIdleMs);
  EXPECT_EQ(home_->size(), 0u);
  list_fails_ = false;
  pass(100);
  pass(100);
  EXPECT_EQ(seq_of("agent:r"), 2u);
}

TEST_F(StoredRuns, ThatHaveEndedAreNotLookedAt) {
  publish("agent:r");
  publish("agent:r", "complete", "{}");
  publish("log:a");
  restart();
  pass(0);
  EXPECT_EQ(home_->size(), 0u);
}

TEST_F(StoredRuns, AreFoundSomeAtATimeByTheirOwnHome) {
  for (int i = 0; i < 120; ++i) publish("agent:" + std::to_string(i));
  restart();
  pass(100);
  EXPECT_EQ(home_->size(), 50u);
  pass(100);
  pass(100);
  EXPECT_EQ(home_->size(), 120u);

  restart(2);
  for (int i = 0; i < 3; ++i) pass(100);
  std::size_t own = 0;
  for (int i = 0; i < 120; ++i) own += home_of({0, "agent:" + std::to_string(i)}, kSeed, 2) == 0 ? 1u : 0u;
  EXPECT_EQ(home_->size(), own);
}

}  // namespace
}  // namespace tidewire::hub
