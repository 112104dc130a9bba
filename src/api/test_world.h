// A server in one thread for the router's tests: two shards with homes and sessions, an in-memory queue
// between them, tokens and API keys. No socket, no clock.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/router.h"
#include "auth/mint.h"
#include "base/development.h"
#include "hub/calls.h"
#include "hub/dispatch_message.h"
#include "hub/home.h"
#include "hub/sessions.h"

namespace tidewire::api {

inline constexpr std::int64_t kUnixMs = 1'762'907'034'678;

struct Answer : wire::HttpAnswer {
  std::string field(std::string_view name) const {
    std::string all;
    for (const auto& [key, value] : fields)
      if (key == name) all += all.empty() ? value : ", " + value;
    return all;
  }
};

// Takes what sessions send, per connection.
class Mailbags final : public hub::Outbound {
 public:
  struct Bag {
    std::vector<std::string> messages;
    std::string closed;  // "1000 disconnected"
  };
  Bag& of(Handle connection) { return bags_[connection.index]; }

  void send(Handle connection, std::string_view json) override { of(connection).messages.emplace_back(json); }
  bool push(Handle connection, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
            Lane) override {
    for (std::size_t i = first; i < last; ++i) of(connection).messages.emplace_back(batch.json(i));
    return true;
  }
  void drop(Handle, Lane) override {}
  void hurry(Handle, Lane) override {}
  void notify_when_drained(Handle) override {}
  void close(Handle connection, std::uint16_t code, std::string_view reason) override {
    of(connection).closed = std::to_string(code) + " " + std::string(reason);
  }
  void deadline_changed(Handle) override {}
  void fetch_keys(hub::TenantId, std::string_view) override {}

 private:
  std::map<std::uint32_t, Bag> bags_;
};

class World {
 public:
  static constexpr hub::ShardId kShards = 2;
  static constexpr std::uint64_t kSeed = 42;

  enum class Directory : bool { none, asked };
  static constexpr hub::TenantId kRemote = 2;  // a tenant whose keys nobody has yet

  explicit World(Options options = {}, Hooks hooks = {}, Directory directory = Directory::none) {
    if (directory == Directory::asked) shared.users = &known_users;
    add_tenant("default", std::string(kDevelopmentSecret));
    add_tenant("acme", "the secret of acme");
    add_tenant("remote", "", auth::JwksState::never_fetched);
    for (hub::ShardId self = 0; self < kShards; ++self) {
      const auto post = [this, self](hub::ShardId to, hub::Message&& message) {
        queue_.push_back({to, {self, std::move(message)}});
      };
      shards_[self].home =
          std::make_unique<hub::Home>(hub::HomeOptions{.self = self, .shards = kShards, .hash_seed = kSeed},
                                      namespaces, self, post, [](log::Operation&&) {
                                        TIDEWIRE_CHECK(false);  // the world's namespaces are in memory
                                      });
      shards_[self].sessions = std::make_unique<hub::Sessions>(
          hub::SessionOptions{
              .self = self, .shards = kShards, .hash_seed = kSeed, .anonymous_capabilities = {}},
          namespaces, tenants, shared, shards_[self].bags, post);
      if (self == 0) calls = std::make_unique<hub::Calls>(kShards, kSeed, namespaces, post);
    }
    if (options.keys.empty())
      options.keys = {{"tw_all", kAllScopes, 0},
                      {"tw_publish", static_cast<std::uint8_t>(Scope::publish), 0},
                      {"tw_read", static_cast<std::uint8_t>(Scope::read), 0},
                      {"tw_acme", kAllScopes, 1}};
    if (options.version.empty()) options.version = "1.2.3";
    router = std::make_unique<Router>(std::move(options), *calls, *shards_[0].sessions, tenants, shared,
                                      std::move(hooks), now);
  }

  // ---- requests ----

  struct Ask {
    std::string method = "GET";
    std::string target;
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> fields = {};
  };
  static wire::HttpRequest request_of(const Ask& ask) {
    wire::HttpRequest request;
    request.method = ask.method;
    request.target = ask.target;
    const std::size_t mark = std::min(ask.target.find('?'), ask.target.size());
    request.path = ask.target.substr(0, mark);
    request.query = mark < ask.target.size() ? ask.target.substr(mark + 1) : "";
    request.body = ask.body;
    request.headers.add("Host", "tide.example");
    for (const auto& [name, value] : ask.fields) request.headers.add(name, value);
    return request;
  }
  // Starts a request; the answer, if it has come.
  std::shared_ptr<std::optional<Answer>> start(const Ask& ask) {
    auto slot = std::make_shared<std::optional<Answer>>();
    const wire::HttpRequest request = request_of(ask);
    router->handle(request, client, now, [slot](wire::HttpAnswer answer) {
      EXPECT_FALSE(slot->has_value()) << "answered twice";
      *slot = Answer{std::move(answer)};
    });
    return slot;
  }
  Answer send(const Ask& ask) {
    const auto slot = start(ask);
    run();
    EXPECT_TRUE(slot->has_value()) << ask.target << " was not answered";
    return slot->value_or(Answer{});
  }
  Answer get(std::string target, std::string key = "tw_all") {
    return send({.target = std::move(target), .fields = {{"X-API-Key", std::move(key)}}});
  }
  Answer post(std::string target, std::string body, std::string key = "tw_all") {
    return send({"POST", std::move(target), std::move(body), {{"X-API-Key", std::move(key)}}});
  }
  Answer as(const std::string& token, std::string method, std::string target, std::string body = {}) {
    return send(
        {std::move(method), std::move(target), std::move(body), {{"Authorization", "Bearer " + token}}});
  }

  // ---- users ----

  std::string token(auth::MintUser user, std::vector<auth::MintGrant> grants = {},
                    std::string secret = std::string(kDevelopmentSecret)) const {
    return auth::mint({.user = std::move(user),
                       .type = {},
                       .ttl_s = 3'600,
                       .secret = std::move(secret),
                       .kid = {},
                       .tenant = {},
                       .grants = std::move(grants),
                       .claims = {}},
                      now)
        .value();
  }
  struct Client {
    hub::ShardId shard;
    Handle connection;
  };
  Client connect(hub::ShardId shard, std::optional<auth::MintUser> user, hub::TenantId tenant = 0) {
    const Client opened{shard, {++connections_, 1}};
    hub::Opening opening{.tenant = tenant, .connection_id = connections_, .identity = nullptr, .address = {}};
    if (user) {
      const std::string secret = tenant == 0 ? std::string(kDevelopmentSecret) : "the secret of acme";
      opening.identity = tenants[tenant].verifier.verify(token(*user, {}, secret), now).value();
    }
    shards_[shard].sessions->open(opened.connection, std::move(opening), now);
    run();
    return opened;
  }
  void say(const Client& who, std::string_view text) {
    shards_[who.shard].sessions->on_text(who.connection, text, now);
    run();
  }
  Mailbags::Bag& bag(const Client& who) { return shards_[who.shard].bags.of(who.connection); }

  // Carries out everything that is posted, until nothing is left.
  void run() {
    while (!queue_.empty()) {
      auto [to, envelope] = std::move(queue_.front());
      queue_.pop_front();
      Shard& there = shards_[to];
      hub::dispatch_message(
          *there.home, *there.sessions, *calls,
          [&](hub::ShardId from, hub::Ask&& ask) { answer(there, to, from, std::move(ask)); }, envelope.from,
          std::move(envelope.message), now);
      for (Shard& shard : shards_) shard.sessions->flush();
    }
  }

  void add_tenant(std::string name, std::string secret,
                  auth::JwksState jwks = auth::JwksState::not_configured) {
    std::vector<auth::Key> keys;
    if (!secret.empty()) keys.push_back(auth::Key::from_secret("", auth::Algorithm::HS256, secret).value());
    auth::VerifierOptions verifier;
    verifier.tenant = name;
    const auto id = static_cast<hub::TenantId>(tenants.size());
    tenants.push_back(
        {.id = id,
         .name = name,
         .limits = {},
         .verifier = auth::Verifier(verifier, std::make_shared<const auth::KeyRing>(std::move(keys), jwks),
                                    revocations)});
  }

  Time now{.mono_us = 1'000'000'000, .unix_ms = kUnixMs};
  IpAddress client = *IpAddress::parse("192.0.2.7");
  hub::Namespaces namespaces{
      {{.name = "room", .presence = true},
       {.name = "public", .subscribe = hub::Access::anyone, .publish = hub::Access::server},
       {.name = "default", .presence = true},
       {.name = "doc", .kind = hub::Kind::document},
       {.name = "user",
        .kind = hub::Kind::inbox,
        .subscribe = hub::Access::user,
        .publish = hub::Access::server}}};
  std::shared_ptr<auth::RevocationList> revocations = std::make_shared<auth::RevocationList>();
  hub::Tenants tenants;
  guard::SharedLimits limits;
  guard::Attempts attempts{kSeed};
  guard::KnownUsers known_users{guard::KnownUsersOptions{}};
  hub::Sessions::Shared shared{.limits = limits, .attempts = attempts, .keys = guard::LimitKeys(kSeed)};
  std::unique_ptr<hub::Calls> calls;
  std::unique_ptr<Router> router;
  std::int64_t round_trip_us = -1;  // of every connection

 private:
  struct Shard {
    Mailbags bags;
    std::unique_ptr<hub::Home> home;
    std::unique_ptr<hub::Sessions> sessions;
  };

  void answer(Shard& shard, hub::ShardId self, hub::ShardId from, hub::Ask&& ask) {
    if (auto* list = std::get_if<hub::ListChannels>(&ask.question))
      return shard.home->answer_list(from, ask.reply, std::move(*list));
    hub::AnswerPart part = shard.sessions->answer(ask.question, now);
    for (hub::ConnectionInfo& info : part.connections)
      if (round_trip_us >= 0) info.health.note_round_trip(round_trip_us);
    if (std::holds_alternative<hub::CountThings>(ask.question)) {
      part.counts.channels = shard.home->size();
      for (std::size_t i = 0; i < shard.home->sizes().size(); ++i)
        part.tenants[i].channels = shard.home->sizes()[i];
    }
    if (const auto* count = std::get_if<hub::CountThings>(&ask.question); count && count->window_us) {
      part.analytics = std::make_shared<hub::Analytics>(
          shard.sessions->recent().over(*count->window_us, part.tenants, now));
      if (self == 0) part.analytics->calls_counted = router->answered().by_route();
    }
    queue_.push_back({from, {self, hub::Answer{.reply = ask.reply, .part = std::move(part)}}});
  }

  std::array<Shard, kShards> shards_;
  std::deque<std::pair<hub::ShardId, hub::Envelope>> queue_;
  std::uint32_t connections_ = 0;
};

}  // namespace tidewire::api
