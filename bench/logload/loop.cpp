#include "loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "figures.h"

namespace logload {

namespace {
constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::uint32_t kFirstSource = 0x7F000101;  // 127.0.1.1
}  // namespace

// Says what a link's dialect heard to the mode, with the link.
class Loop::Hearing : public Events {
 public:
  Hearing(Loop& loop, Link& link) : loop_(loop), link_(link) {}
  void ready() override {
    if (link_.state == Link::State::kReady) return;
    link_.state = Link::State::kReady;
    ++loop_.ready_;
    loop_.mode_.ready(link_);
  }
  void published(std::uint64_t id, std::string_view position) override {
    loop_.mode_.published(link_, id, position);
  }
  void entry(std::uint64_t number) override { loop_.mode_.entry(link_, number); }
  void refused(std::string_view why) override { loop_.refuse(why); }

 private:
  Loop& loop_;
  Link& link_;
};

Loop::Loop(const Options& options, Mode& mode)
    : options_(options),
      mode_(mode),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kBufferBytes),
      events_(1024) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  server_.sin_family = AF_INET;
  server_.sin_port = htons(static_cast<std::uint16_t>(options.port));
  if (::inet_pton(AF_INET, options.host.c_str(), &server_.sin_addr) != 1)
    die("--host must be an IPv4 address");
}

void Loop::connect(Link& link) {
  link.index = started_++;
  link.dialect = dialect_for(options_, link.index);
  link.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (link.fd < 0) die(std::string("socket: ") + std::strerror(errno));
  const int on = 1;
  ::setsockopt(link.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(link.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (link.receive_buffer > 0)
    ::setsockopt(link.fd, SOL_SOCKET, SO_RCVBUF, &link.receive_buffer, sizeof link.receive_buffer);
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(kFirstSource + link.index % std::max(1U, options_.sources));
  if (options_.host == "127.0.0.1" &&
      ::bind(link.fd, reinterpret_cast<sockaddr*>(&source), sizeof source) != 0)
    die(std::string("bind: ") + std::strerror(errno));
  link.state = Link::State::kConnecting;
  link.connect_ns = now_ns();
  if (::connect(link.fd, reinterpret_cast<sockaddr*>(&server_), sizeof server_) != 0 && errno != EINPROGRESS)
    return close(link, std::string("connect: ") + std::strerror(errno));
  link.watched = EPOLLOUT;
  epoll_event event{.events = link.watched, .data = {.ptr = &link}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, link.fd, &event);
}

bool Loop::connect_some(std::vector<Link>& links) {
  while (started_ < links.size() && started_ - ready_ - closed_ < options_.inflight) connect(links[started_]);
  return started_ == links.size();
}

void Loop::connect_all(std::vector<Link>& links) {
  const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(options_.limit_seconds * 1e9);
  while (ready_ < links.size()) {
    connect_some(links);
    turn(1'000'000);
    if (closed_ > 0 || now_ns() > end)
      die("only " + std::to_string(ready_) + " of " + std::to_string(links.size()) +
          " came up: " + complaint_);
  }
}

void Loop::turn(std::uint64_t wait_ns) {
  const timespec wait{.tv_sec = static_cast<time_t>(wait_ns / 1'000'000'000),
                      .tv_nsec = static_cast<long>(wait_ns % 1'000'000'000)};
  const long count = ::syscall(SYS_epoll_pwait2, epoll_, events_.data(), static_cast<int>(events_.size()),
                               &wait, nullptr, 0);
  for (long i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    handle(*static_cast<Link*>(event.data.ptr), event.events);
  }
}

void Loop::handle(Link& link, std::uint32_t events) {
  if (link.state == Link::State::kClosed) return;
  if (link.state == Link::State::kConnecting) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close(link, "cannot connect");
    link.state = Link::State::kGreeted;
    link.dialect->greet();
    return flush(link);
  }
  if ((events & EPOLLOUT) != 0) flush(link);
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0 && link.state != Link::State::kClosed)
    receive(link);
}

void Loop::receive(Link& link) {
  const std::size_t room =
      link.receive_buffer > 0 ? static_cast<std::size_t>(link.receive_buffer) : buffer_.size();
  const ssize_t count = ::recv(link.fd, buffer_.data(), room, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return close(link, count == 0 ? "the server closed a connection" : std::strerror(errno));
  arrival_ns_ = now_ns();
  link.received_bytes += static_cast<std::uint64_t>(count);
  std::string_view bytes(buffer_.data(), static_cast<std::size_t>(count));
  Hearing hearing(*this, link);
  if (link.unread.empty()) {
    const std::size_t eaten = link.dialect->read(bytes, hearing);
    link.unread.assign(bytes.substr(eaten));
  } else {
    link.unread.append(bytes);
    link.unread.erase(0, link.dialect->read(link.unread, hearing));
  }
  if (link.state != Link::State::kClosed) flush(link);
}

void Loop::flush(Link& link) {
  if (link.state == Link::State::kClosed) return;
  std::string& fresh = link.dialect->out();
  if (link.unsent.empty()) {
    link.unsent.swap(fresh);
  } else {
    link.unsent += fresh;
    fresh.clear();
  }
  while (!link.unsent.empty()) {
    const ssize_t sent = ::send(link.fd, link.unsent.data(), link.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return close(link, std::strerror(errno));
    if (sent < 0) break;
    link.unsent.erase(0, static_cast<std::size_t>(sent));
  }
  watch(link);
}

void Loop::set_reading(Link& link, bool on) {
  link.reads = on;
  if (link.state != Link::State::kClosed) watch(link);
}

void Loop::hang_up(std::vector<Link>& links) {
  for (Link& link : links) {
    if (link.fd >= 0 && link.state != Link::State::kClosed) ::close(link.fd);
    link.state = Link::State::kClosed;
  }
}

void Loop::watch(Link& link) {
  const std::uint32_t wanted = (link.reads ? EPOLLIN : 0U) | (link.unsent.empty() ? 0U : EPOLLOUT);
  if (wanted == link.watched) return;
  link.watched = wanted;
  epoll_event event{.events = wanted, .data = {.ptr = &link}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, link.fd, &event);
}

void Loop::close(Link& link, const std::string& why) {
  refuse(why);
  if (link.state == Link::State::kReady) --ready_;
  link.state = Link::State::kClosed;
  ++closed_;
  ::close(link.fd);
}

void Loop::refuse(std::string_view why) {
  if (refusals_++ == 0) complaint_ = why;
}

}  // namespace logload
