#include "check/session.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidewire::check {

namespace {
constexpr int kTries = 4;
constexpr std::uint64_t kLongestWait_ms = 10'000;
// The limit in force may lie below the announced one (protocol §6, limits.adaptive).
constexpr double kCareful = 0.7;
// Of a user's connections together (protocol §6).
constexpr double kUserShare = 5;
}  // namespace

Json parsed(std::string_view text) { return Json::parse(text, nullptr, false); }

std::string text_of(const Json& message, std::string_view name) {
  const auto found = message.is_object() ? message.find(name) : message.end();
  return found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const Json& message, std::string_view name) {
  const auto found = message.is_object() ? message.find(name) : message.end();
  return found != message.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void Pacer::set(double burst, double per_second) {
  // What has been spent stays spent.
  tokens_ = std::max(0.0, tokens_ + burst - burst_);
  burst_ = burst;
  per_second_ = per_second;
}

Clock::duration Pacer::take(Clock::time_point now) {
  tokens_ = std::min(burst_, tokens_ + per_second_ * std::chrono::duration<double>(now - at_).count());
  at_ = now;
  tokens_ -= 1;
  if (tokens_ >= 0) return {};
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(-tokens_ / per_second_));
}

Session::Session(Network& network, std::shared_ptr<Socket> socket, Pacer& shared)
    : network_(&network), socket_(std::move(socket)), shared_(&shared), own_(std::make_unique<Pacer>()) {}

Session::~Session() {
  if (socket_) socket_->drop();
}

std::optional<Json> Session::hello() {
  network_->wait([this] { return !socket_->inbox.empty() || socket_->ended; });
  auto message = next([](const Json&) { return true; });
  if (message && text_of(*message, "type") == "connected" && (*message)["limits"].is_object()) {
    const Json& limits = (*message)["limits"];
    const double burst = static_cast<double>(number_of(limits, "burst"));
    const double rate = static_cast<double>(number_of(limits, "messages_per_minute")) / 60;
    if (burst >= 1 && rate > 0) {
      own_->set(std::max(1.0, burst * kCareful), rate * kCareful);
      shared_->set(std::max(1.0, burst * kCareful * kUserShare), rate * kCareful * kUserShare);
    }
  }
  return message;
}

std::string Session::send(Json message) {
  const std::string type = text_of(message, "type");
  if (type != "ping" && type != "auth" && type != "ack" && type != "unsubscribe") {
    const auto now = Clock::now();
    const auto wait = std::max(own_->take(now), shared_->take(now));
    if (wait.count() > 0) network_->wait([] { return false; }, now + wait);
  }
  const std::string id = fmt::format("check-{}", ++ids_);
  message["id"] = id;
  socket_->send(message.dump());
  return id;
}

std::optional<Json> Session::reply_to(const std::string& id) {
  return next([&id](const Json& message) { return text_of(message, "id") == id; });
}

std::optional<Json> Session::request(Json message) {
  for (int tries = 1;; ++tries) {
    auto reply = reply_to(send(message));
    if (!reply || text_of(*reply, "code") != "rate_limited" || tries == kTries) return reply;
    const std::uint64_t wait_ms = number_of(*reply, "retry_after_ms");
    if (wait_ms > kLongestWait_ms) return reply;
    network_->wait([] { return false; }, Clock::now() + std::chrono::milliseconds(wait_ms + 20));
  }
}

std::optional<Json> Session::next(const std::function<bool(const Json&)>& wanted) {
  std::optional<Json> found;
  std::size_t seen = 0;
  network_->wait([&] {
    auto& inbox = socket_->inbox;
    for (; seen < inbox.size(); ++seen) {
      Json message = inbox[seen].binary ? Json() : parsed(inbox[seen].text);
      if (!wanted(message)) continue;
      last_text_ = std::move(inbox[seen].text);
      last_at_ = inbox[seen].at;
      inbox.erase(inbox.begin() + static_cast<std::ptrdiff_t>(seen));
      found = std::move(message);
      return true;
    }
    return socket_->ended;
  });
  return found;
}

std::optional<Json> Session::next_of_type(std::string_view type) {
  return next([type](const Json& message) { return text_of(message, "type") == type; });
}

std::optional<Json> Session::delivery(const std::string& channel, Clock::time_point* at) {
  auto found = next([&channel](const Json& message) {
    const std::string type = text_of(message, "type");
    return text_of(message, "channel") == channel &&
           (type == "message" || type == "gap" || type == "snapshot");
  });
  if (found && at != nullptr) *at = last_at_;
  return found;
}

bool Session::alive() {
  const auto pong = request({{"type", "ping"}, {"data", "alive"}});
  return pong && text_of(*pong, "type") == "pong" && text_of(*pong, "data") == "alive";
}

}  // namespace tidewire::check
