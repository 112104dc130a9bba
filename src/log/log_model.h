// A naive model of one channel of a log, and random operations that change a model as they should change
// the channel. For the tests that compare the two.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "log/log_under_test.h"

namespace tidewire::log {

// Everything that a channel ever had, and what of it must still be there.
struct Model {
  std::string epoch;  // empty: the channel has not been made
  Retention retention;
  std::vector<Entry> entries;  // all, from seq 1
  std::vector<KeyUse> keys;
  std::uint64_t snapshot_seq = 0;
  std::string snapshot;
  std::uint64_t keep_from = 0;
  std::uint64_t mark = 0;
  std::optional<Handle> open_as;
  // Entries below may be gone, by the rules of now or of before.
  std::uint64_t floor = 1;

  std::uint64_t last() const { return entries.size(); }
  // What is from here on must not go.
  std::uint64_t needed_from() const {
    if (!retention.folded) return last() + 1;
    return keep_from == 0 ? snapshot_seq + 1 : std::min(snapshot_seq + 1, keep_from);
  }
  // What is below must go.
  std::uint64_t first_by_count() const {
    return std::min(last() - std::min<std::uint64_t>(last(), retention.messages) + 1, needed_from());
  }
  void settle(std::int64_t now_ms) {
    floor = std::max(floor, first_by_count());
    while (floor < needed_from()) {
      const Entry& oldest = entries[floor - 1];
      const bool too_old = retention.ttl_ms != 0 && oldest.timestamp_ms + retention.ttl_ms <= now_ms;
      if (!too_old && !oldest.expired(now_ms)) return;
      ++floor;
    }
  }

  void apply(const Open& open, std::int64_t now_ms) {
    if (epoch.empty()) epoch = open.epoch;
    retention = open.retention;
    open_as = open.channel;
    settle(now_ms);
  }
  void apply(const Append& append, std::int64_t now_ms) {
    entries.insert(entries.end(), append.entries.begin(), append.entries.end());
    keys.insert(keys.end(), append.keys.begin(), append.keys.end());
    if (append.keep_from != 0) keep_from = append.keep_from;
    mark = std::max(mark, append.mark);
    settle(now_ms);
  }
  void apply(const Retain& retain, std::int64_t now_ms) {
    retention = retain.retention;
    settle(now_ms);
  }
  void apply(const SaveMark& save) { mark = std::max(mark, save.mark); }
  void apply(const SaveSnapshot& save) {
    if (save.seq < snapshot_seq || save.seq > last()) return;
    snapshot_seq = save.seq;
    snapshot = save.state.view();
  }

  // Why a channel that was just opened cannot be this one; empty: it can be.
  std::string unlike(const Opened& opened, std::int64_t now_ms) const {
    std::vector<std::string> in_use, found;
    for (const KeyUse& use : keys)
      if (use.until_ms > now_ms) in_use.push_back(std::to_string(use.seq) + use.name);
    for (const KeyUse& use : opened.keys) found.push_back(std::to_string(use.seq) + use.name);
    if (!epoch.empty() && opened.epoch != epoch) return "epoch " + opened.epoch + " is not " + epoch;
    const auto differs = [](const char* what, std::uint64_t is, std::uint64_t should) {
      return what + std::to_string(is) + " is not " + std::to_string(should);
    };
    if (opened.last_seq != last()) return differs("last_seq ", opened.last_seq, last());
    if (opened.first_seq > floor) return differs("first_seq ", opened.first_seq, floor);
    if (opened.first_seq < first_by_count()) return differs("first_seq ", opened.first_seq, first_by_count());
    if (opened.mark != mark) return differs("mark ", opened.mark, mark);
    if (opened.snapshot_seq != snapshot_seq)
      return differs("snapshot_seq ", opened.snapshot_seq, snapshot_seq);
    if (opened.snapshot.view() != snapshot) return "the snapshot is another";
    return found == in_use ? "" : "the keys are others";
  }
  // These entries stand in the channel from `first` on.
  void expect_has(const std::vector<Entry>& found, std::uint64_t first) const {
    for (const Entry& each : found) {
      ASSERT_EQ(each.seq, first);
      const Entry& wanted = entries.at(first++ - 1);
      EXPECT_EQ(each.body, wanted.body);
      EXPECT_EQ(each.timestamp_ms, wanted.timestamp_ms);
      EXPECT_EQ(each.expires_ms, wanted.expires_ms);
    }
  }
};

// Each makes an operation for the channel of a model, and carries it out there.
class RandomOperations {
 public:
  explicit RandomOperations(std::uint32_t seed, std::size_t body_max = 40)
      : random_(seed), body_max_(body_max) {}

  std::mt19937& random() { return random_; }
  std::uint64_t below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }
  std::string text(std::size_t max = 12) {
    return std::string(below(max), static_cast<char>('a' + below(26)));
  }

  Open open(Model& model, std::string name, bool folded, std::int64_t now_ms) {
    const Handle channel{.index = next_handle_++, .generation = 1};
    Open what{.channel = channel,
              .name = std::move(name),
              .epoch = "e" + std::to_string(channel.index),
              .retention = {.messages = below(3) == 0 ? below(5) : 50 + below(200),
                            .ttl_ms = below(2) == 0 ? 0 : static_cast<std::int64_t>(100 + below(500)),
                            .folded = folded},
              .tail_messages = below(20),
              .tail_bytes = below(400)};
    model.apply(what, now_ms);
    return what;
  }

  Append append(Model& model, std::uint64_t entries_max, std::int64_t now_ms) {
    Append what{.channel = *model.open_as, .number = model.last() + 1, .entries = {}, .keys = {}};
    for (std::uint64_t count = below(4) == 0 ? below(entries_max) + 1 : 1; count > 0; --count) {
      const std::uint64_t seq = model.last() + what.entries.size() + 1;
      const std::int64_t expires_ms = below(5) == 0 ? now_ms + static_cast<std::int64_t>(below(200)) : 0;
      what.entries.push_back(entry(seq, text(body_max_), now_ms, expires_ms));
      if (below(3) == 0) what.keys.push_back({.name = text(), .seq = seq, .until_ms = now_ms + 300});
    }
    const std::uint64_t last = model.last() + what.entries.size();
    if (below(4) == 0) what.keep_from = below(3) == 0 ? last + 1 : 1 + below(last);
    if (below(4) == 0) what.mark = below(1000);
    model.apply(what, now_ms);
    return what;
  }

  // One whose seqs do not fit.
  Append refused_append(const Model& model) {
    const std::uint64_t seq = model.last() + 2 + below(3);
    return {.channel = *model.open_as,
            .number = seq,
            .entries = {entry(seq, "no")},
            .keys = {},
            .keep_from = seq + 1,
            .mark = 5000};
  }

  SaveMark mark(Model& model) {
    const SaveMark what{.channel = *model.open_as, .mark = below(1000)};
    model.apply(what);
    return what;
  }

  // As a rule of the latest entry; also of an older one, or of one that there is not.
  SaveSnapshot snapshot(Model& model) {
    std::uint64_t seq = model.last();
    if (below(4) == 0)
      seq += 1;
    else if (below(4) == 0)
      seq = below(model.last() + 1);
    SaveSnapshot what{.channel = *model.open_as, .seq = seq, .state = SharedBytes(text(body_max_))};
    model.apply(what);
    return what;
  }

 private:
  std::mt19937 random_;
  std::size_t body_max_;
  std::uint32_t next_handle_ = 1;
};

}  // namespace tidewire::log
