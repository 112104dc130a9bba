#include "auth/key_ring.h"

#include "base/check.h"

namespace tidewire::auth {

namespace {

void append_fingerprints(std::string& out, const std::vector<Key>& keys) {
  for (const Key& key : keys)
    out.append(reinterpret_cast<const char*>(key.fingerprint().data()), key.fingerprint().size());
}

}  // namespace

KeyRing::KeyRing(std::vector<Key> static_keys, JwksState jwks)
    : static_keys_(std::move(static_keys)), jwks_(jwks) {
  TIDEWIRE_CHECK(jwks != JwksState::fetched);
  take_fingerprint();
}

std::shared_ptr<const KeyRing> KeyRing::with_jwks(std::vector<Key> keys) const {
  auto ring = std::make_shared<KeyRing>(*this);
  ring->jwks_keys_ = std::move(keys);
  ring->jwks_ = JwksState::fetched;
  ring->take_fingerprint();
  return ring;
}

std::vector<const Key*> KeyRing::candidates(const std::optional<std::string>& kid, Algorithm algorithm,
                                            Nameless nameless) const {
  std::vector<const Key*> found;
  for (const std::vector<Key>* keys : {&static_keys_, &jwks_keys_}) {
    for (const Key& key : *keys) {
      if (found.size() == kMaxCandidates) return found;
      if (!key.algorithms().contains(algorithm)) continue;
      const bool named = key.kid().empty() ? nameless == Nameless::always : kid && key.kid() == *kid;
      if (!kid || named) found.push_back(&key);
    }
  }
  return found;
}

bool KeyRing::knows(std::string_view kid) const {
  const auto named = [&](const Key& key) { return key.kid() == kid; };
  return std::any_of(static_keys_.begin(), static_keys_.end(), named) ||
         std::any_of(jwks_keys_.begin(), jwks_keys_.end(), named);
}

void KeyRing::take_fingerprint() {
  fingerprint_.clear();
  append_fingerprints(fingerprint_, static_keys_);
  fingerprint_.push_back('|');
  append_fingerprints(fingerprint_, jwks_keys_);
}

}  // namespace tidewire::auth
