#include <gtest/gtest.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>

#include <iterator>
#include <string_view>

#include "net/listener.h"
#include "net/stream.h"

namespace tidewire::net {
namespace {

// Loses whatever segment begins with `byte`, before the socket's own TCP sees it.
void lose_what_begins_with(int fd, char byte) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12),  // the length of the TCP header, in its upper half
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xF0),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned char>(byte), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xFFFF),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  ASSERT_EQ(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), 0);
}

TEST(StreamProgress, MovesWhenThePeersSystemTakesBytesBehindALostSegment) {
  auto listening = open_listening_sockets(*SocketAddress::parse("127.0.0.1:0"), 1);
  const Stream client(*connect_socket(listening->front().address()));
  pollfd arriving{.fd = listening->front().fd(), .events = POLLIN, .revents = 0};
  ASSERT_GT(::poll(&arriving, 1, 60'000), 0);
  // It inherits TCP_NODELAY, so that each write is a segment.
  Stream server(::accept4(arriving.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  ASSERT_TRUE(server.write("first").ok());
  while (server.progress().outstanding > 0) ::poll(nullptr, 0, 1);
  lose_what_begins_with(client.fd(), '!');
  ASSERT_TRUE(server.write("!lost").ok());
  const Stream::Progress before = server.progress();
  ASSERT_TRUE(server.write("behind it").ok());
  while (server.progress().delivered == before.delivered) ::poll(nullptr, 0, 1);
  EXPECT_EQ(server.progress().acknowledged, before.acknowledged);
  EXPECT_EQ(server.progress().outstanding, std::string_view("!lostbehind it").size());
}

}  // namespace
}  // namespace tidewire::net
