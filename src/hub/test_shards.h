// Shards of the hub without sockets, network or clock, for tests: what every connection is sent stands
// in a list, envelopes travel when the test says so, and the time is a number.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/key_ring.h"
#include "auth/mint.h"
#include "hub/dispatch_message.h"
#include "hub/home.h"
#include "hub/publish.h"
#include "hub/sessions.h"
#include "log/memory/memory_log.h"

namespace tidewire::hub {

inline constexpr std::uint64_t kTestSeed = 5;
inline constexpr std::string_view kTestSecret = "a-secret-of-the-tests-which-is-long-enough";

inline std::vector<Namespace> test_namespaces() {
  const auto named = [](std::string name) { return Namespace{.name = std::move(name)}; };
  Namespace room = named("room");
  room.presence = true;
  Namespace open = named("open");
  open.subscribe = open.publish = Access::anyone;
  Namespace server = named("server");
  server.publish = Access::server;
  Namespace secret = named("secret");
  secret.subscribe = secret.publish = Access::server;
  Namespace tiny = named("tiny");
  tiny.history_messages = 3;
  Namespace high = named("high");
  high.priority = Priority::critical;
  Namespace stored = named("log");
  stored.durability = Durability::disk;
  const auto of_kind = [](std::string name, Kind kind, Durability durability) {
    return Namespace{.name = std::move(name), .kind = kind, .durability = durability};
  };
  Namespace board = of_kind("board", Kind::document, Durability::disk);
  board.conflate_ms = 100;
  Namespace inbox = of_kind(std::string(kInboxNamespace), Kind::inbox, Durability::disk);
  inbox.subscribe = Access::user;
  inbox.publish = Access::authenticated;
  Namespace session = of_kind("session", Kind::session, Durability::disk);
  session.subscribe = session.publish = Access::owner;
  session.presence = true;
  Namespace agent = of_kind("agent", Kind::agent, Durability::memory);
  agent.subscribe = agent.publish = Access::owner;
  Namespace few = of_kind("few", Kind::document, Durability::disk);
  few.history_messages = 10;
  return {named("default"),
          room,
          open,
          server,
          secret,
          tiny,
          high,
          stored,
          of_kind("doc", Kind::document, Durability::disk),
          board,
          inbox,
          session,
          agent,
          few};
}

// What the log says of an append that it could not make safe.
inline log::Outcome append_fails(const log::Operation& operation) {
  const auto& append = std::get<log::Append>(operation);
  return log::Failed{.channel = append.channel,
                     .what = log::Failed::What::append,
                     .number = append.number,
                     .error = fail(ErrorCode::unavailable).error()};
}

// Requests without an `id`; `rest` is what else stands in them.
inline std::string publish_to(const std::string& channel, const std::string& rest) {
  return R"({"type":"publish","channel":")" + channel + "\"," + rest + "}";
}
inline std::string subscribe_to(const std::string& channel, const std::string& rest = {}) {
  return R"({"type":"subscribe","channel":")" + channel + "\"" + rest + "}";
}

// A connection's end as a test sees it.
class TestOutbound final : public Outbound {
 public:
  struct Peer {
    std::vector<std::string> sent;  // everything, in order
    bool full = false;              // push() refuses
    bool wants_drained = false;
    std::string closed;  // "1008 token_expired"
    std::vector<Handle> dropped;
    std::vector<Handle> hurried;
  };

  Peer& operator[](Handle connection) { return peers_[connection]; }
  std::size_t keys_fetched = 0;

  void send(Handle connection, std::string_view json) override { peers_[connection].sent.emplace_back(json); }
  bool push(Handle connection, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
            Lane) override {
    Peer& peer = peers_[connection];
    if (peer.full) return false;
    for (std::size_t i = first; i < last; ++i) peer.sent.emplace_back(batch.json(i));
    return true;
  }
  void drop(Handle connection, Lane lane) override { peers_[connection].dropped.push_back(lane.channel); }
  void hurry(Handle connection, Lane lane) override { peers_[connection].hurried.push_back(lane.channel); }
  void notify_when_drained(Handle connection) override { peers_[connection].wants_drained = true; }
  void close(Handle connection, std::uint16_t code, std::string_view reason) override {
    peers_[connection].closed = std::to_string(code) + " " + std::string(reason);
  }
  void deadline_changed(Handle) override {}
  void fetch_keys(TenantId, std::string_view) override { ++keys_fetched; }

 private:
  std::map<Handle, Peer> peers_;
};

class TestShards {
 public:
  explicit TestShards(ShardId count = 1, SessionOptions session_options = {},
                      TenantLimits tenant_limits = unlimited())
      : namespaces(test_namespaces()) {
    std::vector<auth::Key> keys;
    keys.push_back(*auth::Key::from_secret("", auth::Algorithm::HS256, kTestSecret));
    const auto ring = std::make_shared<const auth::KeyRing>(std::move(keys), auth::JwksState::not_configured);
    tenants.push_back({.id = 0,
                       .name = "default",
                       .limits = tenant_limits,
                       .verifier = auth::Verifier({}, ring, std::make_shared<auth::RevocationList>())});
    for (ShardId self = 0; self < count; ++self) {
      session_options.self = self;
      session_options.shards = count;
      session_options.hash_seed = kTestSeed;
      shards_.push_back(std::make_unique<Shard>(*this, self, session_options));
    }
  }

  static TenantLimits unlimited() {
    TenantLimits none;
    none.guard.messages_per_minute = 0;
    return none;
  }
  static auth::IdentityPtr user(std::string id) {
    return auth::IdentityPtr::make(auth::Identity{.user_id = std::move(id)});
  }
  std::string token(std::string id, std::int64_t live_ms) const {
    auth::MintOptions options{.user = std::move(id), .secret = std::string(kTestSecret)};
    options.claims.push_back({"exp", std::to_string((now.unix_ms + live_ms) / 1000)});
    return *auth::mint(options, now);
  }

  // A channel of the namespace whose home is this shard.
  std::string channel_at(ShardId shard, const std::string& ns = "room") const {
    for (int i = 0;; ++i) {
      const std::string name = ns + ":" + std::to_string(i);
      if (home_of({0, name}, kTestSeed, static_cast<ShardId>(shards_.size())) == shard) return name;
    }
  }

  struct Peer {
    ShardId shard;
    Handle handle;
  };
  // Opens a connection, which follows its inbox itself if at all; what it was sent so far is forgotten.
  Peer open(auth::IdentityPtr identity = user("u"), ShardId shard = 0, bool manual_inbox = true) {
    const Peer peer{shard, {static_cast<std::uint32_t>(next_handle_++), 1}};
    sessions(shard).open(peer.handle,
                         {.tenant = 0,
                          .connection_id = next_handle_,
                          .identity = std::move(identity),
                          .address = {},
                          .manual_inbox = manual_inbox},
                         now);
    hello = take(peer);
    return peer;
  }
  void close(Peer peer) { sessions(peer.shard).close(peer.handle, now); }

  Sessions& sessions(ShardId shard = 0) { return shards_[shard]->sessions; }
  Home& home(ShardId shard = 0) { return shards_[shard]->home; }
  TestOutbound::Peer& at(Peer peer) { return shards_[peer.shard]->outbound[peer.handle]; }
  TestOutbound& outbound(ShardId shard = 0) { return shards_[shard]->outbound; }

  // Hands a message in, and nothing more; it waits while something of an earlier one does.
  Sessions::Taken say(Peer peer, const std::string& text) {
    take_input(peer);
    if (!input_[peer.handle].second.empty() || sessions(peer.shard).has_rest(peer.handle)) {
      input_[peer.handle] = {peer, std::move(input_[peer.handle].second)};
      input_[peer.handle].second.push_back(text);
      return Sessions::Taken::yes;
    }
    input_[peer.handle].first = peer;
    const auto taken = sessions(peer.shard).on_text(peer.handle, text, now);
    take_input(peer);
    return taken;
  }
  // As much of what was said as may be carried out; true when that was something.
  bool take_input(Peer peer) {
    Sessions& taker = sessions(peer.shard);
    std::deque<std::string>& waiting = input_[peer.handle].second;
    bool took = false;
    while ((taker.has_rest(peer.handle) || !waiting.empty()) && taker.can_take(peer.handle)) {
      took = true;
      if (taker.has_rest(peer.handle)) {
        taker.take_rest(peer.handle, now);
        continue;
      }
      const std::string text = std::move(waiting.front());
      waiting.pop_front();
      taker.on_text(peer.handle, text, now);
    }
    return took;
  }
  // Hands it in and lets everything come to rest; answers what the peer was sent.
  std::vector<std::string> ask(Peer peer, const std::string& text) {
    say(peer, text);
    run();
    return take(peer);
  }
  std::vector<std::string> take(Peer peer) { return std::exchange(at(peer).sent, {}); }
  // The codes and types that a reply is about, for short comparisons.
  std::string code_of(Peer peer, const std::string& text) {
    const auto sent = ask(peer, text);
    if (sent.size() != 1) return "sent " + std::to_string(sent.size());
    const auto at = sent[0].find("\"code\":\"");
    return at == std::string::npos ? "taken" : sent[0].substr(at + 8, sent[0].find('"', at + 8) - at - 8);
  }

  // Carries envelopes to one shard; `most` of them, in order per pair.
  void carry(ShardId to, std::size_t most = ~std::size_t{0}) {
    while (most-- > 0 && !mail_[to].empty()) {
      Envelope envelope = std::move(mail_[to].front());
      mail_[to].pop_front();
      dispatch(to, std::move(envelope));
    }
  }
  void flush() {
    for (const auto& shard : shards_) shard->sessions.flush();
  }
  // Until nothing moves; the log answers at once unless it is held.
  void run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (ShardId shard = 0; shard < shards_.size(); ++shard) {
        moved |= !mail_[shard].empty();
        carry(shard);
        if (!log_held) moved |= work_log(shard);
      }
      for (const auto& [handle, input] : std::map(input_)) moved |= take_input(input.first);
    }
    flush();
    // Handing over may have caused catch-ups.
    for (const auto& [shard, mail] : mail_)
      if (!mail.empty()) return run();
    for (const auto& shard : shards_)
      if (shard->sessions.has_more()) return run();
  }
  // The log carries out what was submitted; true when there was something.
  bool work_log(ShardId shard) {
    auto operations = std::exchange(shards_[shard]->operations, {});
    if (operations.empty()) return false;
    shards_[shard]->log.submit(shard, std::move(operations), now.unix_ms);
    for (log::Outcome& outcome : std::exchange(shards_[shard]->outcomes, {}))
      home(shard).handle(std::move(outcome), now);
    return true;
  }
  std::vector<log::Operation>& operations(ShardId shard = 0) { return shards_[shard]->operations; }
  // The log has been given one append, and can't make it safe.
  void fail_append(ShardId shard = 0) {
    const auto given = std::exchange(operations(shard), {});
    ASSERT_EQ(given.size(), 1u);
    home(shard).handle(append_fails(given[0]), now);
  }
  void drained(Peer peer) {
    at(peer).full = false;
    at(peer).wants_drained = false;
    sessions(peer.shard).on_drained(peer.handle, now);
    run();
  }
  void pass(std::int64_t ms) {
    now.mono_us += ms * 1000;
    now.unix_ms += ms;
  }
  void tick() {
    for (const auto& shard : shards_) {
      shard->home.tick(now);
      shard->home.show_due(now);
    }
    run();
  }

  Time now{.mono_us = 1'000'000, .unix_ms = 1'762'907'000'000};
  Namespaces namespaces;
  Tenants tenants;
  guard::SharedLimits limits;
  guard::Attempts attempts{1};
  std::vector<std::string> hello;
  bool log_held = false;
  std::vector<std::pair<ShardId, Message>> for_nobody;  // answers that no session asked for

 private:
  struct Shard {
    Shard(TestShards& all, ShardId self, const SessionOptions& options)
        : home(
              {.self = self, .shards = options.shards, .hash_seed = kTestSeed}, all.namespaces, self + 1u,
              [&all, self](ShardId to, Message&& message) {
                all.mail_[to].push_back({self, std::move(message)});
              },
              [this](log::Operation&& operation) { operations.push_back(std::move(operation)); }),
          sessions(options, all.namespaces, all.tenants,
                   {.limits = all.limits, .attempts = all.attempts, .keys = guard::LimitKeys(1)}, outbound,
                   [&all, self](ShardId to, Message&& message) {
                     all.mail_[to].push_back({self, std::move(message)});
                   }),
          log([this](log::Outcome&& outcome) { outcomes.push_back(std::move(outcome)); }) {}
    TestOutbound outbound;
    Home home;
    Sessions sessions;
    log::MemoryLog log;
    std::vector<log::Operation> operations;
    std::vector<log::Outcome> outcomes;
  };

  void dispatch(ShardId to, Envelope&& envelope) {
    struct Nobody {
      TestShards& all;
      ShardId at;
      void handle(const ReplyTo&, Message&& answer) { all.for_nobody.emplace_back(at, std::move(answer)); }
    } nobody{*this, to};
    dispatch_message(
        home(to), sessions(to), nobody,
        [&](ShardId asker, Ask&& ask) {
          if (auto* list = std::get_if<ListChannels>(&ask.question))
            return home(to).answer_list(asker, ask.reply, std::move(*list));
          mail_[asker].push_back(
              {to, Answer{.reply = ask.reply, .part = sessions(to).answer(ask.question, now)}});
        },
        envelope.from, std::move(envelope.message), now);
  }

  std::vector<std::unique_ptr<Shard>> shards_;
  std::map<ShardId, std::deque<Envelope>> mail_;
  std::map<Handle, std::pair<Peer, std::deque<std::string>>> input_;  // said, and not taken yet
  std::uint64_t next_handle_ = 1;
};

}  // namespace tidewire::hub
