#include "protocol/message_writer.h"

#include <gtest/gtest.h>

#include "base/shared_bytes.h"

namespace tidewire::protocol {
namespace {

TEST(MessageWriter, PutsTheTypeFirstAndThenTheId) {
  EXPECT_EQ(MessageWriter("pong", "7").finish(), R"({"type":"pong","id":7})");
  EXPECT_EQ(MessageWriter("pong", "\"a\"").number("n", std::int64_t{-1}).finish(),
            R"({"type":"pong","id":"a","n":-1})");
  EXPECT_EQ(MessageWriter("pong").finish(), R"({"type":"pong"})");
}

TEST(MessageWriter, WritesEveryTypeOfField) {
  EXPECT_EQ(MessageWriter()
                .text("t", "a\"b\n")
                .number("u", ~std::uint64_t{0})
                .boolean("y", true)
                .boolean("n", false)
                .json("j", "[1]")
                .finish(),
            R"({"t":"a\"b\n","u":18446744073709551615,"y":true,"n":false,"j":[1]})");
  EXPECT_EQ(MessageWriter().finish(), "{}");
}

TEST(ErrorMessage, LeavesOutWhatItDoesNotKnow) {
  const Error error{.code = ErrorCode::invalid_json, .message = "no", .rule = {}};
  EXPECT_EQ(error_message(error, "", "", ""), R"({"type":"error","code":"invalid_json","message":"no"})");
  EXPECT_EQ(
      error_message(error, "\"a\"", "publish", "room:1"),
      R"({"type":"error","id":"a","request":"publish","channel":"room:1","code":"invalid_json","message":"no"})");
}

TEST(ErrorMessage, SaysWhatGoesWithItsCode) {
  EXPECT_EQ(error_message({.code = ErrorCode::rate_limited, .message = "m", .retry_after_ms = 9, .rule = {}},
                          "", "", ""),
            R"({"type":"error","code":"rate_limited","message":"m","retry_after_ms":9})");
  EXPECT_EQ(error_message({.code = ErrorCode::conflict, .message = "m", .seq = 0, .rule = {}}, "", "", ""),
            R"({"type":"error","code":"conflict","message":"m","seq":0})");
  EXPECT_EQ(
      error_message({.code = ErrorCode::content_rejected, .message = "m", .rule = "iframe"}, "", "", ""),
      R"({"type":"error","code":"content_rejected","message":"m","rule":"iframe"})");
}

TEST(AuthErrorMessage, SaysWhetherTheSameTokenMayBeTriedAgain) {
  const auto retryable = [](ErrorCode code) {
    return auth_error_message({.code = code, .message = "m", .rule = {}}, "").find("\"retryable\":true") !=
           std::string::npos;
  };
  EXPECT_TRUE(retryable(ErrorCode::unavailable));
  EXPECT_TRUE(retryable(ErrorCode::auth_timeout));
  EXPECT_TRUE(retryable(ErrorCode::token_not_yet_valid));
  EXPECT_TRUE(retryable(ErrorCode::connection_limit)) << "another connection of the user may close";
  EXPECT_FALSE(retryable(ErrorCode::token_expired));
  EXPECT_FALSE(retryable(ErrorCode::token_invalid));
  EXPECT_FALSE(retryable(ErrorCode::user_mismatch));
}

TEST(MessagesArray, OpensEachBodyAsAnObject) {
  EXPECT_EQ(messages_array(std::vector<SharedBytes>{}), "[]");
  EXPECT_EQ(messages_array(std::vector{SharedBytes("\"seq\":1}"), SharedBytes("\"seq\":2}")}),
            R"([{"seq":1},{"seq":2}])");
}

}  // namespace
}  // namespace tidewire::protocol
