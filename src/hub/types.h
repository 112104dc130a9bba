// The words of the hub: who, where, which channel, and what a namespace decides. Values only.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/user_id.h"
#include "base/shared_name.h"
#include "base/slab.h"
#include "protocol/request.h"

namespace tidewire::hub {

using ShardId = std::uint16_t;
using TenantId = std::uint16_t;
using protocol::Position;
using protocol::Priority;
inline constexpr std::size_t kLanes = protocol::kPriorities;  // of deliveries, one per priority

// A channel's full name. Names never cross tenants.
struct ChannelKey {
  TenantId tenant = 0;
  SharedName name;
  friend bool operator==(const ChannelKey&, const ChannelKey&) = default;
};
static_assert(sizeof(ChannelKey) == 24);

// Clients choose names, so the hash is seeded: chosen collisions must not slow a shard down.
struct ChannelKeyHash {
  std::uint64_t seed = 0;
  std::size_t operator()(TenantId tenant, std::string_view name) const {
    return XXH3_64bits_withSeed(name.data(), name.size(), seed + tenant);
  }
  std::size_t operator()(const ChannelKey& key) const { return (*this)(key.tenant, key.name); }
};

// The shard that numbers a channel's messages. Every shard computes the same.
inline ShardId home_of(const ChannelKey& key, std::uint64_t seed, ShardId shards) {
  return static_cast<ShardId>((ChannelKeyHash{seed}(key) >> 32) % shards);
}

enum class Kind : std::uint8_t { stream, document, session, inbox, upload, agent };
std::string_view name_of(Kind kind);

enum class Durability : std::uint8_t { memory, disk };

// What becomes of a message that breaks a rule on content: nothing is looked for, it is delivered with
// `flags`, or it is refused.
enum class ContentPolicy : std::uint8_t { off, flag, reject };

// Who may do a thing in a namespace without a grant (protocol §7). `user` is whom the channel is named
// after; `owner` is for the channel's kind to say: its creator, or its members.
enum class Access : std::uint8_t { anyone, authenticated, server, user, owner };

// The namespace whose channels are the users' inboxes, `user:<id>`, where its kind is inbox.
inline constexpr std::string_view kInboxNamespace =
    auth::kInboxPrefix.substr(0, auth::kInboxPrefix.size() - 1);

struct Namespace {
  std::string name;
  Kind kind = Kind::stream;
  Durability durability = Durability::memory;
  std::size_t history_messages = 100;
  std::int64_t history_ttl_ms = 600'000;
  Access subscribe = Access::authenticated;
  Access publish = Access::authenticated;
  bool presence = false;
  Priority priority = Priority::medium;
  std::int64_t conflate_ms = 0;  // 0: off
  bool open_join = false;        // a session that every user may join
  std::int64_t idle_timeout_ms = 60'000;
  ContentPolicy content_policy = ContentPolicy::off;
};

// What the namespace's rules and grants say of a caller; what belongs to a channel's owner is decided at
// its home.
struct Rights {
  bool server = false;  // an API key
  bool subscribe = false;
  bool publish = false;
};

// Who speaks, as other shards and other clients see it. Made once per identity of a connection.
struct Author {
  std::string user_id;           // empty: anonymous or the server
  std::string id_json = {};      // the id as the token spelled it
  std::string user_json;         // {"id","type"} as members and `from` show it; "null" when anonymous
  std::string from_json;         // the delivery's `from`; empty for an API key
  std::string scope;             // whose idempotency keys and presence these are; unique per user, or per
                                 // connection when anonymous
  std::uint64_t connection = 0;  // 0: none (HTTP)
};

// Where the answer to a command goes on the shard that sent it: a session's reply slot, a call, or a
// session that did not ask, a channel's home, or nobody.
struct ReplyTo {
  enum class Kind : std::uint8_t { session, call, notice, home, nobody };
  Kind kind = Kind::session;
  Handle target;
  std::uint32_t slot = 0;
};

}  // namespace tidewire::hub
