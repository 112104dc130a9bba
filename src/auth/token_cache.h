// Tokens whose signature was verified, so that it is done once per token and not once per connection.
//
// Holds only what a signature proves; expiry and revocation are judged again at every use. Bounded by
// entries and bytes: the least recently used go first, one at a time. Owned by one Verifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "auth/identity.h"
#include "auth/token_digest.h"

namespace tidewire::auth {

struct CachedToken {
  std::shared_ptr<const Identity> identity;
  std::optional<std::int64_t> not_before_ms = {};
};

class TokenCache {
 public:
  TokenCache(std::size_t max_entries, std::size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes) {}

  // Null where the token is not known, or was verified with keys of an earlier generation. Valid until
  // the next call.
  const CachedToken* find(const TokenDigest& digest, std::uint64_t generation);

  // `bytes` is what the entry is taken to weigh.
  void insert(const TokenDigest& digest, std::uint64_t generation, CachedToken token, std::size_t bytes);
  void erase(const TokenDigest& digest);
  std::size_t size() const { return by_digest_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    TokenDigest digest;
    std::uint64_t generation;
    CachedToken token;
    std::size_t bytes;
  };
  struct Hash {
    std::size_t operator()(const TokenDigest& digest) const { return digest.low; }
  };
  using Entries = std::list<Entry>;  // most recently used first

  void drop(Entries::iterator entry);

  std::size_t max_entries_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  Entries entries_;
  std::unordered_map<TokenDigest, Entries::iterator, Hash> by_digest_;
};

}  // namespace tidewire::auth
