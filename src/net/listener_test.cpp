#include "net/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "net/stream.h"
#include "net/thread_start.h"

namespace tidewire::net {
namespace {

using ::testing::HasSubstr;

SocketAddress any_port() { return *SocketAddress::parse("127.0.0.1:0"); }

TEST(Listener, SharesOnePortBetweenSeveralLoops) {
  constexpr int kLoops = 4;
  constexpr int kClients = 300;
  auto sockets = open_listening_sockets(any_port(), kLoops);
  ASSERT_TRUE(sockets.has_value()) << sockets.error().message;
  const SocketAddress address = sockets->front().address();
  EXPECT_NE(address.port(), 0);
  for (const auto& socket : *sockets) EXPECT_EQ(socket.address(), address);

  struct Shard {
    Loop loop;
    std::optional<Listener> listener;
    std::vector<Stream> accepted;
  };
  std::vector<std::unique_ptr<Shard>> shards;
  std::atomic<int> total = 0;
  std::vector<std::thread> threads;
  for (auto& socket : *sockets) {
    auto& shard = *shards.emplace_back(std::make_unique<Shard>());
    shard.listener.emplace(shard.loop, std::move(socket), [&](int fd, const SocketAddress& peer) {
      EXPECT_TRUE(peer.is_loopback());
      shard.accepted.emplace_back(fd);
      if (++total == kClients)
        for (auto& each : shards) each->loop.stop();
    });
  }
  for (auto& shard : shards) threads.push_back(start_thread("shard", [&shard] { shard->loop.run(); }));
  std::vector<Stream> clients;
  for (int i = 0; i < kClients; ++i) {
    const auto fd = connect_socket(address);
    ASSERT_TRUE(fd.has_value());
    clients.emplace_back(*fd);
  }
  for (auto& thread : threads) thread.join();
  int busy = 0;
  for (auto& shard : shards) busy += shard->accepted.empty() ? 0 : 1;
  EXPECT_GT(busy, 1);
}

TEST(Listener, GivesAcceptedSocketsNodelayABoundOnWhatTheKernelHoldsNonblockingAndCloseOnExec) {
  Loop loop;
  auto sockets = open_listening_sockets(any_port(), 1);
  ASSERT_TRUE(sockets.has_value());
  std::optional<Stream> accepted;
  Listener listener(loop, std::move(sockets->front()),
                    [&](int fd, const SocketAddress&) { accepted.emplace(fd); });
  const Stream client(*connect_socket(listener.address()));
  while (!accepted) loop.turn(-1);
  int nodelay = 0;
  socklen_t size = sizeof nodelay;
  ::getsockopt(accepted->fd(), IPPROTO_TCP, TCP_NODELAY, &nodelay, &size);
  EXPECT_NE(nodelay, 0);
  int unsent_bytes = 0;
  ::getsockopt(accepted->fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, &size);
  EXPECT_EQ(unsent_bytes, 128 * 1024);
  EXPECT_NE(::fcntl(accepted->fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(accepted->fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Listener, RefusesAPortThatIsInUse) {
  const auto first = open_listening_sockets(any_port(), 2);
  ASSERT_TRUE(first.has_value());
  const auto second = open_listening_sockets(first->front().address(), 2);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, HasSubstr("another program uses this port"));
  EXPECT_THAT(second.error().message, HasSubstr(first->front().address().to_string()));
}

TEST(Listener, CanTakeAPortAgainRightAfterItsConnectionsEnded) {
  std::optional<SocketAddress> address;
  {
    Loop loop;
    auto sockets = open_listening_sockets(any_port(), 1);
    ASSERT_TRUE(sockets.has_value());
    std::optional<Stream> accepted;
    Listener listener(loop, std::move(sockets->front()),
                      [&](int fd, const SocketAddress&) { accepted.emplace(fd); });
    address = listener.address();
    Stream client(*connect_socket(*address));
    while (!accepted) loop.turn(-1);
    accepted->close();  // first, so that the server's side stays in TIME_WAIT
  }
  const auto again = open_listening_sockets(*address, 1);
  EXPECT_TRUE(again.has_value()) << again.error().message;
}

TEST(Listener, SaysThatAnAddressIsNotOfThisMachine) {
  const auto sockets = open_listening_sockets(*SocketAddress::parse("192.0.2.1:0"), 1);
  ASSERT_FALSE(sockets.has_value());
  EXPECT_THAT(sockets.error().message, HasSubstr("does not have the address"));
}

TEST(Listener, MayBeDestroyedByItsOwnCallback) {
  Loop loop;
  auto sockets = open_listening_sockets(any_port(), 1);
  ASSERT_TRUE(sockets.has_value());
  int accepted = 0;
  std::unique_ptr<Listener> listener;
  listener = std::make_unique<Listener>(loop, std::move(sockets->front()), [&](int fd, const SocketAddress&) {
    ::close(fd);
    ++accepted;
    listener.reset();
  });
  const SocketAddress address = listener->address();
  const Stream one(*connect_socket(address));
  const Stream two(*connect_socket(address));
  while (listener != nullptr) loop.turn(-1);
  loop.turn(0);
  EXPECT_EQ(accepted, 1);
}

TEST(Listener, TurnsConnectionsAwayWithoutSpinningWhenDescriptorsRunOut) {
  Loop loop;
  auto sockets = open_listening_sockets(any_port(), 1);
  ASSERT_TRUE(sockets.has_value());
  std::vector<Stream> accepted;
  Listener listener(loop, std::move(sockets->front()),
                    [&](int fd, const SocketAddress&) { accepted.emplace_back(fd); });
  const int turned_away = *connect_socket(listener.address());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // The client's is the lowest free number there was, so every number below it is taken.
  rlimit lowered = before;
  lowered.rlim_cur = static_cast<rlim_t>(turned_away) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lowered), 0);
  while (listener.refused() == 0) loop.turn(-1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(accepted.empty());
  EXPECT_EQ(listener.exhausted(), 1u);

  Stream client(turned_away);
  pollfd readable{.fd = client.fd(), .events = POLLIN, .revents = 0};
  ::poll(&readable, 1, -1);
  char byte;
  EXPECT_EQ(client.read({&byte, 1}).status, IoStatus::closed);

  // It rests, then goes on by itself.
  const Stream next(*connect_socket(listener.address()));
  loop.turn(0);
  EXPECT_TRUE(accepted.empty());
  while (accepted.empty()) loop.turn(-1);
}

TEST(ListeningSocket, AdoptsOnlySocketsThatListen) {
  auto sockets = open_listening_sockets(any_port(), 1);
  ASSERT_TRUE(sockets.has_value());
  const SocketAddress address = sockets->front().address();
  const auto adopted = ListeningSocket::adopt(::dup(sockets->front().fd()));
  ASSERT_TRUE(adopted.has_value());
  EXPECT_EQ(adopted->address(), address);
  EXPECT_EQ(adopted->duplicate()->address(), address);

  const Stream client(*connect_socket(address));
  EXPECT_FALSE(ListeningSocket::adopt(client.fd()).has_value());
  EXPECT_FALSE(ListeningSocket::adopt(-1).has_value());
}

}  // namespace
}  // namespace tidewire::net
