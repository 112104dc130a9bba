// The inbox against a model that does what the clause says with a plain list, over random events.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "kinds/inbox.h"
#include "kinds/test_written.h"

namespace tidewire::kinds {
namespace {

constexpr std::int64_t kNow = 1'000'000;

struct Model {
  struct Entry {
    std::uint64_t seq;
    int lane;
    std::int64_t expires_ms;
    std::size_t bytes;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::vector<Entry> entries;
  std::size_t bytes_max;

  static std::size_t bytes_of(const std::vector<Entry>& some) {
    std::size_t bytes = 0;
    for (const Entry& entry : some) bytes += entry.bytes;
    return bytes;
  }
  void expire(std::int64_t now_ms) {
    std::erase_if(entries, [&](const Entry& entry) { return entry.expires_ms <= now_ms; });
  }
  int lowest() const { return std::ranges::max_element(entries, {}, &Entry::lane)->lane; }
  void remove_least() {
    const int lane = lowest();
    entries.erase(std::ranges::find(entries, lane, &Entry::lane));
  }
  void trim(std::size_t max) {
    while (entries.size() > max || (bytes_of(entries) > bytes_max && entries.size() > 1)) remove_least();
  }
  // False: dropped, and nothing has changed.
  bool add(const Entry& entry, std::int64_t now_ms, std::size_t max) {
    Model above = *this;
    above.expire(now_ms);
    std::erase_if(above.entries, [&](const Entry& other) { return other.lane >= entry.lane; });
    above.entries.push_back(entry);
    if (above.entries.size() > max) return false;
    if (above.entries.size() > 1 && bytes_of(above.entries) > bytes_max) return false;
    expire(now_ms);
    entries.push_back(entry);
    trim(max);
    return true;
  }
  void ack(const std::vector<std::uint64_t>& seqs, std::int64_t now_ms, std::size_t max) {
    std::erase_if(entries, [&](const Entry& entry) { return std::ranges::count(seqs, entry.seq) > 0; });
    expire(now_ms);
    trim(max);
  }
  std::vector<Entry> pending(std::int64_t now_ms) const {
    Model copy = *this;
    copy.expire(now_ms);
    std::ranges::sort(copy.entries, {}, [](const Entry& entry) { return std::pair(entry.lane, entry.seq); });
    return copy.entries;
  }
};

std::vector<Model::Entry> entries_of(const std::vector<Inbox::Pending>& backlog) {
  std::vector<Model::Entry> out;
  for (const auto& entry : backlog)
    out.push_back({entry.seq, static_cast<int>(entry.priority), entry.expires_ms, entry.body.size()});
  return out;
}

struct Shape {
  int steps = 60;
  std::uint64_t entries_max = 12;
  std::uint64_t acks_max = 4;  // seqs in one
  std::size_t bytes_max = 1'000'000;
  bool reloads = false;
  std::int64_t ttl_ms = 40;  // so that some entries end in a walk
};

class Walk {
 public:
  Walk(unsigned seed, const Shape& shape)
      : random_(seed),
        shape_(shape),
        max_(roll(1, shape.entries_max)),
        options_(std::make_shared<InboxOptions>(
            InboxOptions{.ttl_ms = shape.ttl_ms, .entries_max = max_, .bytes_max = shape.bytes_max})),
        model_{{}, shape.bytes_max} {}

  void go() {
    for (int step = 0; step < shape_.steps; ++step) {
      now_ += roll(0, 4);
      if (shape_.reloads && roll(0, 9) == 0) {
        max_ = roll(0, shape_.entries_max);
        options_->entries_max = max_;
      }
      if (roll(0, 3) == 0)
        ack();
      else
        add();
      compare(now_ + roll(0, 10));
      if (testing::Test::HasFailure()) return;
    }
    if (!shape_.reloads) replay();
  }

 private:
  std::uint64_t roll(std::uint64_t min, std::uint64_t max) {
    return std::uniform_int_distribution<std::uint64_t>(min, max)(random_);
  }

  void add() {
    Written written{.seq = seq_,
                    .timestamp_ms = time(),
                    .name = "notify",
                    .data = '"' + std::string(roll(0, 200), 'x') + '"'};
    if (roll(0, 1) == 0)
      written.expires_ms =
          time() + 1 + static_cast<std::int64_t>(roll(0, static_cast<std::uint64_t>(shape_.ttl_ms)));
    // Mostly low, so that there is something to push out.
    static constexpr int kLanes[] = {0, 1, 2, 2, 3, 3, 3};
    const int lane = kLanes[roll(0, 6)];
    if (lane != 2 || roll(0, 1) == 0) written.priority = static_cast<Priority>(lane);
    const std::int64_t expires_ms = written.expires_ms != 0 ? written.expires_ms : time() + shape_.ttl_ms;
    const auto criticals = pending_criticals();
    const bool kept = model_.add({seq_, lane, expires_ms, written.event().body.size()}, time(), max_);
    take(written, kept);
    if (lane != 0 && !shape_.reloads) {
      EXPECT_EQ(pending_criticals(), criticals);
    }
  }

  void ack() {
    std::vector<std::uint64_t> seqs;
    for (std::uint64_t count = roll(0, shape_.acks_max); count > 0; --count)
      seqs.push_back(seq_ + 2 - std::min(seq_ + 1, roll(0, 2 * max_ + 10)));
    std::string list;
    for (const std::uint64_t seq : seqs) list += (list.empty() ? "" : ",") + std::to_string(seq);
    Written written{.seq = seq_, .timestamp_ms = time(), .name = "ack", .data = "{\"seqs\":[" + list + "]}"};
    if (roll(0, 5) == 0) {
      static constexpr const char* kBad[] = {"null", "[1]", R"({"seqs":[1,"2"]})", R"({"seqs":[0]})"};
      written.data = kBad[roll(0, 3)];
      return refuse(written);
    }
    model_.ack(seqs, time(), max_);
    take(written, true);
  }

  void take(const Written& written, bool kept) {
    const Event event = written.event();
    const std::string before = inbox_.save();
    const auto taken = inbox_.take(event, {.may_publish = true});
    ASSERT_TRUE(taken);
    ASSERT_EQ(taken->dropped, !kept);
    if (!kept) {
      EXPECT_EQ(inbox_.save(), before);
      return;
    }
    taken_.push_back(event);
    folded_ms_ = event.timestamp_ms;
    saved_.push_back(inbox_.save());
    ++seq_;
  }

  void refuse(const Written& written) {
    const std::string before = inbox_.save();
    const std::string shown = inbox_.snapshot(time());
    EXPECT_EQ(outcome(inbox_.take(written.event(), {.may_publish = true})), "invalid_event");
    EXPECT_EQ(inbox_.save(), before);
    EXPECT_EQ(inbox_.snapshot(time()), shown);
  }

  std::vector<std::uint64_t> pending_criticals() const {
    std::vector<std::uint64_t> seqs;
    for (const auto& entry : inbox_.backlog({}, ~std::uint64_t{0}, 10'000, 10'000'000, time()))
      if (entry.priority == Priority::critical) seqs.push_back(entry.seq);
    return seqs;
  }

  void compare(std::uint64_t now) {
    const std::int64_t now_ms = static_cast<std::int64_t>(now);
    const auto expected = model_.pending(now_ms);
    EXPECT_EQ(entries_of(inbox_.backlog({}, ~std::uint64_t{0}, 10'000, 10'000'000, now_ms)), expected);
    EXPECT_EQ(inbox_.size(now_ms), expected.size());
    const std::size_t held = inbox_.size(std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(held, model_.pending(folded_ms_).size());
    if (!shape_.reloads) {
      EXPECT_LE(held, max_);
    }
    for (const auto& entry : expected) EXPECT_LE(inbox_.oldest_seq(), entry.seq);
    compare_backlog(expected, now_ms);
    compare_acks(expected, now_ms);
  }

  void compare_backlog(const std::vector<Model::Entry>& expected, std::int64_t now_ms) {
    const Inbox::Cursor after{static_cast<Priority>(roll(0, 3)), roll(0, seq_)};
    const std::uint64_t up_to = roll(0, seq_);
    const std::size_t messages_max = roll(0, 5);
    std::vector<Model::Entry> wanted;
    for (const auto& entry : expected) {
      const bool behind =
          std::pair(entry.lane, entry.seq) > std::pair(static_cast<int>(after.priority), after.seq);
      if (behind && entry.seq <= up_to && wanted.size() < std::max<std::size_t>(messages_max, 1))
        wanted.push_back(entry);
    }
    EXPECT_EQ(entries_of(inbox_.backlog(after, up_to, messages_max, 10'000'000, now_ms)), wanted);
  }

  void compare_acks(const std::vector<Model::Entry>& expected, std::int64_t now_ms) {
    const std::uint64_t up_to = roll(0, seq_);
    std::vector<std::uint64_t> seqs, some, all;
    for (int i = 0; i < 5; ++i) seqs.push_back(roll(0, seq_));
    for (const auto& entry : expected) {
      if (entry.seq <= up_to) all.push_back(entry.seq);
      if (std::ranges::count(seqs, entry.seq) > 0) some.push_back(entry.seq);
    }
    std::ranges::sort(all);
    std::ranges::sort(some);
    EXPECT_EQ(inbox_.pending_up_to(up_to, now_ms), all);
    EXPECT_EQ(inbox_.pending_among(seqs, now_ms), some);
  }

  void replay() {
    Inbox whole("7", options_);
    for (const Event& event : taken_) whole.replay(event);
    EXPECT_EQ(whole.save(), inbox_.save());
    if (taken_.empty()) return;
    const std::size_t cut = roll(0, taken_.size() - 1);
    Inbox resumed("7", options_);
    ASSERT_TRUE(resumed.restore(saved_[cut]));
    EXPECT_EQ(resumed.save(), saved_[cut]);
    for (std::size_t i = cut + 1; i < taken_.size(); ++i) resumed.replay(taken_[i]);
    EXPECT_EQ(resumed.save(), inbox_.save());
    EXPECT_EQ(resumed.snapshot(time()), inbox_.snapshot(time()));
  }

  std::int64_t time() const { return static_cast<std::int64_t>(now_); }

  std::mt19937 random_;
  Shape shape_;
  std::uint64_t now_ = kNow;
  std::int64_t folded_ms_ = 0;  // of the last event that was taken
  std::uint64_t seq_ = 1;
  std::size_t max_;
  std::shared_ptr<InboxOptions> options_;
  Inbox inbox_{"7", options_};
  Model model_;
  std::vector<Event> taken_;
  std::vector<std::string> saved_;  // after each of these
};

void walk(unsigned walks, const Shape& shape) {
  for (unsigned seed = 0; seed < walks && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Walk(seed, shape).go();
  }
}

TEST(InboxProperty, IsWhatTheClauseSaysAndWhatAReplayGives) { walk(2000, {}); }

TEST(InboxProperty, KeepsItsRulesWhileItsBoundChanges) { walk(2000, {.reloads = true}); }

TEST(InboxProperty, KeepsItsRulesWhenManyEntriesComeAndGo) {
  walk(10, {.steps = 1500, .entries_max = 100, .acks_max = 200, .ttl_ms = 2000});
}

TEST(InboxProperty, KeepsItsRulesWhenItsBytesAreFewerThanItsEntries) {
  walk(2000, {.bytes_max = 700});
  walk(500, {.bytes_max = 700, .reloads = true});
}

TEST(InboxProperty, SurvivesSavedStatesThatWereDamaged) {
  Inbox inbox("7", std::make_shared<InboxOptions>());
  for (std::uint64_t seq = 1; seq <= 5; ++seq)
    inbox.replay(Written{.seq = seq, .name = "notify", .data = R"({"a":[1,"x"]})"}.event());
  const std::string saved = inbox.save();
  std::mt19937 random(1);
  for (int run = 0; run < 20'000; ++run) {
    if (!inbox.restore(damaged(saved, random))) {
      EXPECT_EQ(inbox.save(), R"({"v":1,"pending":[]})");
      continue;
    }
    const std::string again = inbox.save();
    ASSERT_TRUE(inbox.restore(again));
    EXPECT_EQ(inbox.save(), again);
  }
}

}  // namespace
}  // namespace tidewire::kinds
