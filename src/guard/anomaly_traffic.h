// Labelled traffic for the anomaly detection: users of known sorts, half an hour of their life, and what
// the detector says of each. For the test and the measurement; deterministic from a seed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "base/random.h"
#include "guard/anomaly_habits.h"

namespace tidewire::guard::traffic {

enum class Writer : std::uint8_t { other, person, program };

constexpr std::int64_t kSecond_ms = 1'000;
constexpr std::int64_t kMinute_ms = 60'000;
constexpr std::int64_t kLength_ms = 30 * kMinute_ms;
constexpr int kNormalOfASort = 80;
constexpr int kAbusersOfASort = 20;

// What a user does at one moment.
struct Act {
  std::size_t bytes = 100;
  Writer writer = Writer::other;
  bool failed = false;
  std::uint64_t refused_channel = 0;  // 0: none
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  double share() { return static_cast<double>(random_.next() >> 11) * 0x1p-53; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(share() * static_cast<double>(high - low));
  }
  bool chance(double probability) { return share() < probability; }
  // As people wait: most waits short, some long.
  std::int64_t human_ms(double median_s, double spread) {
    const double normal = std::sqrt(-2 * std::log(1 - share())) * std::cos(6.283185307179586 * share());
    return std::max<std::int64_t>(60, static_cast<std::int64_t>(1000 * median_s * std::exp(spread * normal)));
  }
  // As timers wait.
  std::int64_t timer_ms(std::int64_t period_ms, double jitter) {
    return period_ms + static_cast<std::int64_t>(static_cast<double>(period_ms) * jitter * (2 * share() - 1));
  }
  std::uint64_t any() { return random_.next() | 1; }

 private:
  Random random_;
};

// What a user is at: a counter for whatever it does several times, and the time.
struct Life {
  Dice dice;
  std::int64_t now_ms = 0;
  std::int64_t left = 0;
  std::int64_t phase = 0;
};

// Fills `act` and answers how long until the next one.
using Habitude = std::function<std::int64_t(Life&, Act&)>;

struct Sort {
  std::string name;
  Habitude live;
};

// `left` times `during`, then a pause.
inline std::int64_t in_turns(Life& life, std::int64_t few, std::int64_t many, std::int64_t during_ms,
                             std::int64_t pause_ms) {
  if (life.left <= 0) life.left = life.dice.between(few, many);
  return --life.left > 0 ? during_ms : pause_ms;
}

inline std::vector<Sort> normal_sorts() {
  const auto bursty = [](Life& l, Act& a) {
    a = {.bytes = static_cast<std::size_t>(l.dice.between(60, 400)), .writer = Writer::person};
    return in_turns(l, 5, 30, l.dice.human_ms(5, 0.9), l.dice.between(kMinute_ms, 8 * kMinute_ms));
  };
  const auto slow = [](Life& l, Act& a) {
    a = {.bytes = static_cast<std::size_t>(l.dice.between(60, 300)), .writer = Writer::person};
    return l.dice.human_ms(40, 0.8);
  };
  return {
      {"bursty chat", bursty},
      {"slow typist", slow},
      {"dashboard, a write a second",
       [](Life& l, Act& a) {
         a = {.bytes = 300, .writer = Writer::program};
         return l.dice.timer_ms(1000, 0.01);
       }},
      {"uploads with progress",
       [](Life& l, Act& a) {
         a = {.bytes = 120, .writer = Writer::program};
         return in_turns(l, 100, 450, l.dice.timer_ms(200, 0.1), l.dice.between(kMinute_ms, 4 * kMinute_ms));
       }},
      {"agent that streams",
       [](Life& l, Act& a) {
         a = {.bytes = 90, .writer = Writer::program};
         return in_turns(l, 80, 900, l.dice.human_ms(0.07, 0.5), l.dice.between(20, 180) * kSecond_ms);
       }},
      {"reconnect storms",
       [](Life& l, Act& a) {
         // Everybody at once, twice: all channels again, a few of which are gone.
         constexpr std::int64_t kStorms_ms[] = {12 * kMinute_ms, 24 * kMinute_ms};
         a = {.bytes = 150, .writer = Writer::person};
         if (l.left > 0) {
           --l.left;
           a.writer = Writer::other;
           if (l.dice.chance(0.01)) a = {.bytes = 150, .failed = true, .refused_channel = l.dice.any()};
           return l.dice.between(5, 40);
         }
         const std::int64_t next = l.dice.human_ms(20, 0.8);
         if (l.phase < 2 && l.now_ms + next >= kStorms_ms[l.phase]) {
           l.left = l.dice.between(40, 120);
           const std::int64_t until = kStorms_ms[l.phase] - l.now_ms;
           ++l.phase;
           return std::max<std::int64_t>(until, 1) + l.dice.between(0, 3000);
         }
         return next;
       }},
      {"lurker",
       [](Life& l, Act& a) {
         a = {.bytes = 40, .writer = Writer::other};
         return l.dice.chance(0.8) ? l.dice.timer_ms(30'000, 0.01) : l.dice.human_ms(50, 1);
       }},
      {"batch poster",
       [](Life& l, Act& a) {
         a = {.bytes = static_cast<std::size_t>(l.dice.between(500, 2000)), .writer = Writer::person};
         return in_turns(l, 20, 45, l.dice.between(60, 160), l.dice.between(4, 7) * kMinute_ms);
       }},
      {"power user",
       [](Life& l, Act& a) {
         const bool says = l.dice.chance(0.6);
         a = {.bytes = static_cast<std::size_t>(l.dice.between(100, 1500)),
              .writer = says ? Writer::person : Writer::other,
              .failed = l.dice.chance(0.005)};
         return l.dice.human_ms(0.9, 0.9);
       }},
      {"pastes big texts",
       [](Life& l, Act& a) {
         a = {.bytes = static_cast<std::size_t>(l.dice.chance(0.2) ? l.dice.between(20'000, 250'000) : 200),
              .writer = Writer::person};
         return l.dice.human_ms(25, 1);
       }},
      {"phone on a train",
       [](Life& l, Act& a) {
         // Comes back every minute or two: subscribes again, now and then to what is gone.
         a = {.bytes = 120, .writer = Writer::other, .failed = l.dice.chance(0.04)};
         if (a.failed && l.dice.chance(0.5)) a.refused_channel = l.dice.any();
         return in_turns(l, 8, 20, l.dice.between(10, 80), l.dice.human_ms(70, 0.6));
       }},
      {"sensor with a steady timer",
       [](Life& l, Act& a) {
         // Each at its own period, into a stream of its own.
         constexpr std::int64_t kPeriods_ms[] = {500, 1000, 2000, 5000};
         if (l.phase == 0) l.phase = kPeriods_ms[l.dice.between(0, 4)];
         a = {.bytes = 140, .writer = Writer::person};
         return l.dice.timer_ms(l.phase, 0.01);
       }},
      {"game client, four a second",
       [](Life& l, Act& a) {
         // A match, and a while in the lobby.
         a = {.bytes = 80, .writer = Writer::person};
         return in_turns(l, 500, 2500, l.dice.timer_ms(250, 0.04), l.dice.between(20, 120) * kSecond_ms);
       }},
  };
}

inline std::vector<Sort> abuse_sorts() {
  return {
      {"flood",
       [](Life& l, Act& a) {
         a = {.bytes = 100, .writer = Writer::person, .failed = l.dice.chance(0.8)};
         return l.dice.human_ms(0.05, 0.4);
       }},
      {"flood that grows slowly",
       [](Life& l, Act& a) {
         a = {.bytes = 100, .writer = Writer::person};
         const double grown =
             std::min(15.0, std::pow(1.08, static_cast<double>(l.now_ms - l.phase) / 10'000));
         return l.dice.human_ms(1.0 / grown, 0.5);
       }},
      {"malformed messages",
       [](Life& l, Act& a) {
         a = {.bytes = 60, .writer = Writer::other, .failed = true};
         return l.dice.human_ms(0.3, 0.5);
       }},
      {"channel scan",
       [](Life& l, Act& a) {
         a = {.bytes = 90, .writer = Writer::other, .failed = true, .refused_channel = l.dice.any()};
         return l.dice.human_ms(0.4, 0.5);
       }},
      {"slow channel scan",
       [](Life& l, Act& a) {
         a = {.bytes = 90, .writer = Writer::other, .failed = true, .refused_channel = l.dice.any()};
         return l.dice.human_ms(2.5, 0.3);
       }},
      {"huge messages",
       [](Life& l, Act& a) {
         a = {.bytes = static_cast<std::size_t>(l.dice.between(200'000, 900'000)), .writer = Writer::person};
         return l.dice.human_ms(1.2, 0.5);
       }},
      {"bot that chats",
       [](Life& l, Act& a) {
         a = {.bytes = 120, .writer = Writer::person};
         return l.dice.timer_ms(7000, 0.02);
       }},
      {"fast bot",
       [](Life& l, Act& a) {
         a = {.bytes = 120, .writer = Writer::person};
         return l.dice.timer_ms(1500, 0.04);
       }},
      {"forbidden publishes",
       [](Life& l, Act& a) {
         a = {.bytes = 120,
              .writer = Writer::person,
              .failed = true,
              .refused_channel = std::uint64_t{0x1234567} << static_cast<unsigned>(l.dice.between(30, 33))};
         return l.dice.human_ms(0.7, 0.5);
       }},
      {"subscribes and unsubscribes",
       [](Life& l, Act& a) {
         a = {.bytes = 70, .writer = Writer::other};
         return l.dice.human_ms(0.08, 0.4);
       }},
      {"history scraper",
       [](Life& l, Act& a) {
         a = {.bytes = 100, .writer = Writer::other};
         return l.dice.human_ms(0.15, 0.3);
       }},
  };
}

struct Score {
  std::string sort;
  bool abuse = false;
  int users = 0;
  int alarmed = 0;  // users with an alarm: of abuse, after it began
  int alarms = 0;
  int early = 0;  // abusers with an alarm before they were any
  std::vector<std::int64_t> delays_ms;
  std::array<int, kAnomalyKinds> kinds{};  // alarms by kind

  double median_delay_s() const {
    if (delays_ms.empty()) return 0;
    std::vector<std::int64_t> sorted = delays_ms;
    std::ranges::sort(sorted);
    return static_cast<double>(sorted[sorted.size() / 2]) / 1000;
  }
};

struct Outcome {
  std::vector<Score> sorts;
  std::uint64_t acts = 0;

  int sum(bool abuse, int Score::* what) const {
    int total = 0;
    for (const Score& score : sorts)
      if (score.abuse == abuse) total += score.*what;
    return total;
  }
  double recall() const { return static_cast<double>(sum(true, &Score::alarmed)) / sum(true, &Score::users); }
  // Of the users that were reported, those who were abusers by then.
  double precision() const {
    const int right = sum(true, &Score::alarmed);
    const int all = right + sum(false, &Score::alarmed) + sum(true, &Score::early);
    return all == 0 ? 1 : static_cast<double>(right) / all;
  }
};

// Half of the abusers have chatted before, the others are new when they begin.
inline Outcome run(AnomalyMethod method, std::uint64_t seed) {
  const std::vector<Sort> normal = normal_sorts(), abuse = abuse_sorts();
  struct User {
    std::size_t score;
    const Habitude* live;
    const Habitude* then = nullptr;  // from `turns_ms` on
    std::int64_t turns_ms = 0;
    Life life;
    ActivityMeter meter = {};
    UserHabits habits = {};
    bool alarmed = false;
    bool early = false;
  };
  Outcome out;
  std::vector<User> users;
  using Due = std::pair<std::int64_t, std::size_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
  Dice dice(seed);
  const auto add = [&](User user, std::int64_t begins_ms) {
    user.life.now_ms = begins_ms;
    due.push({begins_ms, users.size()});
    users.push_back(std::move(user));
    ++out.sorts.back().users;
  };
  for (const Sort& sort : normal) {
    out.sorts.push_back({.sort = sort.name, .delays_ms = {}});
    for (int i = 0; i < kNormalOfASort; ++i)
      add({.score = out.sorts.size() - 1, .live = &sort.live, .life = {.dice = Dice(dice.any())}},
          dice.between(1, 5 * kMinute_ms));
  }
  for (const Sort& sort : abuse) {
    out.sorts.push_back({.sort = sort.name, .abuse = true, .delays_ms = {}});
    for (int i = 0; i < kAbusersOfASort; ++i) {
      const std::int64_t turns_ms = dice.between(15 * kMinute_ms, 22 * kMinute_ms);
      add({.score = out.sorts.size() - 1,
           .live = &normal.front().live,
           .then = &sort.live,
           .turns_ms = turns_ms,
           .life = {.dice = Dice(dice.any())}},
          i % 2 == 0 ? dice.between(1, 5 * kMinute_ms) : turns_ms);
    }
  }
  Population everybody;
  while (!due.empty()) {
    const auto [now_ms, at] = due.top();
    due.pop();
    if (now_ms >= kLength_ms) continue;
    User& user = users[at];
    Score& score = out.sorts[user.score];
    if (user.meter.due(now_ms)) {
      if (const auto found = user.habits.judge(user.meter.take(), method, everybody, now_ms)) {
        ++score.alarms;
        ++score.kinds[static_cast<std::size_t>(found->kind)];
        if (score.abuse && user.life.phase == 0) {
          score.early += !user.early;
          user.early = true;
        } else if (!user.alarmed) {
          user.alarmed = true;
          ++score.alarmed;
          score.delays_ms.push_back(now_ms - user.turns_ms);
        }
      }
    }
    Act act;
    user.life.now_ms = now_ms;
    const bool turned = user.then != nullptr && now_ms >= user.turns_ms;
    if (turned && user.life.phase == 0) user.life.phase = now_ms;
    std::int64_t wait_ms = (turned ? *user.then : *user.live)(user.life, act);
    if (user.then != nullptr && !turned)
      wait_ms = std::min(wait_ms, std::max<std::int64_t>(user.turns_ms - now_ms, 1));
    user.meter.request(act.bytes, now_ms);
    if (act.writer != Writer::other)
      user.meter.message(
          act.writer == Writer::person ? ActivityMeter::Writer::person : ActivityMeter::Writer::program,
          now_ms);
    if (act.failed) user.meter.error();
    if (act.refused_channel != 0) user.meter.refused_channel(act.refused_channel);
    ++out.acts;
    due.push({now_ms + std::max<std::int64_t>(wait_ms, 1), at});
  }
  return out;
}

}  // namespace tidewire::guard::traffic
