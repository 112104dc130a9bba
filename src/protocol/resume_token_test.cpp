#include "protocol/resume_token.h"

#include <gtest/gtest.h>

#include "base/base64url.h"

namespace tidewire::protocol {
namespace {

constexpr std::uint64_t kSeqMax = (std::uint64_t{1} << 53) - 1;

std::string written(const std::vector<ResumePosition>& positions) {
  ResumeToken token;
  for (const auto& [channel, position] : positions) token.set(channel, position);
  return std::string(token.text());
}

std::vector<ResumePosition> some(std::size_t count) {
  std::vector<ResumePosition> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({.channel = resume_key("room:" + std::to_string(i)),
                   .position = {.epoch = std::string(i % 33, 'e'), .seq = i * i * 7919}});
  return out;
}

TEST(ResumeToken, GivesBackWhatWasWritten) {
  for (const std::size_t count : {1, 2, 34, 100}) {
    const auto positions = some(count);
    EXPECT_EQ(read_resume_token(written(positions)), positions);
  }
  const std::vector<ResumePosition> extreme{{.channel = (std::uint64_t{1} << 48) - 1,
                                             .position = {.epoch = std::string(32, '\xff'), .seq = kSeqMax}},
                                            {.channel = 0, .position = {.epoch = "", .seq = 0}}};
  EXPECT_EQ(read_resume_token(written(extreme)), extreme);
  EXPECT_EQ(ResumeToken().text(), "");
}

TEST(ResumeToken, IsShortAndFitsAHeader) {
  EXPECT_EQ(written({{.channel = 5, .position = {.epoch = "0123456789abcdef", .seq = 1000}}}).size(), 41u);
  std::vector<ResumePosition> full(100);
  for (std::size_t i = 0; i < full.size(); ++i)
    full[i] = {.channel = i, .position = {.epoch = std::string(32, 'x'), .seq = kSeqMax}};
  const std::string token = written(full);
  EXPECT_LT(token.size(), 6500u);
  EXPECT_TRUE(read_resume_token(token));
  EXPECT_EQ(token.find_first_of("\r\n \t=+/"), std::string::npos);
}

TEST(ResumeToken, TheKeyOfANameNeverChanges) {
  // A client may come back with it to a later version, or to another node.
  EXPECT_EQ(resume_key("room:1"), 0xa8581d6affa0u);
  EXPECT_NE(resume_key("room:1"), resume_key("room:2"));
}

TEST(ResumeToken, MovesOnlyForwardUnlessItIsSet) {
  ResumeToken token;
  token.set(1, {"e", 5});
  token.advance(1, 9);
  token.advance(1, 7);
  token.advance(2, 3);  // not in it
  EXPECT_EQ(read_resume_token(token.text()), (std::vector<ResumePosition>{{1, {"e", 9}}}));
  token.set(1, {"e", 2});
  token.advance(1, kSeqMax);
  EXPECT_EQ(read_resume_token(token.text()), (std::vector<ResumePosition>{{1, {"e", kSeqMax}}}));
}

TEST(ResumeToken, KeepsItsTextTrueWhateverMoves) {
  auto positions = some(20);
  ResumeToken token;
  for (const auto& [channel, position] : positions) token.set(channel, position);
  for (std::size_t step = 0; step < 500; ++step) {
    Position& position = positions[step * 7 % 20].position;
    const std::uint64_t channel = positions[step * 7 % 20].channel;
    if (step % 5 == 0) {
      position = {.epoch = std::string(step % 33, static_cast<char>(step)), .seq = step};
      token.set(channel, position);
    } else {
      position.seq += step * step;
      token.advance(channel, position.seq);
    }
    ASSERT_EQ(read_resume_token(token.text()), positions);
    ASSERT_EQ(token.text(), written(positions));
  }
}

TEST(ResumeToken, RefusesWhatItHasNotWritten) {
  const std::string good = written(some(3));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto read = read_resume_token(good.substr(0, size));
    // A cut between two positions is a shorter token.
    if (read) {
      EXPECT_EQ(written(*read), good.substr(0, size));
    }
  }
  for (const std::string& bad :
       {std::string(), std::string("1"), std::string("7"), std::string("not a token"), good + "=",
        good + "AAAA", "2" + good.substr(1), std::string(100'000, 'A'), "1" + std::string(100'000, 'A')})
    EXPECT_FALSE(read_resume_token(bad)) << bad.substr(0, 100);
  const auto from_bytes = [](std::string_view bytes) {
    return read_resume_token("1" + base64url_encode(bytes));
  };
  using namespace std::string_view_literals;
  EXPECT_TRUE(from_bytes("keykey\5\0\0\0\0\0\0\2ep\0\0"sv));
  EXPECT_FALSE(from_bytes("keykey\5\0\0\0\0\0\0\2ep\0"sv));      // no padding
  EXPECT_FALSE(from_bytes("keykey\5\0\0\0\0\0\0\2ep\0x"sv));     // padding that says something
  EXPECT_FALSE(from_bytes("keykey\5\0\0\0\0\0\0\5ep\0\0"sv));    // an epoch that is cut
  EXPECT_FALSE(from_bytes("keykey\0\0\0\0\0\0\x20\2ep\0\0"sv));  // 2^53
  EXPECT_FALSE(from_bytes("keykey\5\0\0\0\0\0\0\x21" + std::string(34, 'e')));
  EXPECT_FALSE(from_bytes(std::string(101 * 15, '\0')));  // too many positions
}

}  // namespace
}  // namespace tidewire::protocol
