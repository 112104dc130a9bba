// Events as tests write them, and what tests of several kinds do with folds.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "kinds/fold.h"

namespace tidewire::kinds {

struct Said {
  std::string_view name = {};
  std::string_view payload = "null";
  std::string_view form = "data";
  std::string_view user = "1";  // empty: an API key
};

// An event of the log; seq 0 makes an ephemeral one.
inline Event event_at(std::uint64_t seq, std::int64_t timestamp_ms, const Said& said) {
  std::string body;
  if (seq != 0) body = "\"seq\":" + std::to_string(seq) + ",";
  body += "\"timestamp\":" + std::to_string(timestamp_ms);
  if (!said.name.empty()) body += ",\"event\":" + json_string(said.name);
  if (!said.user.empty())
    body += ",\"from\":{\"user\":{\"id\":" + json_string(said.user) +
            ",\"type\":\"user\"},\"connection\":\"c-1\"}";
  body.append(",\"").append(said.form).append("\":").append(said.payload).append("}");
  return event_of(SharedBytes(body), 0);
}

inline Run run_of(const Event& event) { return {.first = event.seq, .last = event.seq, .body = event.body}; }

// Takes events with seqs and times of their own, and checks what holds for every fold: a refused event
// changes nothing, and a fold restored from any point goes on as the one that was saved.
template <class Kind>
class Feed {
 public:
  template <class... Options>
  explicit Feed(Options... options) : fold(options...), restored_(options...), replayed_(options...) {}

  Result<Taken> operator()(const Said& said, std::int64_t after_ms = 10) {
    now_ms += after_ms;
    const Event event = event_at(seq + 1, now_ms, said);
    const std::string before = fold.save();
    const Asker asker{.user_id = said.user, .server = said.user.empty()};
    const auto judged = fold.judge(event, asker);
    EXPECT_EQ(fold.save(), before);
    const auto taken = fold.take(event, asker);
    EXPECT_EQ(judged ? std::nullopt : std::optional(judged.error()),
              taken ? std::nullopt : std::optional(taken.error()));
    if (!taken) {
      EXPECT_EQ(fold.save(), before);
      return taken;
    }
    ++seq;
    events.push_back(event);
    restored_.replay(event);
    replayed_.replay(event);
    EXPECT_EQ(restored_.save(), fold.save());
    EXPECT_EQ(replayed_.save(), fold.save());
    EXPECT_EQ(restored_.snapshot(now_ms), fold.snapshot(now_ms));
    return taken;
  }

  Result<Taken> ephemeral(const Said& said) {
    const std::string before = fold.save();
    auto taken = fold.take(event_at(0, now_ms, said), {.user_id = said.user, .server = said.user.empty()});
    EXPECT_EQ(fold.save(), before);
    return taken;
  }

  // From here on one of the followers is a fold that was just restored.
  void save_and_restore() { EXPECT_TRUE(restored_.restore(fold.save())); }

  std::string snapshot() const { return fold.snapshot(now_ms); }

  Kind fold;
  std::uint64_t seq = 0;
  std::int64_t now_ms = 1'000'000;
  std::vector<Event> events;

 private:
  Kind restored_;
  Kind replayed_;
};

inline ErrorCode code_of(const Result<Taken>& taken) {
  return taken ? ErrorCode::internal : taken.error().code;
}

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : random_(seed) {}
  std::size_t below(std::size_t end) { return random_() % end; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class Range>
  const auto& pick(const Range& range) {
    return range[below(std::size(range))];
  }

 private:
  std::mt19937 random_;
};

}  // namespace tidewire::kinds
