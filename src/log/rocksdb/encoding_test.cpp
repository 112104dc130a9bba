// Records survive their encoding; what is none is not taken for one.
#include "log/rocksdb/encoding.h"

#include <gtest/gtest.h>

#include <random>

namespace tidewire::log {

namespace {

ChannelRecord record_up_to(std::uint64_t last) {
  return {.first_seq = last / 2 + 1,
          .last_seq = last,
          .cleared_to = last / 3 + 1,
          .keys_from = last / 4 + 1,
          .snapshot_seq = last / 2,
          .keep_from = last,
          .mark = UINT64_MAX,
          .touched_ms = 1'700'000'000'000,
          .retention = {.messages = 100'000, .ttl_ms = 604'800'000, .folded = true},
          .damaged = true,
          .under_way = true,
          .epoch = "an epoch"};
}

void expect_same(const ChannelRecord& record) {
  const auto again = decode_record(encode_record(record));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->first_seq, record.first_seq);
  EXPECT_EQ(again->last_seq, record.last_seq);
  EXPECT_EQ(again->cleared_to, record.cleared_to);
  EXPECT_EQ(again->keys_from, record.keys_from);
  EXPECT_EQ(again->snapshot_seq, record.snapshot_seq);
  EXPECT_EQ(again->keep_from, record.keep_from);
  EXPECT_EQ(again->mark, record.mark);
  EXPECT_EQ(again->touched_ms, record.touched_ms);
  EXPECT_EQ(again->retention.messages, record.retention.messages);
  EXPECT_EQ(again->retention.ttl_ms, record.retention.ttl_ms);
  EXPECT_EQ(again->retention.folded, record.retention.folded);
  EXPECT_EQ(again->damaged, record.damaged);
  EXPECT_EQ(again->under_way, record.under_way);
  EXPECT_EQ(again->epoch, record.epoch);
}

}  // namespace

TEST(ChannelRecord, SurvivesItsEncoding) {
  expect_same({.retention = {}, .epoch = "e"});
  for (const std::uint64_t last : std::initializer_list<std::uint64_t>{
           0, 1, 126, 127, 128, 129, 16'383, 16'384, std::uint64_t{1} << 41, UINT64_MAX - 1})
    expect_same(record_up_to(last));
  ChannelRecord before_1970 = record_up_to(5);
  before_1970.touched_ms = -7;
  before_1970.damaged = before_1970.under_way = before_1970.retention.folded = false;
  expect_same(before_1970);
}

TEST(ChannelRecord, IsNotReadFromAPartOfIt) {
  const ChannelRecord record = record_up_to(1000);
  const std::string whole = encode_record(record);
  for (std::size_t size = 0; size <= whole.size() - record.epoch.size(); ++size)
    EXPECT_FALSE(decode_record(std::string_view(whole).substr(0, size)));
}

TEST(ChannelRecord, IsAlwaysOneThatCanBe) {
  std::mt19937 random(1);
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(random() % 60, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % (round % 2 == 0 ? 256 : 140));
    const auto record = decode_record(bytes);
    if (!record) continue;
    EXPECT_LE(record->cleared_to, record->first_seq);
    EXPECT_GE(record->cleared_to, 1u);
    EXPECT_LE(record->first_seq - 1, record->last_seq);
    EXPECT_LE(record->keys_from - 1, record->last_seq);
    EXPECT_LE(record->snapshot_seq, record->last_seq);
    EXPECT_FALSE(record->epoch.empty());
  }
}

TEST(ChannelRecord, KnowsWhatNoBoundMayTrim) {
  ChannelRecord record{.last_seq = 10, .retention = {.messages = 3}, .epoch = "e"};
  EXPECT_EQ(record.needed_from(), 11u);
  EXPECT_EQ(record.first_by_count(), 8u);
  record.retention.folded = true;
  EXPECT_EQ(record.needed_from(), 1u);
  record.snapshot_seq = 9;
  EXPECT_EQ(record.needed_from(), 10u);
  EXPECT_EQ(record.first_by_count(), 8u);
  record.keep_from = 4;
  EXPECT_EQ(record.needed_from(), 4u);
  EXPECT_EQ(record.first_by_count(), 4u);
  record.first_seq = 6;  // what is gone stays so
  EXPECT_EQ(record.first_by_count(), 6u);
  record.retention.messages = SIZE_MAX;
  record.first_seq = 1;
  EXPECT_EQ(record.first_by_count(), 1u);
}

}  // namespace tidewire::log
