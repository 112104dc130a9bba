#include "auth/verifier.h"

#include <gtest/gtest.h>

#include "auth/verifier_fixture.h"

namespace tidewire::auth {
namespace {

TEST(Verifier, TakesEveryAlgorithm) {
  for (const Algorithm a :
       {Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384,
        Algorithm::PS512, Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA}) {
    const TestSigner signer = key_type_of(a) == KeyType::rsa ? rsa() : TestSigner::of(a);
    Verifier verifier = verifier_with({}, ring_of({*Key::from_public_key("k", {a}, signer.pkey())}));
    const std::string header = fmt::format(R"({{"alg":"{}","kid":"k","typ":"JWT"}})", name_of(a));
    std::string token = signer.token(a, header, R"({"sub":"u"})");
    EXPECT_EQ(verdict(verifier, token), "ok") << header;
    EXPECT_EQ(verdict(verifier, token), "ok") << header;
    EXPECT_EQ(verifier.counts().signatures, 1u);
    EXPECT_EQ(verdict(verifier, TestSigner::of(a).token(a, header, R"({"sub":"u"})")), "token_invalid")
        << header;
  }
  for (const Algorithm a : {Algorithm::HS256, Algorithm::HS384, Algorithm::HS512}) {
    Verifier verifier = verifier_with({}, ring_of({*Key::from_secret("", a, kSecret)}));
    const std::string header = fmt::format(R"({{"alg":"{}"}})", name_of(a));
    EXPECT_EQ(verdict(verifier, hs_token(kSecret, header, R"({"sub":"u"})", a)), "ok") << header;
    EXPECT_EQ(verdict(verifier, hs_token("other", header, R"({"sub":"u"})", a)), "token_invalid") << header;
  }
}

TEST(Verifier, FindsTheKeyByNameAndWithoutNameByTrial) {
  const TestSigner a = TestSigner::ec("P-256"), b = TestSigner::ec("P-256");
  Verifier verifier = verifier_with(
      {}, ring_of({*Key::from_public_key("a", {}, a.pkey()), *Key::from_public_key("b", {}, b.pkey())}));
  const std::string claims = R"({"sub":"u"})";
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256","kid":"b"})", claims)), "ok");
  EXPECT_EQ(verifier.counts().signatures, 1u);
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256"})", claims)), "ok");
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256","kid":"a"})", claims)),
            "token_invalid");
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256","kid":"B"})", claims)),
            "token_invalid");
}

TEST(Verifier, AsksForKeysOnlyWhereAPublishedSetCouldHelp) {
  const std::string token =
      p256().token(Algorithm::ES256, R"({"alg":"ES256","kid":"new"})", R"({"sub":"u"})");
  const std::string nameless = p256().token(Algorithm::ES256, R"({"alg":"ES256"})", R"({"sub":"u"})");
  const auto waiting = ring_of({secret_key("static")}, JwksState::never_fetched);
  Verifier verifier = verifier_with({}, waiting);
  for (const std::string& t : {token, nameless}) {
    const auto before = verifier.verify(t, kNow);
    ASSERT_FALSE(before);
    EXPECT_TRUE(before.error().needs_keys);
    EXPECT_EQ(before.error().error.code, ErrorCode::unavailable);
    EXPECT_GT(before.error().error.retry_after_ms, 0);
  }

  verifier.set_keys(waiting->with_jwks({}));
  const auto unknown = verifier.verify(token, kNow);
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().needs_keys);
  EXPECT_EQ(unknown.error().error.code, ErrorCode::token_invalid);
  EXPECT_FALSE(verifier.verify(nameless, kNow).error().needs_keys);

  verifier.set_keys(waiting->with_jwks({*Key::from_public_key("new", {}, p256().pkey())}));
  EXPECT_TRUE(verifier.verify(token, kNow));
  EXPECT_TRUE(verifier.verify(nameless, kNow));

  const auto no_fetch = [&](std::string_view t) {
    const auto v = verifier.verify(t, kNow);
    EXPECT_FALSE(v);
    EXPECT_FALSE(v.error().needs_keys) << t;
    EXPECT_EQ(v.error().error.code, ErrorCode::token_invalid);
  };
  verifier.set_keys(waiting);
  no_fetch(
      hs_token("other", R"({"alg":"HS256","kid":"unheard"})", R"({"sub":"u"})"));  // a set holds no secrets
  no_fetch(p256().token(Algorithm::ES256, R"({"alg":"ES256","kid":"static"})", R"({"sub":"u"})"));
  verifier.set_keys(waiting->with_jwks({*Key::from_public_key("new", {}, p256().pkey())}));
  no_fetch(
      TestSigner::ec("P-256").token(Algorithm::ES256, R"({"alg":"ES256","kid":"new"})", R"({"sub":"u"})"));
  no_fetch(rsa().token(Algorithm::RS256, R"({"alg":"RS256","kid":"new"})", R"({"sub":"u"})"));
  verifier.set_keys(ring_of({}));
  no_fetch(token);
}

TEST(Verifier, StaticKeysServeWhileTheSetIsAway) {
  Verifier verifier = verifier_with({}, ring_of({secret_key()}, JwksState::never_fetched));
  EXPECT_EQ(verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"u"})")), "ok");
}

TEST(Verifier, RemembersATokenUntilItEnds) {
  Verifier verifier = verifier_with({});
  const std::string token = hs_token(kSecret, kHs256, R"({"sub":"u","nbf":1762907034,"exp":1762907044})");
  const auto first = verifier.verify(token, kNow);
  const auto second = verifier.verify(token, later(9999));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(verifier.counts().hits, 1u);
  EXPECT_EQ(verifier.counts().signatures, 1u);
  EXPECT_EQ(verdict(verifier, token, later(-1)),
            "ok");  // its beginning is behind us, whatever the clock says
  EXPECT_EQ(verdict(verifier, token, later(10'000)), "token_expired");
  EXPECT_EQ(verifier.cached(), 0u);
  EXPECT_EQ(verdict(verifier, token, later(10'000)), "token_expired");
}

TEST(Verifier, RemembersNoTokenThatItRefused) {
  Verifier verifier = verifier_with({});
  verdict(verifier, hs_token("other", kHs256, R"({"sub":"u"})"));
  verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"u","exp":1})"));
  verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"*"})"));
  EXPECT_EQ(verifier.cached(), 0u);
}

TEST(Verifier, RevocationReachesTokensThatItRemembers) {
  auto revocations = std::make_shared<RevocationList>();
  Verifier verifier({}, ring_of({secret_key()}), revocations);
  const std::string token = hs_token(kSecret, kHs256, R"({"sub":7,"iat":1762907034})");
  const std::string newer = hs_token(kSecret, kHs256, R"({"sub":"7","iat":1762907035})");
  const auto identity = verifier.verify(token, kNow);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(verifier.still_good(**identity, kNow));
  revocations->add({"default", "7", kNow.unix_ms + 10});
  EXPECT_EQ(verdict(verifier, token), "token_revoked");
  EXPECT_EQ(verifier.still_good(**identity, kNow).error().code, ErrorCode::token_revoked);
  EXPECT_EQ(verdict(verifier, newer), "ok");
  EXPECT_EQ(verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"7"})")), "token_revoked");
  EXPECT_EQ(verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"8"})")), "ok");
}

TEST(Verifier, StillGoodEndsWithTheToken) {
  Verifier verifier = verifier_with({.leeway_ms = 2000});
  const auto identity = verifier.verify(hs_token(kSecret, kHs256, R"({"sub":"u","exp":1762907035})"), kNow);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(verifier.still_good(**identity, later(2999)));
  EXPECT_EQ(verifier.still_good(**identity, later(3000)).error().code, ErrorCode::token_expired);
}

TEST(Verifier, ForgetsTokensWhenKeysOrOptionsChange) {
  Verifier verifier = verifier_with({});
  const std::string token = hs_token(kSecret, kHs256, R"({"sub":"u"})");
  ASSERT_EQ(verdict(verifier, token), "ok");
  verifier.set_keys(ring_of({secret_key()}));  // the same keys again
  ASSERT_EQ(verdict(verifier, token), "ok");
  EXPECT_EQ(verifier.counts().signatures, 1u);
  verifier.set_keys(ring_of({*Key::from_secret("", Algorithm::HS256, "rotated")}));
  EXPECT_EQ(verdict(verifier, token), "token_invalid");
  verifier.set_keys(ring_of({secret_key()}));
  EXPECT_EQ(verdict(verifier, token), "ok");
  EXPECT_EQ(verifier.counts().signatures, 3u);
  verifier.set_options({.issuer = "somebody"});
  EXPECT_EQ(verdict(verifier, token), "token_invalid");
}

TEST(Verifier, BoundsWhatItRemembers) {
  const auto token = [](int i) { return hs_token(kSecret, kHs256, fmt::format(R"({{"sub":{}}})", i)); };
  Verifier few = verifier_with({.cache_entries = 3});
  for (int i = 0; i < 10; ++i) verdict(few, token(i));
  EXPECT_EQ(few.cached(), 3u);
  verdict(few, token(7));   // used again, so that
  verdict(few, token(10));  // this one pushes out 8
  EXPECT_EQ(few.counts().signatures, 11u);
  verdict(few, token(7));
  EXPECT_EQ(few.counts().signatures, 11u);
  verdict(few, token(8));
  EXPECT_EQ(few.counts().signatures, 12u);

  Verifier small = verifier_with({.cache_bytes = 2000});
  for (int i = 0; i < 10; ++i) verdict(small, token(i));
  EXPECT_GE(small.cached(), 1u);
  EXPECT_LE(small.cached(), 8u);

  Verifier none = verifier_with({.cache_entries = 0});
  EXPECT_EQ(verdict(none, token(1)), "ok");
  EXPECT_EQ(verdict(none, token(1)), "ok");
  EXPECT_EQ(none.counts().signatures, 2u);
}

}  // namespace
}  // namespace tidewire::auth
