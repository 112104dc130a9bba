#include "client.h"

#include <algorithm>

#include "random_event.h"
#include "world.h"

namespace tidewire::sim {

namespace {
constexpr std::int64_t kHeartbeatsUs = 60'000'000;  // when the server gives a silent connection up
}

Client::Client(World& world, int number)
    : world_(world),
      name_(fmt::format("client {}", number)),
      user_(static_cast<int>(world.below(5))),
      watcher_(world.chance(30)),
      slow_(world.chance(world.plan.slow_clients)),
      view_(world, name_) {}

void Client::start() {
  world_.schedule.after(1 + world_.up_to(world_.plan.pause_us), [this] {
    if (world_.quiet || !world_.take_step()) return;
    act();
    start();
  });
}

void Client::act() {
  if (state_ == State::away) return connect();
  if (state_ != State::connected) return;
  const auto dice = world_.below(1000);
  if (dice < 180) return subscribe();
  if (dice < 250) return request({{"type", "unsubscribe"}, {"channel", followed_or_any()}});
  if (dice < 700) return world_.plan.kinds && world_.chance(12) ? acknowledge() : publish();
  if (dice < 760) return history();
  if (dice < 860) return presence();
  if (dice < 890) return authenticate();
  if (dice < 930) return request({{"type", "ping"}, {"data", {1, "x"}}});
  if (dice < 950) return nonsense();
  if (dice < 975) return cut(false);
  if (dice < 982) return cut(true);
  if (dice < 992) slow_ = !slow_;
}

// ---- the connection ----

void Client::connect() {
  state_ = State::connecting;
  const std::uint64_t link = ++link_;
  shard_ = world_.shards[world_.below(world_.shards.size())].get();
  up_free_us_ = down_free_us_ = 0;
  identity_ = "null";
  entered_.clear();
  owed_.clear();
  handle_.reset();
  ClientView before = std::exchange(view_, ClientView(world_, name_));
  view_.keep(std::move(before));
  inboxes_owed_ = 0;
  inbox_asked_us_ = world_.now_us();
  std::string token;
  if (user_ != 0 && world_.chance(90)) token = world_.token(user_, world_.plan.tokens_live_ms);
  world_.journal.note(world_.now_us(), "{} connects to shard {} as {}", name_, shard_->self(),
                      token.empty() ? 0 : user_);
  const std::int64_t window = slow_ ? 2000 : std::int64_t{1} << 40;
  shard_->connect(*this, link, std::move(token), window, [this, link](Handle handle) {
    if (link == link_) handle_ = handle;
    if (link == link_ && slow_) keep_reading(link);
  });
}

// A slow reader takes a little now and then.
void Client::keep_reading(std::uint64_t link) {
  world_.schedule.after(500 + world_.up_to(20'000), [this, link] {
    if (link != link_ || !handle_ || state_ == State::vanished) return;
    shard_->reader_takes(*handle_, slow_ ? 200 + world_.up_to(6000) : std::int64_t{1} << 40);
    if (slow_ || world_.chance(50)) keep_reading(link);
  });
}

void Client::cut(bool vanish) {
  world_.journal.note(world_.now_us(), "{} {}", name_, vanish ? "vanishes" : "is cut off");
  const Handle handle = *handle_;
  Shard* shard = shard_;
  // A half-open connection is there for the server until its heartbeats are missed.
  const std::int64_t noticed = vanish ? kHeartbeatsUs : world_.up_to(world_.plan.link_us);
  world_.schedule.after(noticed, [shard, handle] { shard->lose(handle); });
  ++link_;  // what is on its way is not read any more
  state_ = State::away;
  entered_.clear();
}

void Client::server_ended() {
  if (state_ == State::away) return;
  const std::int64_t at =
      std::max(down_free_us_, world_.now_us() + 1 + world_.up_to(4 * world_.plan.link_us));
  world_.schedule.at(at, [this, link = link_] {
    if (link != link_) return;
    ++link_;
    state_ = State::away;
    entered_.clear();
  });
}

void Client::on_closed(std::uint64_t link, std::uint16_t code, std::string reason) {
  const std::int64_t at = std::max(down_free_us_, world_.now_us() + 1 + world_.up_to(world_.plan.link_us));
  if (link == link_) down_free_us_ = at;
  world_.schedule.at(at, [this, link, code, reason] {
    if (link != link_) return;
    world_.journal.note(world_.now_us(), "{} was closed: {} {}", name_, code, reason);
    static const std::set<std::string> kReasons{"token_expired", "token_invalid",  "token_malformed",
                                                "user_mismatch", "rate_limited",   "connection_limit",
                                                "disconnected",  "invalid_message"};
    require(kReasons.contains(reason), "{} was closed with {} `{}`", name_, code, reason);
    ++link_;
    state_ = State::away;
    entered_.clear();
  });
}

void Client::on_way(std::uint64_t link, std::string text, std::int64_t sent_us) {
  if (link != link_) return;
  down_free_us_ = std::max(down_free_us_, world_.now_us() + 1 + world_.up_to(world_.plan.link_us));
  world_.schedule.at(down_free_us_,
                     [this, link, text = std::move(text), sent_us] { receive(link, text, sent_us); });
}

void Client::raw(std::string text) {
  world_.journal.note(world_.now_us(), "{} > {}", name_, text);
  up_free_us_ = std::max(up_free_us_, world_.now_us() + 1 + world_.up_to(world_.plan.link_us));
  const Handle handle = *handle_;
  Shard* shard = shard_;
  const std::uint64_t link = link_;
  world_.schedule.at(up_free_us_, [this, shard, handle, link, text = std::move(text)] {
    if (link == link_) shard->arrive(handle, text);
  });
}

void Client::request(Json body, std::vector<Owed> owed) {
  const Json id = world_.chance(50) ? Json(++next_id_) : Json(fmt::format("r{}", ++next_id_));
  body["id"] = id;
  for (Owed& reply : owed) {
    reply.id = id;
    reply.request = body;
    reply.at_us = reply.subscribe.at_us = world_.now_us();
    owed_.push_back(std::move(reply));
  }
  raw(body.dump());
}

void Client::request(Json body) {
  Owed owed;
  owed.type = body.at("type");
  owed.channel = body.value("channel", "");
  std::vector<Owed> one;
  one.push_back(std::move(owed));
  request(std::move(body), std::move(one));
}

// ---- what it asks ----

std::string Client::followed_or_any() {
  const auto followed = view_.channels();
  if (!followed.empty() && world_.chance(75)) return followed[world_.below(followed.size())];
  return world_.random_channel();
}

SubscribeAsked Client::wish() {
  SubscribeAsked asked{.channel = world_.random_channel(), .since = {}, .history = {}};
  const bool inbox = asked.channel.starts_with("user:") || asked.channel.starts_with("box:");
  const auto known = view_.positions().find(asked.channel);
  const auto dice = world_.below(100);
  if (known != view_.positions().end() && dice < 70) {
    asked.since = known->second;
    if (world_.chance(10)) asked.since->seq = world_.below(known->second.seq + 10);
  } else if (dice < 75) {
    asked.since = hub::Position{.epoch = "nowhere", .seq = world_.below(10)};
  } else if (dice < 85 && !inbox) {
    asked.history = world_.below(world_.chance(80) ? 30 : 1500);
  }
  if (asked.channel.starts_with("room:") && (watcher_ || world_.chance(20))) asked.presence = true;
  if (world_.chance(5)) asked.snapshot = false;
  return asked;
}

// Whether a subscription that may be refused is asked for already: the reply to the next one is that of
// a second one whatever becomes of the first.
bool Client::is_joining(const std::string& channel, const Json& entries) const {
  const auto asks = [&](const Owed& owed) { return owed.type == "subscribe" && owed.channel == channel; };
  const auto names = [&](const Json& entry) { return entry.at("channel") == channel; };
  const bool follows_inbox = inboxes_owed_ > 0 && channel.starts_with("user:");
  return follows_inbox || std::ranges::any_of(owed_, asks) || std::ranges::any_of(entries, names);
}

void Client::subscribe() {
  const std::size_t count = world_.chance(70) ? 1 : 1 + world_.below(6);
  std::vector<Owed> owed;
  Json entries = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    const SubscribeAsked asked = wish();
    if (is_joining(asked.channel, entries)) continue;
    Json entry{{"channel", asked.channel}};
    if (asked.since) entry["since"] = {{"epoch", asked.since->epoch}, {"seq", asked.since->seq}};
    if (asked.history) entry["history"] = *asked.history;
    if (asked.presence) entry["presence"] = true;
    if (!asked.snapshot) entry["snapshot"] = false;
    entries.push_back(entry);
    Owed reply;
    reply.type = "subscribe";
    reply.channel = asked.channel;
    reply.subscribe = asked;
    owed.push_back(std::move(reply));
  }
  if (entries.empty()) return;
  for (Owed& reply : owed) reply.of_many = entries.size() > 1;
  Json body = entries.size() == 1 ? entries[0] : Json{{"channels", entries}};
  body["type"] = "subscribe";
  request(std::move(body), std::move(owed));
}

// To a channel whose kind knows what it takes.
bool Client::publish_event(const std::string& channel) {
  const hub::Namespace* ns = world_.namespaces.find(channel.substr(0, channel.find(':')));
  if (ns == nullptr || ns->kind == hub::Kind::stream) return false;
  const std::uint64_t times = world_.chance(10) ? 1 + world_.below(20) : 1;
  for (std::uint64_t i = 0; i < times; ++i) {
    Json body = random_event(world_, channel);
    body["type"] = "publish";
    body["channel"] = channel;
    if (world_.chance(15)) body["echo"] = false;
    if (!body.contains("ephemeral") && world_.chance(25)) body["key"] = fmt::format("k{}", world_.below(12));
    request(body);
  }
  return true;
}

// Takes entries out of an inbox, some of which may not be there.
void Client::acknowledge() {
  const auto inboxes = view_.inboxes();
  const std::string channel =
      inboxes.empty() || world_.chance(5) ? world_.random_channel() : inboxes[world_.below(inboxes.size())];
  const auto pending = view_.pending(channel);
  Json body{{"type", "ack"}, {"channel", channel}};
  if (world_.chance(25)) {
    body["up_to"] = pending.empty() ? world_.below(20) : pending[world_.below(pending.size())];
  } else {
    body["seqs"] = Json::array();
    for (std::uint64_t i = world_.below(3) + 1; i > 0; --i)
      body["seqs"].push_back(pending.empty() || world_.chance(10) ? 1 + world_.below(50)
                                                                  : pending[world_.below(pending.size())]);
  }
  request(std::move(body));
}

void Client::publish() {
  Json body{{"type", "publish"}, {"channel", followed_or_any()}};
  if (publish_event(body["channel"])) return;
  body["data"] = {{"n", world_.next_number()}};
  if (world_.chance(20)) body["data"]["fill"] = std::string(world_.below(2000), 'x');
  if (world_.chance(20)) body["event"] = "note";
  if (world_.chance(10)) body["priority"] = "high";
  if (world_.chance(15)) body["echo"] = false;
  if (world_.chance(10))
    body["ephemeral"] = true;
  else if (world_.chance(25))
    body["key"] = fmt::format("k{}", world_.below(12));
  if (world_.chance(15)) body["ttl_ms"] = 1 + world_.up_to(3000);
  // Bursts are what fills outboxes.
  std::uint64_t times = world_.chance(10) ? 1 + world_.below(20) : 1;
  const std::string channel = body["channel"];
  if ((channel == "vast:1" || channel == "deep:1") && world_.chance(20)) {
    times = world_.below(200);
    body["data"]["fill"] = std::string(world_.below(3000), 'y');
  }
  for (std::uint64_t i = 0; i < times; ++i) {
    if (i > 0) body["data"]["n"] = world_.next_number();
    request(body);
  }
}

void Client::history() {
  Json body{{"type", "history"}, {"channel", followed_or_any()}};
  if (world_.chance(50)) body["after"] = world_.below(60);
  if (world_.chance(30)) body["before"] = world_.below(60);
  if (world_.chance(50)) body["limit"] = world_.below(30);
  request(std::move(body));
}

void Client::presence() {
  if (watcher_) return;
  static constexpr const char* kActions[] = {"enter", "enter", "leave", "update", "get"};
  Json body{{"type", "presence"}, {"channel", followed_or_any()}, {"action", kActions[world_.below(5)]}};
  if (world_.chance(50)) body["data"] = {{"mood", world_.below(3)}};
  request(std::move(body));
}

void Client::authenticate() {
  const auto dice = world_.below(100);
  std::string token = "nonsense";
  if (dice < 70 && user_ != 0)
    token = world_.token(user_, world_.plan.tokens_live_ms);
  else if (dice < 80)
    token = world_.token(user_ + 10, 60'000);
  else if (dice < 90)
    token = world_.token(1, -5'000);
  if (user_ == 0 && token != "nonsense") token = world_.token(1, -5'000);  // anonymous ones stay so
  if (identity_ == "null" && user_ != 0 && dice >= 70 && dice < 80) return;
  request({{"type", "auth"}, {"token", token}});
}

void Client::nonsense() {
  const auto dice = world_.below(4);
  if (dice == 0) return request({{"type", "dance"}});
  if (dice == 1) return request({{"type", "publish"}, {"channel", "room:"}, {"data", 1}});
  if (dice == 2) return request({{"type", "subscribe"}, {"channel", "room:1"}, {"history", -1}});
  Owed owed;
  owed.type = "";
  owed.at_us = world_.now_us();
  owed_.push_back(std::move(owed));
  raw("{\"type\":\"ping\",");
}

// ---- what it hears ----

void Client::receive(std::uint64_t link, const std::string& text, std::int64_t sent_us) {
  if (link != link_) return;
  world_.journal.note(world_.now_us(), "{} < {}", name_, text);
  const Json message = Json::parse(text);
  const std::string type = message.at("type");
  if (type == "connected") {
    state_ = State::connected;
    identity_ = message.at("user").is_null() ? "null" : message.at("user").at("id").dump();
    view_.connected(std::stoull(message.at("connection_id").get<std::string>().substr(2), nullptr, 16));
    if (identity_ != "null") ++inboxes_owed_;
    return;
  }
  if (type == "subscribed" && !message.contains("id")) return on_inbox_followed(message, sent_us);
  if (type == "error" && !message.contains("id") && message.value("request", "") == "subscribe") {
    require(--inboxes_owed_ >= 0 && message.at("code") == "unavailable", "{} did not expect {}", name_, text);
    return;
  }
  if (type == "snapshot") return view_.on_snapshot(message, sent_us);
  if (type == "message") return view_.on_message(message, text);
  if (type == "gap") return view_.on_gap(message, sent_us);
  const auto asks_presence = [&] {
    const auto asks = [&](const Owed& owed) {
      return owed.subscribe.presence && owed.channel == message.at("channel");
    };
    return std::ranges::any_of(owed_, asks);
  };
  if (type == "presence_event") return view_.on_presence_event(message, asks_presence());
  if (message.contains("id") || (type == "error" && !message.contains("request")))
    return on_reply(message, sent_us);
  if (type == "presence") return view_.on_members(message, asks_presence());
  if (type == "unsubscribed" && message.value("code", "") == "revoked")
    view_.on_revoked(message.at("channel"), identity_, sent_us);
  if (type == "unsubscribed" && message.contains("code")) return view_.on_unsubscribed(message.at("channel"));
  static const std::set<std::string> kNotices{"auth_expiring", "auth_error"};
  require(kNotices.contains(type), "{} did not expect {}", name_, text);
}

// The server follows the inbox of whoever is authenticated (protocol §7).
void Client::on_inbox_followed(const Json& message, std::int64_t sent_us) {
  require(--inboxes_owed_ >= 0, "{} did not expect {}", name_, message.dump());
  SubscribeAsked asked{.channel = "user:" + identity_, .since = {}, .history = {}};
  asked.automatic = true;
  asked.at_us = inbox_asked_us_;
  asked.user = identity_;
  view_.on_subscribed(message, asked, sent_us);
}

void Client::on_reply(const Json& message, std::int64_t sent_us) {
  ++world_.replies_seen;
  const std::string type = message.at("type");
  require(!owed_.empty(), "{} is owed nothing and got {}", name_, message.dump());
  const Owed owed = std::move(owed_.front());
  owed_.pop_front();
  require(message.value("id", Json()) == owed.id, "{} expected the reply to {} and got {}", name_,
          owed.request.dump(), message.dump());
  if (type == "error") {
    // A request that is refused as a whole is answered once.
    if (owed.of_many && !message.contains("channel"))
      while (!owed_.empty() && owed_.front().id == owed.id) owed_.pop_front();
    const std::string code = message.at("code");
    require(code != "internal", "{} got {}", name_, message.dump());
    return;
  }
  if (type == "auth_error") return;
  static const std::map<std::string, std::string> kReplies{{"ping", "pong"},
                                                           {"auth", "auth_success"},
                                                           {"subscribe", "subscribed"},
                                                           {"unsubscribe", "unsubscribed"},
                                                           {"publish", "published"},
                                                           {"history", "history"},
                                                           {"ack", "acked"},
                                                           {"presence", "presence"}};
  const auto expected = kReplies.find(owed.type);
  require(expected != kReplies.end() && expected->second == type, "{} asked {} and got {}", name_,
          owed.request.dump(), message.dump());
  if (type == "subscribed") {
    SubscribeAsked asked = owed.subscribe;
    asked.user = identity_;
    return view_.on_subscribed(message, asked, sent_us);
  }
  if (type == "acked") return view_.on_acked(message);
  if (type == "unsubscribed") return view_.on_unsubscribed(owed.channel);
  if (type == "auth_success") {
    if (identity_ == "null") {
      ++inboxes_owed_;
      inbox_asked_us_ = owed.at_us;
    }
    identity_ = message.at("user").at("id").dump();
    for (auto& [channel, who] : entered_) who = identity_;  // the presence is the user's now
  }
  if (type == "history") return view_.on_history(message, owed.request, owed.at_us, sent_us);
  if (type == "presence") {
    const std::string action = owed.request.at("action");
    if (action == "enter") entered_.emplace(owed.channel, identity_);
    if (action == "leave") entered_.erase(owed.channel);
  }
  if (type == "published" && message.contains("seq")) {
    const Life* life = world_.model.find(owed.channel, message.at("epoch"));
    const auto* written = life == nullptr ? nullptr : life->find(message.at("seq"));
    require(written != nullptr, "{} was told of {}", name_, message.dump());
    if (message.contains("duplicate")) return;
    for (const char* form : {"data", "merge", "patch"})
      require(!owed.request.contains(form) ||
                  written->tail.ends_with(fmt::format("\"{}\":{}}}", form, owed.request.at(form).dump())),
              "{} published {} and was told of {}", name_, owed.request.dump(), written->tail);
  }
}

// ---- the end ----

void Client::behave() {
  slow_ = false;
  if (state_ == State::connected && handle_) shard_->reader_takes(*handle_, std::int64_t{1} << 40);
  if (state_ == State::away && world_.chance(70)) connect();
}

void Client::leave() {
  if (state_ == State::connected) cut(false);
}

void Client::check_settled() const {
  if (state_ != State::connected) return;
  require(inboxes_owed_ == 0, "{} was never told of its inbox", name_);
  require(owed_.empty(), "{} was never answered: {}", name_,
          owed_.empty() ? "" : owed_.front().request.dump());
  view_.check_settled(identity_);
}

}  // namespace tidewire::sim
