#include "gateway/outbox.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidewire::gateway {
namespace {

// A socket pair whose near end takes little, so that a test decides when it is full.
struct OutboxTest : testing::Test {
  OutboxTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    const int bytes = 1;  // the kernel's least
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    near = net::Stream(fds[0]);
    far = net::Stream(fds[1]);
  }
  std::string take(std::size_t most = 1 << 20) {
    std::string out(most, '\0');
    const net::IoResult result = far.read(std::span(out.data(), out.size()));
    out.resize(result.bytes);
    return out;
  }
  // Fills the socket from an outbox of its own; the bytes come first at the far end.
  void fill() {
    while (near.write(std::string(1000, '-')).status == net::IoStatus::ok) ++filled;
  }
  void empty_socket() {
    while (!take().empty()) {
    }
  }
  net::IoStatus flush() {
    std::size_t written = 0;
    return outbox.flush(near, written);
  }
  // Lets everything through and answers it, without what filled the socket.
  std::string all() {
    std::string out;
    for (net::IoStatus status = net::IoStatus::would_block; status != net::IoStatus::ok;) {
      for (std::string piece = take(); !piece.empty(); piece = take()) out += piece;
      status = flush();
    }
    for (std::string piece = take(); !piece.empty(); piece = take()) out += piece;
    return out.substr(std::min(out.size(), out.find_first_not_of('-')));
  }
  void keep(hub::Priority lane, std::string_view bytes, Handle channel = {1, 1}) {
    outbox.keep_delivery(lane, SharedBytes(bytes), 0, bytes.size(), channel);
  }
  void stall() {
    fill();
    outbox.add_reply("(", ")");
    EXPECT_EQ(flush(), net::IoStatus::would_block);
    EXPECT_TRUE(outbox.stalled());
  }

  net::Stream near, far;
  Outbox outbox;
  int filled = 0;
};

TEST_F(OutboxTest, KeepsTheOrderOfATurnWhileTheSocketTakesAll) {
  EXPECT_TRUE(outbox.empty());
  outbox.add_reply("h", "1");
  outbox.copy_delivery("d1");
  outbox.add_reply("h", "2");
  outbox.copy_delivery("d2");
  EXPECT_EQ(outbox.queued(), 8u);
  EXPECT_EQ(flush(), net::IoStatus::ok);
  EXPECT_EQ(take(), "h1d1h2d2");
  EXPECT_TRUE(outbox.empty());
  EXPECT_FALSE(outbox.stalled());
}

TEST_F(OutboxTest, SendsRepliesAheadOfDeliveriesOnceItIsStalled) {
  stall();
  EXPECT_FALSE(outbox.copies_deliveries());
  keep(hub::Priority::medium, "[d1]");
  outbox.add_reply("", "[r1]");
  keep(hub::Priority::medium, "[d2]");
  outbox.add_reply("", "[r2]");
  EXPECT_EQ(all(), "()[r1][r2][d1][d2]");
}

TEST_F(OutboxTest, SendsLanesByPriorityAndEachInOrder) {
  stall();
  keep(hub::Priority::low, "[l1]");
  keep(hub::Priority::high, "[h1]");
  keep(hub::Priority::low, "[l2]");
  keep(hub::Priority::critical, "[c1]");
  keep(hub::Priority::medium, "[m1]");
  keep(hub::Priority::high, "[h2]");
  EXPECT_EQ(all(), "()[c1][h1][h2][m1][l1][l2]");
}

TEST_F(OutboxTest, CountsWhatIsQueued) {
  stall();
  keep(hub::Priority::low, "12345");
  outbox.add_reply("1", "23");
  EXPECT_EQ(outbox.queued(), 2u + 5u + 3u);
  all();
  EXPECT_EQ(outbox.queued(), 0u);
}

TEST_F(OutboxTest, SendsAPartOfABufferThatOthersShare) {
  stall();
  const SharedBytes shared("abcdef");
  outbox.keep_delivery(hub::Priority::low, shared, 2, 3, {});
  outbox.keep_delivery(hub::Priority::low, shared, 0, 1, {});
  EXPECT_EQ(all(), "()cdea");
  EXPECT_EQ(shared.view(), "abcdef");
}

TEST_F(OutboxTest, FinishesADeliveryThatWasBegunBeforeAnythingElse) {
  const std::string large(300'000, 'x');
  keep(hub::Priority::low, large);
  EXPECT_EQ(flush(), net::IoStatus::would_block);
  keep(hub::Priority::critical, "[c]");
  outbox.add_reply("", "[r]");
  EXPECT_EQ(all(), large + "[r][c]");
}

TEST_F(OutboxTest, FinishesAReplyThatWasBegunBeforeAnythingElse) {
  stall();
  const std::string large(300'000, 'r');
  outbox.add_reply("", large);
  std::string out;
  take(1000);
  while (flush() != net::IoStatus::ok && outbox.queued() == large.size() + 2) empty_socket();
  empty_socket();
  flush();
  const std::size_t left = outbox.queued();
  ASSERT_GT(left, 0u);
  ASSERT_LT(left, large.size());
  outbox.add_reply("", "[later]");
  keep(hub::Priority::critical, "[c]");
  const std::string rest = all();
  EXPECT_TRUE(rest.ends_with("r[later][c]"));
}

TEST_F(OutboxTest, DropsOneChannelsDeliveriesAndLeavesTheOthers) {
  stall();
  keep(hub::Priority::low, "[a1]", {1, 1});
  keep(hub::Priority::low, "[b1]", {2, 1});
  keep(hub::Priority::low, "[a2]", {1, 1});
  keep(hub::Priority::low, "[a of another time]", {1, 2});
  keep(hub::Priority::high, "[another lane]", {1, 1});
  outbox.drop(hub::Priority::low, {1, 1});
  EXPECT_EQ(all(), "()[another lane][b1][a of another time]");
}

TEST_F(OutboxTest, DropsTheLastOneAndCountsNothing) {
  stall();
  keep(hub::Priority::low, "[a]", {1, 1});
  outbox.drop(hub::Priority::low, {1, 1});
  EXPECT_EQ(outbox.queued(), 2u);
  keep(hub::Priority::low, "[b]", {1, 1});
  EXPECT_EQ(all(), "()[b]");
}

TEST_F(OutboxTest, DropsNothingThatWasBegun) {
  const std::string large(300'000, 'x');
  keep(hub::Priority::low, large, {1, 1});
  EXPECT_EQ(flush(), net::IoStatus::would_block);
  keep(hub::Priority::low, "[not begun]", {1, 1});
  outbox.drop(hub::Priority::low, {1, 1});
  outbox.drop_deliveries();
  outbox.add_reply("", "[close]");
  EXPECT_EQ(all(), large + "[close]");
}

TEST_F(OutboxTest, SendsWhatIsHurriedBeforeLaterReplies) {
  stall();
  keep(hub::Priority::low, "[a1]", {1, 1});
  keep(hub::Priority::low, "[b1]", {2, 1});
  keep(hub::Priority::low, "[a2]", {1, 1});
  outbox.add_reply("", "[earlier]");
  outbox.hurry(hub::Priority::low, {1, 1});
  outbox.add_reply("", "[later]");
  EXPECT_EQ(all(), "()[earlier][a1][a2][later][b1]");
}

TEST_F(OutboxTest, SendsWhatIsHurriedBehindWhatWasCopied) {
  outbox.copy_delivery("[1]");
  keep(hub::Priority::low, "[a]", {1, 1});
  outbox.hurry(hub::Priority::low, {1, 1});
  outbox.add_reply("", "[later]");
  EXPECT_EQ(all(), "[1][a][later]");
}

TEST_F(OutboxTest, GoesOnWithWhatADirectWriteLeft) {
  fill();
  outbox.begin_with(SharedBytes("0123456789"), 4, 6);
  EXPECT_TRUE(outbox.stalled());
  outbox.add_reply("", "[r]");
  EXPECT_EQ(all(), "456789[r]");
}

TEST_F(OutboxTest, WritesMorePiecesThanFitOneCall) {
  stall();
  std::string expected = "()";
  for (int i = 0; i < 500; ++i) {
    const std::string piece = "[" + std::to_string(i) + "]";
    keep(hub::Priority::medium, piece);
    expected += piece;
  }
  EXPECT_EQ(all(), expected);
  EXPECT_FALSE(outbox.stalled());
}

TEST_F(OutboxTest, SaysThatTheConnectionIsBroken) {
  far.close();
  outbox.add_reply("", "[r]");
  EXPECT_EQ(flush(), net::IoStatus::failed);
}

TEST_F(OutboxTest, IsAsNewAfterClear) {
  stall();
  outbox.add_reply("", "[r]");
  keep(hub::Priority::low, "[d]");
  outbox.clear();
  EXPECT_TRUE(outbox.empty());
  EXPECT_FALSE(outbox.stalled());
  EXPECT_TRUE(outbox.copies_deliveries());
}

}  // namespace
}  // namespace tidewire::gateway
