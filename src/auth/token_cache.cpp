#include "auth/token_cache.h"

namespace tidewire::auth {

namespace {
// A digest is a hash that nobody outside can aim.
std::uint32_t hash_of(const TokenDigest& digest) { return static_cast<std::uint32_t>(digest.low); }

// What an entry is taken to weigh.
std::size_t bytes_of(const Identity& identity) {
  std::size_t bytes = sizeof(Identity) + identity.user_id.size() + identity.name.size() + 256;
  for (const Grant& grant : identity.grants) bytes += sizeof(Grant) + grant.channels.size();
  return bytes;
}
}  // namespace

std::uint32_t TokenCache::place_of(const TokenDigest& digest) const {
  return by_digest_.find(hash_of(digest),
                         [&](std::uint32_t place) { return entries_->at(place).digest == digest; });
}

IdentityPtr TokenCache::find(const TokenDigest& digest) {
  const std::uint32_t place = place_of(digest);
  if (place == kNone) return nullptr;
  unlink(place);
  link_first(place);
  return at(place).identity;
}

void TokenCache::insert(const TokenDigest& digest, IdentityPtr identity) {
  erase(digest);
  const std::size_t bytes = bytes_of(*identity);
  if (max_entries_ == 0 || bytes > max_bytes_) return;
  while (last_ != kNone && (size() >= max_entries_ || bytes_ + bytes > max_bytes_)) drop(last_);
  const Handle handle = entries_->emplace(Entry{.digest = digest, .identity = std::move(identity)});
  link_first(handle.index);
  by_digest_.insert(hash_of(digest), handle.index);
  bytes_ += bytes;
}

void TokenCache::erase(const TokenDigest& digest) {
  if (const std::uint32_t place = place_of(digest); place != kNone) drop(place);
}

void TokenCache::link_first(std::uint32_t place) {
  Entry& entry = at(place);
  entry.previous = kNone;
  entry.next = first_;
  if (first_ != kNone)
    at(first_).previous = place;
  else
    last_ = place;
  first_ = place;
}

void TokenCache::unlink(std::uint32_t place) {
  const Entry& entry = at(place);
  if (entry.previous != kNone)
    at(entry.previous).next = entry.next;
  else
    first_ = entry.next;
  if (entry.next != kNone)
    at(entry.next).previous = entry.previous;
  else
    last_ = entry.previous;
}

void TokenCache::drop(std::uint32_t place) {
  bytes_ -= bytes_of(*at(place).identity);
  by_digest_.erase(hash_of(at(place).digest), place);
  unlink(place);
  entries_->erase(entries_->handle_at(place));
}

}  // namespace tidewire::auth
