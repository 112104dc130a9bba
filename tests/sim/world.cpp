#include "world.h"

#include <algorithm>

#include "auth/key_ring.h"
#include "auth/mint.h"
#include "client.h"
#include "hub/publish.h"
#include "random_event.h"

namespace tidewire::sim {

namespace {

constexpr std::string_view kSecret = "the-secret-of-the-simulator-is-long-enough";

std::vector<hub::Namespace> all_namespaces() {
  using enum hub::Access;
  std::vector<hub::Namespace> list;
  const auto add = [&](std::string name) -> hub::Namespace& {
    list.push_back({.name = std::move(name), .history_messages = 40, .history_ttl_ms = 30'000});
    return list.back();
  };
  add("room").presence = true;
  add("tiny").history_messages = 3;
  add("none").history_messages = 0;
  add("high").priority = hub::Priority::critical;
  add("log").durability = hub::Durability::disk;
  add("vast").history_messages = 2000;
  add("deep").history_messages = 5000;
  list.back().durability = hub::Durability::disk;
  hub::Namespace& open = add("open");
  open.subscribe = open.publish = anyone;
  open.presence = true;
  open.priority = hub::Priority::low;
  add("server").publish = server;

  using enum hub::Kind;
  const auto add_kind = [&](std::string name, hub::Kind kind, bool on_disk) -> hub::Namespace& {
    hub::Namespace& ns = add(std::move(name));
    ns.kind = kind;
    ns.idle_timeout_ms = 5'000;
    if (on_disk) ns.durability = hub::Durability::disk;
    return ns;
  };
  add_kind("doc", document, true).history_messages = 10;
  add_kind("mdoc", document, false);
  add_kind("dash", document, true).conflate_ms = 150;
  add_kind("mdash", document, false).conflate_ms = 300;
  for (const bool on_disk : {true, false}) {
    hub::Namespace& inbox_ns = add_kind(on_disk ? "user" : "box", inbox, on_disk);
    inbox_ns.subscribe = user;
    inbox_ns.publish = server;
    hub::Namespace& session_ns = add_kind(on_disk ? "session" : "chat", session, on_disk);
    session_ns.subscribe = session_ns.publish = owner;
    session_ns.open_join = !on_disk;
    hub::Namespace& upload_ns = add_kind(on_disk ? "store" : "upload", upload, on_disk);
    upload_ns.subscribe = upload_ns.publish = owner;
    hub::Namespace& agent_ns = add_kind(on_disk ? "agent" : "run", agent, on_disk);
    agent_ns.publish = owner;
    if (on_disk) agent_ns.subscribe = owner;
  }
  return list;
}

Plan draw(Random& random) {
  const auto up_to = [&](std::uint64_t most) { return random.below(most + 1); };
  Plan plan;
  plan.shards = static_cast<hub::ShardId>(1 + up_to(3));
  plan.clients = 2 + up_to(10);
  plan.budget_bytes = 500u << up_to(7);
  plan.network_us = static_cast<std::int64_t>(1u << up_to(14));
  plan.link_us = static_cast<std::int64_t>(1u << up_to(16));
  plan.pause_us = static_cast<std::int64_t>(200u << up_to(9));
  plan.log_us = static_cast<std::int64_t>(1u << up_to(14));
  static constexpr int kFailures[] = {0, 0, 30, 150};
  plan.log_failures = kFailures[random.below(4)];
  plan.slow_clients = static_cast<int>(up_to(60));
  plan.rate_limits = random.below(8) == 0;
  plan.deep = random.below(6) == 0;
  plan.kinds = random.below(4) != 0;
  plan.restarts = random.below(2) == 0 ? 1 + random.below(4) : 0;
  plan.long_silence = random.below(4) == 0;
  plan.tokens_live_ms = random.below(2) == 0 ? 3'600'000 : 3'000 + static_cast<std::int64_t>(up_to(20'000));
  return plan;
}

}  // namespace

World::World(std::uint64_t seed, std::size_t steps, std::size_t keep_events)
    : journal(keep_events),
      model(kIdempotencyMs),
      namespaces(all_namespaces()),
      attempts(1),
      random_(seed),
      steps_left_(steps) {
  plan = draw(random_);
  std::vector<auth::Key> one;
  one.push_back(*auth::Key::from_secret("", auth::Algorithm::HS256, kSecret));
  keys = std::make_shared<const auth::KeyRing>(std::move(one), auth::JwksState::not_configured);
  for (hub::ShardId shard = 0; shard < plan.shards; ++shard) disks.push_back(std::make_unique<Disk>());
  open_server();
  for (std::size_t i = 0; i < plan.restarts; ++i) restarts_at_.insert(below(steps + 1));
  network_free_us_.assign(plan.shards, std::vector<std::int64_t>(plan.shards));
  for (std::size_t i = 0; i < plan.clients; ++i)
    clients.push_back(std::make_unique<Client>(*this, static_cast<int>(i)));
}

World::~World() = default;

void World::open_server() {
  limits.emplace_back();
  for (hub::ShardId shard = 0; shard < plan.shards; ++shard)
    shards.push_back(std::make_unique<Shard>(*this, shard));
}

// As after kill -9: what was in memory is gone, and what the log had taken on is done in part.
void World::restart() {
  journal.note(now_us(), "the server ends and is started anew");
  model.crashed();
  for (auto& shard : shards) {
    shard->die();
    dead_.push_back(std::move(shard));
  }
  shards.clear();
  calls_asked_ = calls_answered_;
  open_server();
  for (const auto& client : clients) client->server_ended();
}

std::string World::random_channel() {
  static constexpr const char* kNames[] = {"room:1", "room:2", "tiny:1",   "none:1", "high:1", "log:1",
                                           "log:2",  "open:1", "server:1", "room:1", "log:1",  "tiny:1"};
  if (chance(3)) return chance(50) ? "nowhere:1" : "$all";
  if (plan.deep && chance(40)) return chance(50) ? "vast:1" : "deep:1";
  if (plan.kinds && chance(75)) {
    static constexpr const char* kFolding[] = {"doc",  "mdoc",    "dash",  "mdash",  "user",  "box", "user",
                                               "chat", "session", "store", "upload", "agent", "run"};
    const std::string ns = kFolding[below(std::size(kFolding))];
    if (ns == "user" || ns == "box") return fmt::format("{}:{}", ns, 1 + below(4));
    const bool ends = ns == "store" || ns == "upload" || ns == "agent" || ns == "run";
    return fmt::format("{}:{}", ns, 1 + below(ends ? 3 + numbers_ / 300 : 1));
  }
  return kNames[below(std::size(kNames))];
}

std::string World::token(int user, std::int64_t live_ms) {
  auth::MintOptions options{.user = std::int64_t{user}, .secret = std::string(kSecret)};
  options.claims.push_back({"exp", std::to_string((schedule.now().unix_ms + live_ms) / 1000)});
  return *auth::mint(options, schedule.now());
}

bool World::take_step() {
  if (steps_left_ == 0) return false;
  --steps_left_;
  if (restarts_at_.contains(steps_left_)) schedule.after(1 + up_to(plan.pause_us), [this] { restart(); });
  return true;
}

// Between two shards mail keeps its order.
void World::send_between(hub::ShardId from, hub::ShardId to, std::vector<hub::Message>&& mail) {
  std::int64_t& free_us = network_free_us_[from][to];
  free_us = std::max(free_us, now_us() + 1 + up_to(plan.network_us));
  auto shared = std::make_shared<std::vector<hub::Message>>(std::move(mail));
  Shard* shard = shards[to].get();
  schedule.at(free_us, [from, shard, shared] { shard->deliver(from, std::move(*shared)); });
}

void World::tick() {
  for (const auto& shard : shards) shard->in_turn([at = shard.get()] { at->tick(); });
  limits.back().sweep(schedule.now().mono_ms());
  schedule.after(100'000, [this] { tick(); });
}

// What an operator's API does now and then.
void World::server_acts() {
  schedule.after(1 + up_to(20 * plan.pause_us), [this] {
    if (quiet || steps_left_ == 0) return;
    Shard& shard = *shards[below(shards.size())];
    shard.in_turn([this, &shard] {
      const hub::CallOrigin server{.tenant = 0, .caller = {.server = true}, .author = hub::server_author()};
      const auto answered = [this](auto&&) { ++calls_answered_; };
      ++calls_asked_;
      const auto dice = below(10);
      if (dice < 5) {
        --calls_asked_;
        const std::string channel = random_channel();
        const bool known = namespaces.find(channel.substr(0, channel.find(':'))) != nullptr;
        server_publishes(shard, channel, known ? random_event(*this, channel) : nlohmann::json{{"data", 1}});
      } else if (dice == 5) {
        shard.calls().history(server, {.channel = random_channel(), .after = {}, .before = {}, .epoch = {}},
                              answered);
      } else if (dice == 6) {
        shard.calls().ask_all(hub::ListChannels{.tenant = 0, .prefix = "", .after = "", .limit = 100},
                              answered);
      } else if (dice == 7) {
        shard.calls().ask_all(hub::CountThings{}, answered);
      } else if (dice == 8) {
        shard.calls().channel_info(server, random_channel(), answered);
      } else if (chance(30)) {
        shard.calls().ask_all(hub::DisconnectUser{.tenant = 0, .user_id = std::to_string(1 + below(4))},
                              answered);
      } else {
        shard.calls().presence(server, "room:1", answered);
      }
    });
    server_acts();
  });
}

void World::server_publishes(Shard& shard, const std::string& channel, const nlohmann::json& event) {
  const hub::CallOrigin server{.tenant = 0, .caller = {.server = true}, .author = hub::server_author()};
  protocol::PublishRequest request;
  request.channel = channel;
  const auto text = [&](const char* key) {
    return event.contains(key) ? event.at(key).dump() : std::string();
  };
  const std::string data = text("data"), merge = text("merge"), patch = text("patch");
  request.data = data;
  request.merge = merge;
  request.patch = patch;
  request.event = event.value("event", "");
  request.ephemeral = event.value("ephemeral", false);
  request.ttl_ms = event.value("ttl_ms", std::uint64_t{0});
  if (event.contains("if_seq")) request.if_seq = event.at("if_seq").get<std::uint64_t>();
  if (event.contains("priority"))
    request.priority = protocol::priority_named(event.at("priority").get<std::string>());
  ++calls_asked_;
  shard.calls().publish(server, std::move(request), schedule.now(), [this](auto&&) { ++calls_answered_; });
}

void World::run() {
  tick();
  for (const auto& client : clients) client->start();
  server_acts();
  const std::size_t half = steps_left_ / 2;
  while (steps_left_ > 0) {
    settle(100'000);
    if (plan.long_silence && steps_left_ < half) {
      plan.long_silence = false;
      if (chance(50))
        for (const auto& client : clients) client->leave();
      quiet = true;
      settle(std::int64_t{900} * 1'000'000);
      quiet = false;
      for (const auto& client : clients) client->start();
      server_acts();
    }
  }
  quiet = true;
  for (int i = 0; i < 20; ++i) {
    for (const auto& client : clients) client->behave();
    settle(5'000'000);
  }
  check_settled();
  check_snapshots();
  check_presence();
  check_empty();
}

// One more message for every channel; then everybody must have everything.
void World::check_settled() {
  for (const std::string& channel : model.channels()) {
    Shard& shard = *shards[below(shards.size())];
    shard.in_turn([this, &shard, channel] { server_publishes(shard, channel, last_event(*this, channel)); });
  }
  settle(20'000'000);
  for (const auto& client : clients) client->check_settled();
  require(calls_asked_ == calls_answered_, "{} of {} calls were answered", calls_answered_, calls_asked_);
  for (const auto& shard : shards) require(shard->calls().pending() == 0, "a call is still waiting");
}

// Every state is what all events of its channel come to.
void World::check_snapshots() {
  for (const std::string& channel : model.channels()) {
    const Life* life = model.current(channel);
    if (life == nullptr || life->ns->kind == hub::Kind::stream) continue;
    Shard& shard = *shards[below(shards.size())];
    bool answered = false;
    shard.in_turn([&] {
      const hub::CallOrigin server{.tenant = 0, .caller = {.server = true}, .author = hub::server_author()};
      shard.calls().snapshot(server, channel, [&](Result<hub::ChannelSnapshot> snapshot) {
        answered = true;
        require(snapshot.has_value(), "{} has no snapshot", channel);
        require(snapshot->epoch == life->epoch && snapshot->seq == life->latest(),
                "the snapshot of {} is of {} {}", channel, snapshot->epoch, snapshot->seq);
        const std::int64_t now_ms = schedule.now().unix_ms;
        const std::string differs =
            life->state_at(snapshot->seq)
                .differs(nlohmann::json::parse(snapshot->data.view()), now_ms - 2'000, now_ms);
        require(differs.empty(), "{} at {}: {}", channel, snapshot->seq, differs);
      });
    });
    settle(2'000'000);
    require(answered, "nobody told the snapshot of {}", channel);
  }
}

void World::check_presence() {
  using Json = nlohmann::json;
  for (const std::string& channel : model.channels()) {
    if (!channel.starts_with("room:") && !channel.starts_with("open:")) continue;
    std::map<std::string, int> expected;
    for (const auto& client : clients) {
      const auto entered = client->entered().find(channel);
      if (client->is_connected() && entered != client->entered().end()) ++expected[entered->second];
    }
    Shard& shard = *shards[below(shards.size())];
    std::string listed;
    shard.in_turn([&] {
      const hub::CallOrigin server{.tenant = 0, .caller = {.server = true}, .author = hub::server_author()};
      shard.calls().presence(server, channel, [&](Result<std::string> list) { listed = *list; });
    });
    settle(2'000'000);
    std::map<std::string, int> there;
    std::set<std::string> users;
    for (const Json& member : Json::parse(listed)) {
      const Json& user = member.at("user");
      there[user.is_null() ? "null" : user.at("id").dump()] += member.at("connections").get<int>();
      users.insert(user.dump());
    }
    require(there == expected, "{} lists {}, and {} users entered", channel, listed, expected.size());
    for (const auto& client : clients) {
      const auto seen = client->view().members(channel);
      if (!client->is_connected() || !client->watches_presence() || !seen) continue;
      std::string known;
      for (const std::string& user : *seen) known += user + ' ';
      require(*seen == users, "{} believes that {} are in {}, which lists {}", client->name(), known, channel,
              listed);
    }
  }
}

void World::check_empty() {
  for (const auto& client : clients) client->leave();
  settle(std::int64_t{70} * 1'000'000);
  for (const auto& shard : shards) {
    const hub::ShardCounts& counts = shard->sessions().counts();
    require(shard->connections() == 0 && counts.connections == 0 && counts.subscriptions == 0,
            "{} connections, {} sessions and {} subscriptions are left", shard->connections(),
            counts.connections, counts.subscriptions);
    require(shard->sessions().replicas() == 0 && shard->sessions().users() == 0,
            "{} replicas and {} users are left", shard->sessions().replicas(), shard->sessions().users());
  }
  settle(std::int64_t{700} * 1'000'000);
  for (const auto& shard : shards)
    require(shard->home().size() == 0, "{} channels are left where nobody is", shard->home().size());
}

}  // namespace tidewire::sim
