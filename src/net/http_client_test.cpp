#include "net/http_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "net/listener.h"
#include "net/stream.h"
#include "net/testing_certificate.h"

namespace tidewire::net {
namespace {

using ::testing::HasSubstr;

// A small HTTP server, one thread per connection, whose answers depend on the path. It keeps
// connections alive.
class TestingServer {
 public:
  explicit TestingServer(std::shared_ptr<const TlsContext> tls = nullptr) : tls_(std::move(tls)) {
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~TestingServer() {
    stop();
    acceptor_.join();
    for (auto& thread : threads_) thread.join();
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ::shutdown(listening_.fd(), SHUT_RDWR);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  std::string url(std::string_view path) const {
    return fmt::format("{}://127.0.0.1:{}{}", tls_ ? "https" : "http", address_.port(), path);
  }
  std::uint16_t port() const { return address_.port(); }
  int connections() const { return connections_; }
  int requests() const { return requests_; }

 private:
  void accept_all() {
    for (;;) {
      pollfd ready{.fd = listening_.fd(), .events = POLLIN, .revents = 0};
      ::poll(&ready, 1, -1);
      const int fd = ::accept4(listening_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      if (fd < 0) continue;
      ++connections_;
      open_.insert(fd);
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  }

  void serve(int fd) {
    Stream stream = tls_ ? Stream::tls_server(fd, *tls_) : Stream(fd);
    std::string input;
    std::array<char, 4096> buffer;
    for (;;) {
      const std::size_t head = input.find("\r\n\r\n");
      if (head != std::string::npos) {
        std::size_t body = 0;
        if (const auto at = input.find("Content-Length: "); at < head)
          body = std::stoul(input.substr(at + 16));
        if (input.size() >= head + 4 + body) {
          ++requests_;
          if (!answer(stream, input.substr(0, head + 4 + body))) break;
          input.erase(0, head + 4 + body);
          continue;
        }
      }
      const IoResult result = stream.read(buffer);
      if (wait_to_go_on(stream, result, POLLIN)) continue;
      if (!result.ok()) break;
      input.append(buffer.data(), result.bytes);
    }
    const std::lock_guard lock(mutex_);
    open_.erase(fd);
    stream.close();
  }

  static bool send(Stream& stream, std::string_view bytes) {
    while (!bytes.empty()) {
      const IoResult result = stream.write(bytes);
      if (wait_to_go_on(stream, result, POLLOUT)) continue;
      if (!result.ok()) return false;
      bytes.remove_prefix(result.bytes);
    }
    while (stream.wants_write())
      if (!wait_to_go_on(stream, stream.flush(), POLLOUT)) break;
    return true;
  }

  static bool wait_to_go_on(const Stream& stream, const IoResult& result, short events) {
    if (result.status != IoStatus::would_block) return false;
    pollfd ready{.fd = stream.fd(), .events = events, .revents = 0};
    return ::poll(&ready, 1, -1) > 0;
  }

  bool answer(Stream& stream, const std::string& request) {
    const std::string path =
        request.substr(request.find(' ') + 1, request.find(" HTTP/") - request.find(' ') - 1);
    if (path == "/echo")
      return send(
          stream,
          fmt::format("HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Name:  a value \r\nContent-Length: {}\r\n\r\n{}",
                      request.size(), request));
    if (path == "/missing") return send(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
    if (path == "/head") return send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n");
    if (path == "/large") {
      send(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (send(stream, "1000\r\n" + std::string(0x1000, 'x') + "\r\n")) {
      }
      return false;
    }
    if (path == "/many-headers") {
      send(stream, "HTTP/1.1 200 OK\r\n");
      for (int i = 0; i < 200; ++i) send(stream, fmt::format("X-{}: {}\r\n", i, std::string(100, 'h')));
      return send(stream, "Content-Length: 0\r\n\r\n");
    }
    if (path == "/slow") {
      char byte;
      while (wait_to_go_on(stream, stream.read({&byte, 1}), POLLIN)) {
      }  // until the client or the test gives up
      return false;
    }
    if (path == "/cut") {
      send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      return false;
    }
    if (path == "/garbage") {
      send(stream, "\x01\x02 this is not HTTP\r\n\r\n");
      return false;
    }
    std::string target;
    if (path == "/to-echo") target = "/echo";
    if (path == "/round") target = "/round";
    if (path == "/to-ftp") target = "ftp://127.0.0.1/x";
    if (path == "/to-public") target = "http://192.0.2.1/";
    return send(stream, "HTTP/1.1 302 Found\r\nLocation: " + target + "\r\nContent-Length: 4\r\n\r\nmove");
  }

  ListeningSocket listening_ = [] {
    auto socket = std::move(open_listening_sockets(*SocketAddress::parse("127.0.0.1:0"), 1)->front());
    return socket;
  }();
  SocketAddress address_ = listening_.address();
  std::shared_ptr<const TlsContext> tls_;
  std::mutex mutex_;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  bool stopping_ = false;
  std::atomic<int> connections_ = 0;
  std::atomic<int> requests_ = 0;
  std::thread acceptor_;
};

class HttpClientTest : public ::testing::Test {
 protected:
  static HttpRequest get(std::string url) {
    HttpRequest request;
    request.url = std::move(url);
    request.timeout_ms = 60'000;
    request.allow_private = true;
    return request;
  }

  HttpReply ask(HttpClient& client, HttpRequest request) {
    std::optional<HttpReply> answer;
    client.request(std::move(request), loop_, [&](HttpReply reply) { answer = std::move(reply); });
    EXPECT_FALSE(answer.has_value());
    while (!answer) loop_.turn(-1);
    return std::move(*answer);
  }
  HttpReply ask(HttpRequest request) { return ask(client_, std::move(request)); }

  TestingServer server_;
  Loop loop_;
  HttpClient client_{HttpClient::Options{}};
};

TEST_F(HttpClientTest, GetsAReplyWithItsHeaders) {
  const HttpReply reply = ask(get(server_.url("/echo?") + ""));
  EXPECT_EQ(reply.status, 302);
  const HttpReply echo = ask(get(server_.url("/echo")));
  EXPECT_TRUE(echo.received()) << echo.error;
  EXPECT_EQ(echo.status, 200);
  EXPECT_EQ(echo.header("x-name"), "a value");
  EXPECT_EQ(echo.header("x-empty"), "");
  EXPECT_EQ(echo.header("absent"), "");
  EXPECT_THAT(echo.body, HasSubstr("GET /echo HTTP/1.1\r\n"));
  EXPECT_EQ(ask(get(server_.url("/missing"))).body, "gone");
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(HttpClientTest, SendsMethodHeadersAndBody) {
  HttpRequest request = get(server_.url("/echo"));
  request.method = "PUT";
  request.headers = {{"X-Signature", "abc"}, {"X-Nothing", ""}, {"Content-Type", "application/json"}};
  request.body = std::string(100'000, 'b');
  const HttpReply reply = ask(request);
  EXPECT_THAT(reply.body, HasSubstr("PUT /echo"));
  EXPECT_THAT(reply.body, HasSubstr("X-Signature: abc\r\n"));
  EXPECT_THAT(reply.body, HasSubstr("X-Nothing:\r\n"));
  EXPECT_THAT(reply.body, HasSubstr("\r\n\r\n" + request.body));

  request.method = "POST";
  request.body.clear();
  EXPECT_THAT(ask(request).body, HasSubstr("Content-Length: 0\r\n"));
  request = get(server_.url("/head"));
  request.method = "HEAD";
  EXPECT_TRUE(ask(request).received());
}

TEST_F(HttpClientTest, RefusesWhatIsNotHttp) {
  for (const char* url :
       {"ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "not a url", "", "http://"}) {
    const HttpReply reply = ask(get(url));
    EXPECT_EQ(reply.failure, HttpFailure::refused) << url;
    EXPECT_EQ(reply.status, 0);
  }
}

TEST_F(HttpClientTest, RefusesHeadersAndMethodsThatWouldChangeTheRequest) {
  HttpRequest request = get(server_.url("/echo"));
  request.headers = {{"X", "a\r\nX-Other: b"}};
  EXPECT_EQ(ask(request).failure, HttpFailure::refused);
  request.headers = {{"X: y\r\nZ", "a"}};
  EXPECT_EQ(ask(request).failure, HttpFailure::refused);
  request.headers = {{"", "a"}};
  EXPECT_EQ(ask(request).failure, HttpFailure::refused);
  request.headers.clear();
  request.method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET";
  EXPECT_EQ(ask(request).failure, HttpFailure::refused);
  EXPECT_EQ(server_.requests(), 0);
}

TEST_F(HttpClientTest, RefusesPrivateAddressesAfterTheNameLookUp) {
  for (const std::string host :
       {"127.0.0.1", "localhost", "2130706433", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"}) {
    HttpRequest request = get(fmt::format("http://{}:{}/echo", host, server_.port()));
    request.allow_private = false;
    const HttpReply reply = ask(request);
    EXPECT_EQ(reply.failure, HttpFailure::refused) << host << ": " << reply.error;
  }
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(HttpClientTest, DoesNotReuseAnothersConnectionToAPrivateAddress) {
  EXPECT_TRUE(ask(get(server_.url("/echo"))).received());
  HttpRequest request = get(server_.url("/echo"));
  request.allow_private = false;
  EXPECT_EQ(ask(request).failure, HttpFailure::refused);
  EXPECT_EQ(server_.requests(), 1);
}

TEST_F(HttpClientTest, RefusesPlainHttpToOtherMachines) {
  const HttpReply reply = ask(get("http://192.0.2.1/"));
  EXPECT_EQ(reply.failure, HttpFailure::refused);
  EXPECT_THAT(reply.error, HasSubstr("plain http to 192.0.2.1"));
}

TEST_F(HttpClientTest, FollowsRedirectsOnlyWhenAskedAndOnlyWithinItsRules) {
  EXPECT_EQ(ask(get(server_.url("/to-echo"))).status, 302);
  const auto follow = [&](std::string_view path) {
    HttpRequest request = get(server_.url(path));
    request.follow_redirects = true;
    return ask(request);
  };
  const HttpReply reply = follow("/to-echo");
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.body.starts_with("GET /echo")) << reply.body;
  EXPECT_EQ(reply.header("location"), "");
  EXPECT_EQ(follow("/to-public").failure, HttpFailure::refused);
  EXPECT_FALSE(follow("/to-ftp").received());
  EXPECT_EQ(follow("/round").failure, HttpFailure::failed);
}

TEST_F(HttpClientTest, StopsReadingAReplyThatIsTooLarge) {
  HttpRequest request = get(server_.url("/large"));
  request.max_bytes = 50'000;
  const HttpReply reply = ask(request);
  EXPECT_EQ(reply.failure, HttpFailure::too_large);
  EXPECT_LE(reply.body.size(), 50'000u);
  request = get(server_.url("/many-headers"));
  request.max_bytes = 5'000;
  EXPECT_EQ(ask(request).failure, HttpFailure::too_large);
}

TEST_F(HttpClientTest, TellsOfServersThatAreNotThereOrTalkNonsense) {
  EXPECT_EQ(ask(get(server_.url("/garbage"))).failure, HttpFailure::failed);
  EXPECT_EQ(ask(get(server_.url("/cut"))).failure, HttpFailure::failed);
  std::string url;
  {
    const TestingServer gone;
    url = gone.url("/");
  }
  const HttpReply reply = ask(get(url));
  EXPECT_EQ(reply.failure, HttpFailure::failed);
  EXPECT_THAT(reply.error, HasSubstr("connect"));
}

TEST_F(HttpClientTest, GivesUpAfterTheTimeout) {
  HttpRequest request = get(server_.url("/slow"));
  request.timeout_ms = 50;
  EXPECT_EQ(ask(request).failure, HttpFailure::timed_out);
}

TEST_F(HttpClientTest, TheWaitForAFreeConnectionCountsTowardsTheTimeout) {
  HttpClient narrow(HttpClient::Options{.ca_file = {}, .connections_per_host = 1});
  int slow_answers = 0;
  narrow.request(get(server_.url("/slow")), loop_, [&](const HttpReply&) { ++slow_answers; });
  HttpRequest request = get(server_.url("/echo"));
  request.timeout_ms = 50;
  EXPECT_EQ(ask(narrow, request).failure, HttpFailure::timed_out);
  EXPECT_EQ(slow_answers, 0);
}

TEST_F(HttpClientTest, TurnsAwayMoreRequestsThanItsBound) {
  HttpClient narrow(HttpClient::Options{.ca_file = {}, .max_requests = 2});
  for (int i = 0; i < 2; ++i) narrow.request(get(server_.url("/slow")), loop_, [](const HttpReply&) {});
  EXPECT_EQ(ask(narrow, get(server_.url("/echo"))).failure, HttpFailure::overloaded);
}

TEST_F(HttpClientTest, AnswersEveryRequestWhenItIsDestroyed) {
  int stopped = 0;
  {
    HttpClient client(HttpClient::Options{});
    for (int i = 0; i < 20; ++i)
      client.request(get(server_.url("/slow")), loop_, [&](const HttpReply& reply) {
        EXPECT_EQ(reply.failure, HttpFailure::stopped);
        ++stopped;
      });
  }
  loop_.turn(-1);
  EXPECT_EQ(stopped, 20);
}

TEST_F(HttpClientTest, AnswersManyRequestsOfManyLoops) {
  constexpr int kThreads = 3;
  constexpr int kRequests = 60;
  std::array<Loop, kThreads> loops;
  HttpClient client(HttpClient::Options{});
  std::vector<std::thread> threads;
  for (Loop& loop : loops)
    threads.emplace_back([&] {
      int answers = 0;
      for (int i = 0; i < kRequests; ++i)
        client.request(get(server_.url(i % 3 == 0 ? "/missing" : "/echo")), loop,
                       [&, i](const HttpReply& reply) {
                         EXPECT_EQ(reply.status, i % 3 == 0 ? 404 : 200) << reply.error;
                         if (++answers == kRequests) loop.stop();
                       });
      loop.run();
      EXPECT_EQ(answers, kRequests);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_LE(server_.connections(), 8);
}

TEST_F(HttpClientTest, ChecksCertificatesOfHttpsServers) {
  const TestingCertificate files;
  const TestingServer secure(*TlsContext::load(files.certificate_file(), files.key_file()));
  HttpClient trusting(HttpClient::Options{.ca_file = files.certificate_file()});
  const HttpReply reply = ask(trusting, get(secure.url("/echo")));
  EXPECT_EQ(reply.status, 200) << reply.error;
  const HttpReply refused = ask(get(secure.url("/echo")));
  EXPECT_EQ(refused.failure, HttpFailure::failed);
  EXPECT_THAT(refused.error, HasSubstr("certificate"));
}

}  // namespace
}  // namespace tidewire::net
