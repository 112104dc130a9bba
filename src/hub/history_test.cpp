#include "hub/history.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace tidewire::hub {
namespace {

constexpr HistoryBounds kTen{.messages = 10, .ttl_ms = 1000};

Entry entry(std::uint64_t seq, std::int64_t timestamp_ms = 0, std::int64_t expires_ms = 0) {
  return {.seq = seq,
          .timestamp_ms = timestamp_ms,
          .expires_ms = expires_ms,
          .body = SharedBytes("body " + std::to_string(seq))};
}

History filled(std::uint64_t from, std::uint64_t to, const HistoryBounds& bounds = kTen) {
  History history;
  for (std::uint64_t seq = from; seq <= to; ++seq) history.append(entry(seq), bounds);
  return history;
}

std::string read(const History& history, std::uint64_t next, std::int64_t now_ms = 0,
                 std::size_t messages = 100, std::size_t bytes = 1 << 20) {
  std::vector<CatchUpItem> items;
  const bool all = history.read(next, now_ms, messages, bytes, items);
  std::string out;
  for (const CatchUpItem& item : items)
    out += item.body ? std::to_string(item.first) + " "
                     : "(" + std::to_string(item.first) + "-" + std::to_string(item.last) + ") ";
  return out + (all ? "end" : "next " + std::to_string(next));
}

std::string page(const History& history, std::uint64_t after, std::uint64_t before, std::uint64_t limit,
                 bool newest, std::int64_t now_ms = 0) {
  std::string out;
  for (const SharedBytes& body : history.page(after, before, limit, newest, now_ms))
    out += std::string(body.view().substr(5)) + " ";
  return out;
}

TEST(History, IsEmptyWhereNothingMayBeKeptAndBeginsAnewWhenItMayAgain) {
  History history = filled(1, 3);
  history.append(entry(4), {.messages = 0});
  EXPECT_TRUE(history.empty());
  EXPECT_FALSE(history.holds(3));
  history.append(entry(5), kTen);
  EXPECT_EQ(history.first_seq(), 5u);
  EXPECT_EQ(read(history, 5), "5 end");
}

TEST(History, IsEmptyAtFirst) {
  const History history;
  EXPECT_TRUE(history.empty());
  EXPECT_EQ(history.first_seq(), 0u);
  EXPECT_EQ(history.last_seq(), 0u);
  EXPECT_EQ(read(history, 1), "end");
  EXPECT_EQ(page(history, 0, 100, 10, true), "");
  EXPECT_FALSE(history.holds(1));
}

TEST(History, KeepsTheNewestByCount) {
  const History history = filled(1, 25);
  EXPECT_EQ(history.first_seq(), 16u);
  EXPECT_EQ(history.last_seq(), 25u);
  EXPECT_TRUE(history.holds(16));
  EXPECT_FALSE(history.holds(15));
}

TEST(History, KeepsNothingWhereTheNamespaceSaysSo) { EXPECT_TRUE(filled(1, 5, {.messages = 0}).empty()); }

TEST(History, KeepsTheNewestByBytesAndAlwaysOne) {
  const HistoryBounds bounds{.messages = 100, .bytes = 20};
  EXPECT_EQ(filled(1, 9, bounds).first_seq(), 7u);
  History history;
  history.append({.seq = 1, .body = SharedBytes(std::string(100, 'x'))}, bounds);
  EXPECT_EQ(history.first_seq(), 1u);
}

TEST(History, TrimsWhatIsTooOldAndSaysUpToWhere) {
  History history;
  for (std::uint64_t seq = 1; seq <= 4; ++seq)
    history.append(entry(seq, static_cast<std::int64_t>(seq) * 100), kTen);
  EXPECT_EQ(history.trim(1099, kTen), 0u);
  EXPECT_EQ(history.first_seq(), 1u);
  EXPECT_EQ(history.trim(1200, kTen), 3u);
  EXPECT_EQ(history.first_seq(), 3u);
  history.trim(5000, kTen);
  EXPECT_TRUE(history.empty());
}

TEST(History, TrimsExpiredEntriesAtItsOldEndOnly) {
  History history;
  history.append(entry(1, 0, 50), kTen);
  history.append(entry(2, 0, 60), kTen);
  history.append(entry(3), kTen);
  history.append(entry(4, 0, 50), kTen);
  history.append(entry(5), kTen);
  EXPECT_EQ(read(history, 1, 49), "1 2 3 4 5 end");
  history.trim(60, kTen);
  EXPECT_EQ(history.first_seq(), 3u);
  EXPECT_EQ(read(history, 3, 60), "3 (4-4) 5 end");
}

TEST(History, AsACacheKeepsExpiredEntriesSinceTheLogMayHoldOlderOnes) {
  const HistoryBounds cache{.messages = 10, .ttl_ms = 1000, .is_cache = true};
  History history;
  history.append(entry(1, 0, 50), cache);
  history.append(entry(2), cache);
  history.trim(60, cache);
  EXPECT_EQ(history.first_seq(), 1u);
  EXPECT_EQ(read(history, 1, 60), "(1-1) 2 end");
}

TEST(History, ReadsInPiecesByCountAndBytes) {
  const History history = filled(1, 5);
  EXPECT_EQ(read(history, 2, 0, 2), "2 3 next 4");
  EXPECT_EQ(read(history, 4, 0, 2), "4 5 end");
  EXPECT_EQ(read(history, 1, 0, 100, 7), "1 2 next 3");
  EXPECT_EQ(read(history, 1, 0, 100, 1), "1 next 2") << "at least one";
  EXPECT_EQ(read(history, 6), "end");
}

TEST(History, ReadsHolesInARowAsOneGap) {
  History history;
  for (std::uint64_t seq = 1; seq <= 6; ++seq)
    history.append(entry(seq, 0, seq >= 2 && seq <= 4 ? 10 : 0), kTen);
  EXPECT_EQ(read(history, 1, 10), "1 (2-4) 5 6 end");
  EXPECT_EQ(read(history, 3, 10), "(3-4) 5 6 end");
  EXPECT_EQ(read(history, 1, 10, 1), "1 next 2") << "a hole counts for nothing";
  EXPECT_EQ(read(history, 2, 10, 1), "(2-4) 5 next 6");
}

TEST(History, FindsWhereItsLastMessagesBegin) {
  History history;
  for (std::uint64_t seq = 1; seq <= 6; ++seq) history.append(entry(seq, 0, seq == 5 ? 10 : 0), kTen);
  const auto start = [&](std::uint64_t count, std::int64_t now_ms, std::uint64_t missing) {
    const std::uint64_t seq = history.start_of_last(count, now_ms);
    EXPECT_EQ(count, missing);
    return seq;
  };
  EXPECT_EQ(start(0, 0, 0), 7u);
  EXPECT_EQ(start(2, 0, 0), 5u);
  EXPECT_EQ(start(2, 10, 0), 4u) << "what is gone does not count";
  EXPECT_EQ(start(100, 10, 95), 1u);
}

TEST(History, PagesFromEitherEnd) {
  const History history = filled(1, 20);  // 11..20 are kept
  EXPECT_EQ(page(history, 0, ~std::uint64_t{0}, 3, true), "18 19 20 ");
  EXPECT_EQ(page(history, 0, 15, 3, true), "12 13 14 ");
  EXPECT_EQ(page(history, 0, 3, 3, false), "");
  EXPECT_EQ(page(history, 12, ~std::uint64_t{0}, 3, false), "13 14 15 ");
  EXPECT_EQ(page(history, 12, 15, 9, false), "13 14 ");
  EXPECT_EQ(page(history, 0, ~std::uint64_t{0}, 2, false), "11 12 ");
  EXPECT_EQ(page(history, 20, ~std::uint64_t{0}, 2, false), "");
  EXPECT_EQ(page(history, 14, 14, 2, false), "");
  EXPECT_EQ(page(history, 5, 50, 0, true), "");
  EXPECT_EQ(page(history, (std::uint64_t{1} << 53), ~std::uint64_t{0}, 5, false), "");
}

TEST(History, CountsEveryPageAgainstAPlainList) {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    History history;
    std::vector<Entry> plain;
    const HistoryBounds bounds{.messages = 1 + random.below(12)};
    for (std::uint64_t seq = 1, count = random.below(30); seq <= count; ++seq) {
      history.append(entry(seq, 0, random.below(3) == 0 ? 10 : 0), bounds);
      plain.push_back(entry(seq));
    }
    if (history.empty()) continue;
    std::uint64_t next = history.first_seq();
    std::vector<CatchUpItem> items;
    while (!history.read(next, 10, 1 + random.below(4), 1 << 20, items)) {
    }
    std::uint64_t at = history.first_seq();
    for (const CatchUpItem& item : items) {
      EXPECT_EQ(item.first, at);
      EXPECT_GE(item.last, item.first);
      if (item.body) {
        EXPECT_EQ(item.body.view(), plain[at - 1].body.view());
      }
      at = item.last + 1;
    }
    EXPECT_EQ(at, history.last_seq() + 1);
  }
}

}  // namespace
}  // namespace tidewire::hub
