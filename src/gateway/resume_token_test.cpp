#include "gateway/resume_token.h"

#include <gtest/gtest.h>

#include "auth/base64url.h"

namespace tidewire::gateway {
namespace {

std::vector<ResumePosition> some(std::size_t count) {
  std::vector<ResumePosition> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({.channel = resume_key("room:" + std::to_string(i)),
                   .position = {.epoch = std::string(i % 33, 'e'), .seq = i * i * 7919}});
  return out;
}

TEST(ResumeToken, GivesBackWhatWasWritten) {
  for (const std::size_t count : {0, 1, 2, 34, 100}) {
    const auto positions = some(count);
    EXPECT_EQ(read_resume_token(write_resume_token(positions)), positions);
  }
  const std::vector<ResumePosition> extreme{
      {.channel = (std::uint64_t{1} << 48) - 1,
       .position = {.epoch = std::string(32, '\xff'), .seq = (std::uint64_t{1} << 53) - 1}},
      {.channel = 0, .position = {.epoch = "", .seq = 0}}};
  EXPECT_EQ(read_resume_token(write_resume_token(extreme)), extreme);
}

TEST(ResumeToken, IsShortAndFitsAHeader) {
  EXPECT_LE(write_resume_token(std::vector<ResumePosition>{
                                   {.channel = 5, .position = {.epoch = "0123456789abcdef", .seq = 1000}}})
                .size(),
            36u);
  std::vector<ResumePosition> full(
      100, {.channel = 1, .position = {.epoch = std::string(32, 'x'), .seq = (std::uint64_t{1} << 53) - 1}});
  const std::string token = write_resume_token(full);
  EXPECT_LT(token.size(), 6300u);
  EXPECT_EQ(token.find_first_of("\r\n \t=+/"), std::string::npos);
}

TEST(ResumeToken, TheKeyOfANameNeverChanges) {
  // A client may come back with it to a later version, or to another node.
  EXPECT_NE(resume_key("room:1"), resume_key("room:2"));
  EXPECT_LT(resume_key("room:1"), std::uint64_t{1} << 48);
  EXPECT_EQ(resume_key("room:1"), 0xa8581d6affa0u);
}

TEST(ResumeToken, RefusesWhatItHasNotWritten) {
  const std::string good = write_resume_token(some(3));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto read = read_resume_token(good.substr(0, size));
    // A cut between two positions is a shorter token.
    if (read) {
      EXPECT_EQ(write_resume_token(*read), good.substr(0, size));
    }
  }
  EXPECT_FALSE(read_resume_token(""));
  EXPECT_FALSE(read_resume_token("7"));
  EXPECT_FALSE(read_resume_token("not a token"));
  EXPECT_FALSE(read_resume_token(good + "="));
  EXPECT_FALSE(read_resume_token(std::string(100'000, 'A')));
  const auto from_bytes = [](std::string_view bytes) {
    return read_resume_token(auth::base64url_encode(bytes));
  };
  using namespace std::string_view_literals;
  EXPECT_TRUE(from_bytes("\1keykey\5\2ep"sv));
  EXPECT_FALSE(from_bytes("\2keykey\5\2ep"sv));      // another version
  EXPECT_FALSE(from_bytes("\1keykey\5\3ep"sv));      // an epoch that is cut
  EXPECT_FALSE(from_bytes("\1keykey\x85\0\2ep"sv));  // a seq that is written too long
  EXPECT_FALSE(from_bytes("\1keykey\xff\xff\xff\xff\xff\xff\xff\x7f\2ep"sv));
  EXPECT_FALSE(from_bytes("\1keykey\x80\x80\x80\x80\x80\x80\x80\x10\2ep"sv));  // 2^53
  EXPECT_FALSE(from_bytes("\1keykey\5\x21" + std::string(33, 'e')));
  EXPECT_FALSE(from_bytes("\1" + std::string(101 * 8, '\0')));  // too many positions
}

}  // namespace
}  // namespace tidewire::gateway
