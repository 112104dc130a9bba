// Torn ends of the write-ahead log, on files made by hand.
#include "log/rocksdb/torn_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/write_batch.h>

#include <boost/crc.hpp>

#include "log/log_under_test.h"
#include "log/rocksdb/store_files.h"

namespace tidewire::log {

namespace {

using ::testing::HasSubstr;

void append_little_endian(std::string& to, std::uint64_t value, int bytes) {
  for (; bytes > 0; --bytes, value >>= 8) to += static_cast<char>(value & 0xff);
}

// A file of the write-ahead log, as RocksDB would write it.
class LogFile {
 public:
  // A write of so many sequence numbers from `first` on, made when all to `synced_to` was synced. Answers
  // where it begins.
  std::uint64_t write(std::uint64_t first, std::uint32_t count, std::uint64_t synced_to,
                      std::size_t size = 100) {
    rocksdb::WriteBatch batch;
    for (std::uint32_t i = 0; i < count; ++i)
      batch.Put("key", std::string(size, static_cast<char>('a' + first % 26)));
    batch.PutLogData(synced_note(synced_to));
    std::string head;
    append_little_endian(head, first, 8);
    std::string_view rest = batch.Data();
    const std::string whole = head + std::string(rest.substr(8));
    rest = whole;
    if (kLogBlock - bytes.size() % kLogBlock < 7) bytes.resize((bytes.size() / kLogBlock + 1) * kLogBlock);
    const std::uint64_t at = bytes.size();
    for (bool begun = false; !begun || !rest.empty(); begun = true) {
      if (kLogBlock - bytes.size() % kLogBlock < 7) bytes.resize((bytes.size() / kLogBlock + 1) * kLogBlock);
      const std::string_view part = rest.substr(0, kLogBlock - bytes.size() % kLogBlock - 7);
      rest.remove_prefix(part.size());
      const int type = begun ? (rest.empty() ? 4 : 3) : (rest.empty() ? 1 : 2);
      std::string summed(1, static_cast<char>(type));
      summed += part;
      boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc32c;
      crc32c.process_bytes(summed.data(), summed.size());
      const std::uint32_t sum = crc32c.checksum();
      append_little_endian(bytes, ((sum >> 15) | (sum << 17)) + 0xa282ead8u, 4);
      append_little_endian(bytes, part.size(), 2);
      bytes += summed;
    }
    return at;
  }
  std::string bytes;
};

class TornTail : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  // What is left of each file.
  std::vector<std::uint64_t> cut(const std::vector<std::string>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) write_file(path(std::to_string(9 + i) + ".log"), files[i]);
    const auto done = cut_torn_tail(directory_.path());
    EXPECT_TRUE(done) << done.error().message;
    std::vector<std::uint64_t> sizes;
    for (std::size_t i = 0; i < files.size(); ++i) {
      const std::string left = read_file(path(std::to_string(9 + i) + ".log"));
      EXPECT_EQ(left, files[i].substr(0, left.size()));
      sizes.push_back(left.size());
    }
    return sizes;
  }
  void expect_damaged(const std::vector<std::string>& files, const std::string& named) {
    for (std::size_t i = 0; i < files.size(); ++i) write_file(path(std::to_string(9 + i) + ".log"), files[i]);
    const auto done = cut_torn_tail(directory_.path());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::internal);
    EXPECT_THAT(done.error().message, HasSubstr(named));
    for (std::size_t i = 0; i < files.size(); ++i)
      EXPECT_EQ(read_file(path(std::to_string(9 + i) + ".log")), files[i]);
  }

  TestDirectory directory_;
};

}  // namespace

TEST_F(TornTail, LeavesAWholeLogAsItIs) {
  EXPECT_TRUE(cut({}).empty());
  LogFile one, two;
  one.write(1, 2, 0);
  one.write(3, 1, 2, 100'000);
  one.write(4, 5, 3, 20'000);
  for (std::uint64_t first = 9; first < 400; ++first) one.write(first, 1, first - 1, 150 + first);
  two.write(400, 1, 399);
  EXPECT_EQ(cut({one.bytes, two.bytes, ""}),
            (std::vector<std::uint64_t>{one.bytes.size(), two.bytes.size(), 0}));
}

TEST_F(TornTail, LeavesOtherFilesAlone) {
  write_file(path("LOG.log"), "not a log");
  write_file(path("12.sst"), "a table");
  write_file(path("MANIFEST-000004"), "a manifest");
  cut({});
  EXPECT_EQ(read_file(path("LOG.log")), "not a log");
  EXPECT_EQ(read_file(path("12.sst")), "a table");
}

TEST_F(TornTail, CutsOffAWriteThatIsNotThereAsAWhole) {
  for (const std::size_t size : {10u, 300u, 70'000u}) {
    LogFile log;
    log.write(1, 1, 0);
    const std::uint64_t at = log.write(2, 1, 1, size);
    for (std::uint64_t length = at; length < log.bytes.size(); length += 1 + size / 50)
      EXPECT_EQ(cut({log.bytes.substr(0, length)}), (std::vector{at}));
    for (std::uint64_t length = kLogBlock; length < log.bytes.size(); length += kLogBlock)
      EXPECT_EQ(cut({log.bytes.substr(0, length)}), (std::vector{at}));
    EXPECT_EQ(cut({log.bytes}), (std::vector<std::uint64_t>{log.bytes.size()}));
  }
}

TEST_F(TornTail, CutsOffAWriteThatHoldsRubbishAndAllBehindIt) {
  LogFile log;
  log.write(1, 1, 0);
  const std::uint64_t at = log.write(2, 1, 1, 5000);
  log.write(3, 1, 1);  // made before the second was synced
  log.write(4, 1, 1, 60'000);
  log.write(5, 1, 1);
  for (std::uint64_t each = at; each < at + 5000; each += 97) {
    EXPECT_EQ(cut({with_flip(log.bytes, each)}), (std::vector{at}));
    EXPECT_EQ(cut({with_zeros(log.bytes, at, each + 1)}), (std::vector{at}));
  }
}

TEST_F(TornTail, CutsOffZerosAtTheEnd) {
  LogFile log;
  const std::uint64_t at = log.write(1, 1, 0);
  const std::uint64_t end = log.bytes.size();
  log.bytes.append(100'000, '\0');
  EXPECT_EQ(cut({log.bytes}), (std::vector{end}));
  EXPECT_EQ(cut({with_zeros(log.bytes, 0, end)}), (std::vector{at}));
}

TEST_F(TornTail, CutsTheLaterFilesOffToo) {
  LogFile one, two, three;
  one.write(1, 1, 0);
  const std::uint64_t at = one.write(2, 1, 1);
  two.write(3, 1, 1);
  three.write(4, 1, 1);
  EXPECT_EQ(cut({one.bytes.substr(0, at + 9), two.bytes, three.bytes}),
            (std::vector<std::uint64_t>{at, 0, 0}));
  EXPECT_EQ(cut({one.bytes, with_flip(two.bytes, 20), three.bytes}),
            (std::vector<std::uint64_t>{one.bytes.size(), 0, 0}));
}

TEST_F(TornTail, AHoleBeforeWhatWasMadeWhenItHadBeenSyncedIsDamage) {
  LogFile one, two;
  one.write(1, 1, 0);
  const std::uint64_t second = one.write(2, 1, 1);
  const std::uint64_t third = one.write(3, 1, 2);
  two.write(4, 1, 3);
  for (std::uint64_t at = second; at < third; ++at) expect_damaged({with_flip(one.bytes, at)}, "9.log");
  for (std::uint64_t at = 0; at < second; ++at) expect_damaged({with_flip(one.bytes, at)}, "9.log");
  expect_damaged({one.bytes.substr(0, third + 20), two.bytes}, "9.log");
  expect_damaged({with_zeros(one.bytes, 0, one.bytes.size()), two.bytes}, "9.log");
  // Nothing tells that the last one was synced.
  EXPECT_EQ(cut({one.bytes, with_flip(two.bytes, 20)}), (std::vector<std::uint64_t>{one.bytes.size(), 0}));
}

TEST_F(TornTail, AHoleAtTheVeryBeginningIsJudgedByTheNextWrite) {
  LogFile torn;
  torn.write(10, 3, 9);
  torn.write(13, 1, 9);
  torn.write(14, 1, 9);
  EXPECT_EQ(cut({with_flip(torn.bytes, 50)}), (std::vector<std::uint64_t>{0}));
  LogFile lost;
  lost.write(10, 3, 9);
  lost.write(13, 1, 12);
  expect_damaged({with_flip(lost.bytes, 50)}, "at byte 0");
  torn.write(15, 1, 14);
  expect_damaged({with_flip(torn.bytes, 50)}, "at byte 0");
}

TEST_F(TornTail, FindsTheNextWriteBehindAHoleWhereverItBegins) {
  LogFile log;
  log.write(1, 1, 0);
  const std::uint64_t torn = log.write(2, 1, 1, 40'000);
  const std::uint64_t next = log.write(3, 1, 2, 10);
  for (const std::uint64_t from : {torn, torn + 4, torn + 6, torn + 7})
    for (const std::uint64_t to : {next - 1, next, kLogBlock + 1, kLogBlock, kLogBlock - 1})
      expect_damaged({with_zeros(log.bytes, from, to)}, "at byte " + std::to_string(torn));
}

TEST_F(TornTail, AWriteWithoutItsBeginningOrItsEndIsAHole) {
  LogFile log;
  log.write(1, 1, 0);
  const std::uint64_t at = log.write(2, 1, 1, 40'000);
  const std::string end = log.bytes.substr(kLogBlock);
  log.bytes.resize(kLogBlock);
  log.write(3, 1, 1);
  EXPECT_EQ(cut({log.bytes}), (std::vector{at}));
  EXPECT_EQ(cut({end}), (std::vector<std::uint64_t>{0}));
}

TEST_F(TornTail, ANumberThatIsSkippedIsAHole) {
  LogFile lost, torn;
  lost.write(1, 1, 0);
  torn.write(1, 1, 0);
  const std::uint64_t at = torn.write(4, 1, 1);
  EXPECT_EQ(cut({torn.bytes}), (std::vector{at}));
  lost.write(4, 1, 3);
  expect_damaged({lost.bytes}, "9.log");
}

}  // namespace tidewire::log
