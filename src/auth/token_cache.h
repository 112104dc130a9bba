// Tokens whose signature was verified, so that it is done once per token and not once per connection.
//
// Holds only what a signature proves; expiry and revocation are judged again at every use. (`nbf` is not: a
// token that was good once is not too early later.) Bounded by entries and bytes: the least recently used
// go first, one at a time. Owned by one Verifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "auth/identity.h"
#include "auth/token_digest.h"
#include "base/index_table.h"
#include "base/slab.h"

namespace tidewire::auth {

class TokenCache {
 public:
  TokenCache(std::size_t max_entries, std::size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes), entries_(std::make_unique<Slab<Entry>>()) {}

  // Null where the token is not known.
  IdentityPtr find(const TokenDigest& digest);
  void insert(const TokenDigest& digest, IdentityPtr identity);
  void erase(const TokenDigest& digest);
  std::size_t size() const { return entries_->size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::uint32_t kNone = IndexTable::kNone;
  // Entries stand in a list, the most recently used one first, by their places in the slab.
  struct Entry {
    TokenDigest digest;
    IdentityPtr identity;
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
  };
  static_assert(sizeof(Entry) == 32, "a connection with a token of its own brings one");

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
