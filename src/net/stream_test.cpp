#include "net/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <random>

#include "net/listener.h"
#include "net/testing_certificate.h"

namespace tidewire::net {
namespace {

using ::testing::HasSubstr;

void wait_for(int fd, short events) {
  pollfd wanted{.fd = fd, .events = events, .revents = 0};
  ASSERT_GT(::poll(&wanted, 1, 60'000), 0);
}

struct Sockets {
  int client;
  int server;
};

Sockets connected_sockets() {
  auto listening = open_listening_sockets(*SocketAddress::parse("127.0.0.1:0"), 1);
  const int client = *connect_socket(listening->front().address());
  wait_for(listening->front().fd(), POLLIN);
  return {client, ::accept4(listening->front().fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
}

void make_small(int fd) {
  const int size = 1;  // the kernel makes it its own minimum
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

// One side of a connection with what it wants to say and what it heard, following the two rules of
// stream.h, with pieces of random size.
struct Side {
  Stream stream;
  std::string output;
  std::string input;
  bool ended = false;
  IoResult failure;
  bool blocked = false;
  bool finishing = false;

  short interest() const {
    const bool wants_out = stream.wants_write() || (!output.empty() && blocked);
    return static_cast<short>((ended ? 0 : POLLIN) | (wants_out ? POLLOUT : 0));
  }

  void read(std::mt19937& random) {
    std::array<char, 40'000> buffer;
    do {
      const IoResult result = stream.read({buffer.data(), 1 + random() % buffer.size()});
      if (result.ok()) input.append(buffer.data(), result.bytes);
      if (result.status == IoStatus::closed) ended = true;
      if (result.status == IoStatus::failed) failure = result;
      if (!result.ok()) return;
    } while (stream.has_buffered_input());
  }

  void write(std::mt19937& random) {
    if (output.empty()) {
      const IoResult result = stream.flush();
      if (result.status == IoStatus::failed) failure = result;
      return;
    }
    IoResult result;
    if (random() % 2 == 0) {
      result = stream.write(std::string_view(output).substr(0, 1 + random() % 50'000));
    } else {
      std::array<iovec, 8> pieces;
      std::size_t offset = 0;
      for (iovec& piece : pieces) {
        const std::size_t size = std::min<std::size_t>(random() % 9000, output.size() - offset);
        piece = {.iov_base = output.data() + offset, .iov_len = size};
        offset += size;
      }
      if (offset == 0) return;
      result = stream.write(pieces);
    }
    blocked = result.status == IoStatus::would_block;
    if (result.status == IoStatus::failed) failure = result;
    if (result.ok()) output.erase(0, result.bytes);
  }
};

enum class Kind : std::uint8_t { plain, tls };

class StreamTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    const Sockets sockets = connected_sockets();
    fds_ = sockets;
    if (GetParam() == Kind::plain) {
      client_.stream = Stream(sockets.client);
      server_.stream = Stream(sockets.server);
      return;
    }
    const TestingCertificate files;
    server_context_ = *TlsContext::load(files.certificate_file(), files.key_file());
    client_context_ = *TlsContext::for_clients(files.certificate_file());
    client_.stream = Stream::tls_client(sockets.client, *client_context_, "localhost");
    server_.stream = Stream::tls_server(sockets.server, *server_context_);
  }

  void step() {
    client_.write(random_);
    server_.write(random_);
    std::array<pollfd, 2> fds{
        {{client_.stream.fd(), client_.interest(), 0}, {server_.stream.fd(), server_.interest(), 0}}};
    const bool more =
        (!client_.output.empty() && !client_.blocked) || (!server_.output.empty() && !server_.blocked);
    ::poll(fds.data(), 2, more ? 0 : 100);
    if (fds[0].revents != 0) client_.read(random_);
    if (fds[1].revents != 0) server_.read(random_);
  }

  // Until both sides have shaken hands and said everything.
  template <class Done>
  void step_until(Done done) {
    for (int i = 0; i < 200'000 && !done(); ++i) {
      step();
      ASSERT_EQ(client_.failure.status, IoStatus::ok) << client_.failure.describe();
      ASSERT_EQ(server_.failure.status, IoStatus::ok) << server_.failure.describe();
    }
    ASSERT_TRUE(done());
  }

  void greet() {
    client_.output = "hello";
    server_.output = "welcome";
    step_until([this] { return server_.input == "hello" && client_.input == "welcome"; });
    client_.input.clear();
    server_.input.clear();
  }

  std::string random_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

  std::mt19937 random_{7};
  Sockets fds_{};
  std::shared_ptr<const TlsContext> server_context_, client_context_;
  Side client_, server_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, StreamTest, ::testing::Values(Kind::plain, Kind::tls),
                         [](const auto& param) { return param.param == Kind::plain ? "Plain" : "Tls"; });

TEST_P(StreamTest, CarriesMegabytesBothWaysAtOnce) {
  const std::string there = random_bytes(3'000'000);
  const std::string back = random_bytes(2'000'000);
  client_.output = there;
  server_.output = back;
  step_until([&] { return server_.input.size() == there.size() && client_.input.size() == back.size(); });
  EXPECT_TRUE(server_.input == there);
  EXPECT_TRUE(client_.input == back);
}

TEST_P(StreamTest, CarriesEverythingThroughTinySocketBuffers) {
  make_small(fds_.client);
  make_small(fds_.server);
  const std::string there = random_bytes(300'000);
  const std::string back = random_bytes(300'000);
  client_.output = there;
  server_.output = back;
  step_until([&] { return server_.input.size() == there.size() && client_.input.size() == back.size(); });
  EXPECT_TRUE(server_.input == there);
  EXPECT_TRUE(client_.input == back);
}

TEST_P(StreamTest, TellsAWriterWhenTheSocketIsFull) {
  greet();
  make_small(fds_.client);
  const std::string bytes = random_bytes(1'000'000);
  std::size_t sent = 0;
  for (;;) {
    const IoResult result = client_.stream.write(std::string_view(bytes).substr(sent));
    if (!result.ok()) {
      EXPECT_EQ(result.status, IoStatus::would_block);
      break;
    }
    sent += result.bytes;
    ASSERT_LT(sent, bytes.size());
  }
  // Other bytes may follow than those that were refused.
  const std::string others = random_bytes(50'000);
  client_.output = others;
  step_until([&] { return server_.input.size() == sent + others.size(); });
  EXPECT_TRUE(server_.input == bytes.substr(0, sent) + others);
}

TEST_P(StreamTest, HalfClosedStillReads) {
  greet();
  client_.stream.shutdown_write();
  step_until([this] { return server_.ended; });
  server_.output = "last words";
  step_until([this] { return client_.input == "last words"; });
  server_.stream.shutdown_write();
  step_until([this] { return client_.ended; });
}

TEST_P(StreamTest, DeliversTheLastBytesBeforeTheEnd) {
  greet();
  const std::string bytes = random_bytes(100'000);
  client_.output = bytes;
  step_until([this] { return client_.output.empty() && !client_.stream.wants_write(); });
  client_.stream.close();
  EXPECT_FALSE(client_.stream.is_open());
  while (!server_.ended) {
    wait_for(server_.stream.fd(), POLLIN);
    server_.read(random_);
    ASSERT_EQ(server_.failure.status, IoStatus::ok) << server_.failure.describe();
  }
  EXPECT_TRUE(server_.input == bytes);
}

TEST_P(StreamTest, AResetIsAFailureForTheOtherSide) {
  greet();
  client_.stream.reset();
  wait_for(server_.stream.fd(), POLLIN);
  std::array<char, 16> buffer;
  const IoResult result = server_.stream.read(buffer);
  EXPECT_EQ(result.status, IoStatus::failed);
  EXPECT_THAT(result.describe(), HasSubstr("reset"));
  // The signal for a broken pipe would end the process here.
  const IoResult written = server_.stream.write("into nothing");
  EXPECT_EQ(written.status, IoStatus::failed);
}

TEST_P(StreamTest, MovesItsConnection) {
  greet();
  Stream moved = std::move(client_.stream);
  EXPECT_FALSE(client_.stream.is_open());
  client_.stream = Stream();
  client_.stream = std::move(moved);
  greet();
}

TEST_P(StreamTest, SaysWhyAConnectionWasRefused) {
  SocketAddress nobody;
  {
    auto listening = open_listening_sockets(*SocketAddress::parse("127.0.0.1:0"), 1);
    nobody = listening->front().address();
  }
  const auto fd = connect_socket(nobody);
  if (!fd.has_value()) {
    EXPECT_THAT(fd.error().message, HasSubstr("refused"));
    return;
  }
  Stream stream(*fd);
  wait_for(*fd, POLLOUT);
  const IoResult result = stream.write("x");
  EXPECT_EQ(result.status, IoStatus::failed);
  EXPECT_THAT(result.describe(), HasSubstr("refused"));
}

class TlsStream : public ::testing::Test {
 protected:
  // Lets both sides talk until one of them fails, and returns the server's outcome.
  IoResult outcome_of(Stream& client, Stream& server) {
    std::array<char, 4096> buffer;
    for (int i = 0; i < 1000; ++i) {
      client.write("x");
      client.flush();
      std::array<pollfd, 2> fds{{{client.fd(), POLLIN, 0}, {server.fd(), POLLIN, 0}}};
      ::poll(fds.data(), 2, 100);
      client_outcome_ = client.read(buffer);
      const IoResult result = server.read(buffer);
      if (result.status != IoStatus::would_block) return result;
    }
    return {.status = IoStatus::would_block};
  }

  TestingCertificate files_;
  std::shared_ptr<const TlsContext> server_context_ =
      *TlsContext::load(files_.certificate_file(), files_.key_file());
  std::shared_ptr<const TlsContext> client_context_ = *TlsContext::for_clients(files_.certificate_file());
  Sockets sockets_ = connected_sockets();
  IoResult client_outcome_;
};

TEST_F(TlsStream, FailsCleanlyWhenTheClientTalksPlainHttp) {
  Stream client(sockets_.client);
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  ASSERT_TRUE(client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").ok());
  wait_for(server.fd(), POLLIN);
  std::array<char, 100> buffer;
  const IoResult result = server.read(buffer);
  EXPECT_EQ(result.status, IoStatus::failed);
  EXPECT_TRUE(result.tls);
  EXPECT_THAT(result.describe(), HasSubstr("http request"));
  // And it stays failed.
  EXPECT_EQ(server.write("x").status, IoStatus::failed);
  EXPECT_EQ(server.flush().status, IoStatus::failed);
  EXPECT_EQ(server.read(buffer).status, IoStatus::failed);
}

TEST_F(TlsStream, FailsOnRandomBytes) {
  Stream client(sockets_.client);
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  std::mt19937 random(1);
  std::string noise(5000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  ASSERT_TRUE(client.write(noise).ok());
  wait_for(server.fd(), POLLIN);
  std::array<char, 100> buffer;
  EXPECT_EQ(server.read(buffer).status, IoStatus::failed);
}

TEST_F(TlsStream, IsClosedWhenTheClientLeavesDuringTheHandshake) {
  Stream client(sockets_.client);
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  std::array<char, 100> buffer;
  EXPECT_EQ(server.read(buffer).status, IoStatus::would_block);
  EXPECT_FALSE(server.ready());
  client.close();
  wait_for(server.fd(), POLLIN);
  EXPECT_EQ(server.read(buffer).status, IoStatus::closed);
}

TEST_F(TlsStream, RefusesVersionsBefore12) {
  SSL_CTX_set_min_proto_version(client_context_->native(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(client_context_->native(), TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(client_context_->native(), "ALL:@SECLEVEL=0");
  Stream client = Stream::tls_client(sockets_.client, *client_context_, "localhost");
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  const IoResult result = outcome_of(client, server);
  EXPECT_EQ(result.status, IoStatus::failed);
  EXPECT_THAT(result.describe(), HasSubstr("unsupported protocol"));
}

TEST_F(TlsStream, Speaks12Too) {
  SSL_CTX_set_max_proto_version(client_context_->native(), TLS1_2_VERSION);
  Stream client = Stream::tls_client(sockets_.client, *client_context_, "localhost");
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  EXPECT_TRUE(outcome_of(client, server).ok());
  EXPECT_TRUE(client.ready());
}

TEST_F(TlsStream, AgreesOnHttp11AndRefusesClientsWithoutIt) {
  const std::string both = "\x02h2\x08http/1.1";
  SSL_CTX_set_alpn_protos(client_context_->native(), reinterpret_cast<const unsigned char*>(both.data()),
                          static_cast<unsigned>(both.size()));
  {
    Stream client = Stream::tls_client(sockets_.client, *client_context_, "localhost");
    Stream server = Stream::tls_server(sockets_.server, *server_context_);
    EXPECT_TRUE(outcome_of(client, server).ok());
  }
  SSL_CTX_set_alpn_protos(client_context_->native(), reinterpret_cast<const unsigned char*>(both.data()), 3);
  sockets_ = connected_sockets();
  Stream client = Stream::tls_client(sockets_.client, *client_context_, "localhost");
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  EXPECT_EQ(outcome_of(client, server).status, IoStatus::failed);
}

TEST_F(TlsStream, AClientChecksTheNameOfItsPeer) {
  for (const char* name : {"localhost", "127.0.0.1"}) {
    sockets_ = connected_sockets();
    Stream client = Stream::tls_client(sockets_.client, *client_context_, name);
    Stream server = Stream::tls_server(sockets_.server, *server_context_);
    EXPECT_TRUE(outcome_of(client, server).ok()) << name;
  }
  for (const char* name : {"example.org", "127.0.0.2"}) {
    sockets_ = connected_sockets();
    Stream client = Stream::tls_client(sockets_.client, *client_context_, name);
    Stream server = Stream::tls_server(sockets_.server, *server_context_);
    EXPECT_EQ(outcome_of(client, server).status, IoStatus::failed) << name;
    EXPECT_THAT(client_outcome_.describe(), HasSubstr("certificate verify failed"));
  }
}

TEST_F(TlsStream, AClientWithoutANameForItsPeerFails) {
  Stream client = Stream::tls_client(sockets_.client, *client_context_, "");
  EXPECT_EQ(client.write("x").status, IoStatus::failed);
}

TEST_F(TlsStream, AClientRefusesACertificateItDoesNotTrust) {
  const TestingCertificate others;
  const auto suspicious = *TlsContext::for_clients(others.certificate_file());
  Stream client = Stream::tls_client(sockets_.client, *suspicious, "localhost");
  Stream server = Stream::tls_server(sockets_.server, *server_context_);
  EXPECT_EQ(outcome_of(client, server).status, IoStatus::failed);
}

}  // namespace
}  // namespace tidewire::net
