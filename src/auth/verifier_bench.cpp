// What a token costs: from the cache, and verified anew by algorithm.
#include <benchmark/benchmark.h>

#include "auth/jwt.h"
#include "auth/test_signer.h"
#include "auth/verifier.h"

namespace tidewire::auth {
namespace {

constexpr Time kNow{.mono_us = 0, .unix_ms = 1'762'907'034'000};
constexpr std::string_view kClaims =
    R"({"iss":"https://issuer.example","sub":"123e4567-e89b-12d3-a456-426614174000","aud":"authenticated",)"
    R"("exp":1962910634,"iat":1762907034,"type":"creator","email":"somebody@example.org",)"
    R"("tidewire":{"grants":[{"channels":"room:{user}:*","do":["subscribe","publish"]}]}})";

Verifier verifier_of(Key key, std::size_t cache_entries) {
  std::vector<Key> keys = {std::move(key)};
  return Verifier({.cache_entries = cache_entries, .digest_key = {1, 2, 3}},
                  std::make_shared<const KeyRing>(std::move(keys), JwksState::not_configured),
                  std::make_shared<const RevocationList>());
}

void run(benchmark::State& state, Verifier verifier, const std::string& token) {
  for (auto _ : state) {
    const Verifier::Verdict verdict = verifier.verify(token, kNow);
    if (!verdict) state.SkipWithError("refused");
    benchmark::DoNotOptimize(verdict);
  }
  state.counters["token_bytes"] = static_cast<double>(token.size());
}

void bm_cached(benchmark::State& state) {
  run(state, verifier_of(*Key::from_secret("", Algorithm::HS256, "secret"), 65536),
      hs_token("secret", R"({"alg":"HS256","typ":"JWT"})", kClaims));
}
BENCHMARK(bm_cached);

void bm_hs256(benchmark::State& state) {
  run(state, verifier_of(*Key::from_secret("", Algorithm::HS256, "secret"), 0),
      hs_token("secret", R"({"alg":"HS256","typ":"JWT"})", kClaims));
}
BENCHMARK(bm_hs256);

void bm_public_key(benchmark::State& state, Algorithm algorithm) {
  const TestSigner signer = TestSigner::of(algorithm);
  run(state, verifier_of(*Key::from_public_key("", {algorithm}, signer.pkey()), 0),
      signer.token(algorithm, fmt::format(R"({{"alg":"{}"}})", name_of(algorithm)), kClaims));
}
BENCHMARK_CAPTURE(bm_public_key, rs256, Algorithm::RS256);
BENCHMARK_CAPTURE(bm_public_key, ps256, Algorithm::PS256);
BENCHMARK_CAPTURE(bm_public_key, es256, Algorithm::ES256);
BENCHMARK_CAPTURE(bm_public_key, eddsa, Algorithm::EdDSA);

void bm_digest(benchmark::State& state) {
  const std::string token(static_cast<std::size_t>(state.range(0)), 'x');
  const DigestKey key{1, 2, 3};
  for (auto _ : state) benchmark::DoNotOptimize(digest_of(key, token));
}
BENCHMARK(bm_digest)->Arg(256)->Arg(512)->Arg(1024);

void bm_decode(benchmark::State& state) {
  const std::string token = hs_token("secret", R"({"alg":"HS256","typ":"JWT"})", kClaims);
  for (auto _ : state) benchmark::DoNotOptimize(decode_jwt(token));
}
BENCHMARK(bm_decode);

}  // namespace
}  // namespace tidewire::auth
