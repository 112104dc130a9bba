#include "directory/user_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace tidewire::directory {
namespace {

using guard::UserState;
using testing::ElementsAre;
using testing::UnorderedElementsAre;
using What = Outcome::What;

// A source that answers when the test says so. Its own calls come on the directory's thread.
class ScriptedSource final : public Source {
 public:
  struct Script {
    std::mutex mutex;
    std::condition_variable news;
    std::vector<std::pair<std::string, Answer>> asked;
    net::Loop* loop = nullptr;
    std::optional<What> at_once;

    void wait_for_questions(std::size_t count) {
      std::unique_lock lock(mutex);
      news.wait(lock, [&] { return asked.size() >= count; });
    }
    void answer(std::size_t index, What what, bool of_this_user = false) {
      const std::lock_guard lock(mutex);
      loop->post([answer = asked[index].second, what, of_this_user] {
        answer({.what = what, .reason = "scripted", .of_this_user = of_this_user});
      });
    }
  };
  ScriptedSource(Script& script, net::Loop& loop) : script_(script) { script.loop = &loop; }
  void ask(const Question& question, Answer answer) override {
    const std::lock_guard lock(script_.mutex);
    if (script_.at_once)
      script_.loop->post([answer, what = *script_.at_once] { answer({.what = what, .reason = "away"}); });
    script_.asked.emplace_back(question.tenant + "/" + question.user, std::move(answer));
    script_.news.notify_all();
  }

 private:
  Script& script_;
};

class UserDirectoryTest : public testing::Test {
 protected:
  void start(UserDirectoryOptions options = {}) {
    options.circuit = {.failures = 5, .open_ms = 1'000'000};
    directory_ = std::make_unique<UserDirectory>(
        options, known_, board_,
        [this](net::Loop& loop) { return std::make_unique<ScriptedSource>(script_, loop); },
        [this](UserDirectory::Told&& told) {
          const std::lock_guard lock(mutex_);
          told_.push_back(std::move(told));
          news_.notify_all();
        },
        [](std::string_view) {});
  }

  void ask(std::uint32_t asker, const std::string& user) {
    directory_->ask(asker, keys_.user("default", user), {.tenant = "default", .user = user});
  }

  std::vector<UserDirectory::Told> told(std::size_t count) {
    std::unique_lock lock(mutex_);
    news_.wait(lock, [&] { return told_.size() >= count; });
    return told_;
  }

  guard::LimitKeys keys_{1};
  guard::KnownUsers known_{guard::KnownUsersOptions{}};
  guard::CircuitBoard board_{nullptr};
  ScriptedSource::Script script_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<UserDirectory::Told> told_;
  std::unique_ptr<UserDirectory> directory_;
};

TEST_F(UserDirectoryTest, AsksOncePerUserHoweverManyWait) {
  start();
  for (std::uint32_t shard = 0; shard < 4; ++shard)
    for (int n = 0; n < 1000; ++n) ask(shard, "ada");
  ask(0, "bob");
  script_.wait_for_questions(2);
  script_.answer(0, What::exists);
  script_.answer(1, What::absent);
  const auto answers = told(2);
  EXPECT_EQ(script_.asked.size(), 2u);
  EXPECT_EQ(answers[0].question.user, "ada");
  EXPECT_EQ(answers[0].state, UserState::exists);
  EXPECT_THAT(answers[0].askers, UnorderedElementsAre(0, 1, 2, 3));
  EXPECT_EQ(answers[1].state, UserState::absent);
  EXPECT_THAT(answers[1].askers, ElementsAre(0));
}

TEST_F(UserDirectoryTest, KeepsWhatItIsTold) {
  start();
  ask(0, "ada");
  script_.wait_for_questions(1);
  script_.answer(0, What::exists);
  told(1);
  const std::int64_t now_ms = read_clocks().mono_ms();
  EXPECT_EQ(known_.find(keys_.user("default", "ada"), now_ms), UserState::exists);
  EXPECT_EQ(known_.find(keys_.user("acme", "ada"), now_ms), std::nullopt);
}

TEST_F(UserDirectoryTest, OpensItsCircuitAndGoesOnWithWhatIsKnown) {
  known_.put(keys_.user("default", "ada"), UserState::exists, read_clocks().mono_ms());
  script_.at_once = What::failed;
  start({.under_way = 1});
  for (int n = 0; n < 20; ++n) ask(0, "u" + std::to_string(n));
  ask(0, "ada");
  const auto answers = told(21);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(answers[i].state, UserState::unavailable);
  EXPECT_EQ(answers[20].state, UserState::exists);
  EXPECT_EQ(script_.asked.size(), 5u);
  EXPECT_EQ(board_.rows().at(0).state, guard::CircuitState::open);
  EXPECT_GT(known_.away_until_ms(), read_clocks().mono_ms());
  const auto counts = directory_->counts();
  EXPECT_EQ(counts.failed, 5u);
  EXPECT_EQ(counts.refused, 16u);
  EXPECT_EQ(counts.waiting, 0u);
}

TEST_F(UserDirectoryTest, AFailureOfOneUserLeavesTheCircuitClosedAndShows) {
  start();
  for (std::size_t i = 0; i < 20; ++i) {
    ask(0, "broken");
    script_.wait_for_questions(i + 1);
    script_.answer(i, What::failed, true);
    EXPECT_EQ(told(i + 1)[i].state, UserState::unavailable);
  }
  ask(0, "ada");
  script_.wait_for_questions(21);
  EXPECT_EQ(board_.rows().front().state, guard::CircuitState::closed);
  EXPECT_TRUE(board_.rows().front().failing);
  script_.answer(20, What::exists);
  EXPECT_EQ(told(21)[20].state, UserState::exists);
  EXPECT_FALSE(board_.rows().front().failing);
}

TEST_F(UserDirectoryTest, BoundsWhoWaits) {
  start({.under_way = 2, .waiting = 10});
  for (int n = 0; n < 15; ++n) ask(0, "u" + std::to_string(n));
  const auto refused = told(5);
  for (const auto& one : refused) EXPECT_EQ(one.state, UserState::unavailable);
  EXPECT_EQ(refused[0].question.user, "u10");
  script_.wait_for_questions(2);
  for (std::size_t i = 0; i < 10; ++i) {
    script_.wait_for_questions(i + 1);
    script_.answer(i, What::exists);
  }
  EXPECT_EQ(told(15).back().state, UserState::exists);
}

TEST_F(UserDirectoryTest, EndsWithQuestionsUnderWay) {
  start();
  ask(0, "ada");
  script_.wait_for_questions(1);
  directory_.reset();
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace tidewire::directory
