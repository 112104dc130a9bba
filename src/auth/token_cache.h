// Tokens whose signature was verified, so that it is done once per token and not once per connection.
//
// Holds only what a signature proves; expiry and revocation are judged again at every use. Bounded by
// entries and bytes: the least recently used go first, one at a time. Owned by one Verifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "auth/identity.h"
#include "auth/token_digest.h"
#include "base/index_table.h"
#include "base/slab.h"

namespace tidewire::auth {

struct CachedToken {
  IdentityPtr identity;
  MaybeTime not_before_ms = {};
};

class TokenCache {
 public:
  TokenCache(std::size_t max_entries, std::size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes), entries_(std::make_unique<Slab<Entry>>()) {}

  // Null where the token is not known, or was verified with keys of an earlier generation. Valid until
  // the next call.
  const CachedToken* find(const TokenDigest& digest, std::uint64_t generation);

  // `bytes` is what the entry is taken to weigh.
  void insert(const TokenDigest& digest, std::uint64_t generation, CachedToken token, std::size_t bytes);
  void erase(const TokenDigest& digest);
  std::size_t size() const { return entries_->size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::uint32_t kNone = IndexTable::kNone;
  // Entries stand in a list, the most recently used one first, by their places in the slab.
  struct Entry {
    TokenDigest digest;
    CachedToken token;
    std::uint32_t generation = 0;
    std::uint32_t bytes = 0;
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
  };

  std::uint32_t place_of(const TokenDigest& digest) const;
  Entry& at(std::uint32_t place) { return *entries_->get(entries_->handle_at(place)); }
  void link_first(std::uint32_t place);
  void unlink(std::uint32_t place);
  void drop(std::uint32_t place);

  std::size_t max_entries_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::unique_ptr<Slab<Entry>> entries_;
  IndexTable by_digest_;
  std::uint32_t first_ = kNone;
  std::uint32_t last_ = kNone;
};

}  // namespace tidewire::auth
