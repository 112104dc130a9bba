#include "auth/token_cache.h"

namespace tidewire::auth {

const CachedToken* TokenCache::find(const TokenDigest& digest, std::uint64_t generation) {
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return nullptr;
  if (found->second->generation != generation) {
    drop(found->second);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return &found->second->token;
}

void TokenCache::insert(const TokenDigest& digest, std::uint64_t generation, CachedToken token,
                        std::size_t bytes) {
  erase(digest);
  if (max_entries_ == 0 || bytes > max_bytes_) return;
  while (!entries_.empty() && (by_digest_.size() >= max_entries_ || bytes_ + bytes > max_bytes_))
    drop(std::prev(entries_.end()));
  entries_.push_front({digest, generation, std::move(token), bytes});
  by_digest_.emplace(digest, entries_.begin());
  bytes_ += bytes;
}

void TokenCache::erase(const TokenDigest& digest) {
  const auto found = by_digest_.find(digest);
  if (found != by_digest_.end()) drop(found->second);
}

void TokenCache::drop(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_digest_.erase(entry->digest);
  entries_.erase(entry);
}

}  // namespace tidewire::auth
