#include "check/suite.h"

#include <fmt/format.h>
#include <unistd.h>

#include "auth/mint.h"
#include "base/time.h"
#include "guard/attempts.h"

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
  const Verdict verdict = held_back_ ? skipped("this address is turned away") : check();
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
  mint.claims = options_.claims;
  return auth::mint(mint, read_clocks()).value_or("");
}

Headers Suite::authorization(const std::string& token) const {
  Headers headers{{"Sec-WebSocket-Protocol", "tidewire.v1"}};
  if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
  return headers;
}

std::string Suite::explained(std::string reason) {
  if (!reason.contains(guard::Attempts::kBlockedReason)) return reason;
  held_back_ = true;
  return "the server turns this address away for now, since too many attempts to authenticate from it have "
         "failed; try again once its auth.attempts_penalty is over (a minute, 5 s with --dev, unless it is "
         "set)";
}

std::expected<Session, std::string> Suite::connect(std::string_view path, const Headers& headers,
                                                   bool offer_deflate) {
  auto socket = network_.open(path, headers, offer_deflate);
  if (!socket) return std::unexpected(explained(socket.error().reason));
  Session session(network_, *std::move(socket), pacer_);
  const auto hello = session.hello();
  if (!hello || text_of(*hello, "type") != "connected") {
    const Socket& ended = session.socket();
    return std::unexpected(
        !hello && ended.close_code != 0
            ? explained(fmt::format("closed with {} {}", ended.close_code, ended.close_reason))
            : instead(hello));
  }
  hello_ = *hello;
  return session;
}

std::expected<Session, std::string> Suite::open(int user, bool offer_deflate) {
  return connect("/ws?inbox=manual", authorization(token_of(user)), offer_deflate);
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
  resume();
  load();
  errors();
}

}  // namespace tidewire::check
