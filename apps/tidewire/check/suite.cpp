#include "check/suite.h"

#include <fmt/format.h>
#include <unistd.h>

#include "auth/mint.h"
#include "base/time.h"

namespace tidewire::check {

namespace {
constexpr std::size_t kShown = 200;
constexpr std::int64_t kToken_s = 600;
}  // namespace

std::string instead(const std::optional<Json>& reply) {
  if (!reply) return "nothing came in time";
  const std::string code = text_of(*reply, "code");
  if (!code.empty()) return fmt::format("{}: {}", code, text_of(*reply, "message"));
  return fmt::format("instead came {}",
                     reply->dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, kShown));
}

Suite::Suite(Network& network, SuiteOptions options, Report& report)
    : network_(network), options_(std::move(options)), report_(report) {
  const Time now = read_clocks();
  tag_ = fmt::format("{:x}-{:x}", now.unix_ms, getpid());
}

void Suite::check(std::string_view id, std::string_view title, const Check& check) {
  const auto began = Clock::now();
  const Verdict verdict = check();
  report_.add({.id = std::string(id),
               .title = std::string(title),
               .outcome = verdict.outcome,
               .detail = verdict.detail,
               .took_ms = std::chrono::duration<double, std::milli>(Clock::now() - began).count()});
}

std::string Suite::token_of(int user) const {
  if (options_.secret.empty()) return options_.token;
  auth::MintOptions mint;
  mint.user = fmt::format("tidewire-check-{}-{}", tag_, user);
  mint.ttl_s = kToken_s;
  mint.secret = options_.secret;
  return auth::mint(mint, read_clocks()).value_or("");
}

Headers Suite::authorization(const std::string& token) const {
  Headers headers{{"Sec-WebSocket-Protocol", "tidewire.v1"}};
  if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
  return headers;
}

std::expected<Session, std::string> Suite::open(int user, bool offer_deflate) {
  auto socket = network_.open("/ws?inbox=manual", authorization(token_of(user)), offer_deflate);
  if (!socket) return std::unexpected(socket.error().reason);
  Session session(network_, *std::move(socket), pacer_);
  const auto hello = session.hello();
  if (!hello || text_of(*hello, "type") != "connected")
    return std::unexpected(
        session.socket().close_code != 0 && !hello
            ? fmt::format("closed with {} {}", session.socket().close_code, session.socket().close_reason)
            : instead(hello));
  hello_ = *hello;
  return session;
}

std::string Suite::channel(std::string_view name) const {
  return fmt::format("{}:tidewire-check-{}-{}", options_.name_space, tag_, name);
}

void Suite::run() {
  tls();
  health();
  connecting();
  authentication();
  subscriptions();
  messages();
  errors();
  resume();
  load();
}

}  // namespace tidewire::check
