#include "auth/mint.h"

#include <gtest/gtest.h>

#include "auth/jwt.h"
#include "auth/verifier.h"
#include "base/base64url.h"
#include "base/json_text.h"

namespace tidewire::auth {
namespace {

constexpr Time kNow{.mono_us = 0, .unix_ms = 1'762'907'034'678};

std::string claims_of(const std::string& token) {
  const std::size_t dot = token.find('.');
  return *base64url_decode(std::string_view(token).substr(dot + 1, token.rfind('.') - dot - 1));
}

Verifier verifier_of(std::string secret = std::string(kDevelopmentSecret), Algorithm a = Algorithm::HS256) {
  std::vector<Key> keys = {*Key::from_secret("", a, secret)};
  return Verifier({}, std::make_shared<const KeyRing>(std::move(keys), JwksState::not_configured),
                  std::make_shared<const RevocationList>());
}

TEST(Mint, MakesATokenThatTheVerifierTakes) {
  const auto token = mint(
      {.user = 1, .type = "creator", .ttl_s = 3600, .grants = {{"room:{user}:*", {"subscribe", "publish"}}}},
      kNow);
  ASSERT_TRUE(token) << token.error();
  EXPECT_EQ(claims_of(*token),
            R"({"sub":1,"type":"creator","iat":1762907034,"exp":1762910634,)"
            R"("tidewire":{"grants":[{"channels":"room:{user}:*","do":["subscribe","publish"]}]}})");
  Verifier verifier = verifier_of();
  const auto identity = verifier.verify(*token, kNow);
  ASSERT_TRUE(identity) << identity.error().error.message;
  EXPECT_EQ((*identity)->user_id, "1");
  EXPECT_TRUE((*identity)->id_is_number);
  EXPECT_EQ((*identity)->type, "creator");
  EXPECT_TRUE((*identity)->allows(Action::publish, "room:1:x"));
  EXPECT_FALSE((*identity)->allows(Action::publish, "room:2:x"));
}

TEST(Mint, LivesForExactlyItsTime) {
  for (const std::int64_t into_second_ms : {0, 1, 999}) {
    const auto token =
        mint({.user = "u", .ttl_s = 1}, {.mono_us = 0, .unix_ms = 1'762'907'034'000 + into_second_ms});
    ASSERT_TRUE(token);
    EXPECT_EQ(claims_of(*token), R"({"sub":"u","iat":1762907034,"exp":1762907035})");
  }
  EXPECT_FALSE(mint({.user = "u", .ttl_s = 0}, kNow));
  EXPECT_FALSE(mint({.user = "u", .ttl_s = -1}, kNow));
}

TEST(Mint, SignsWithEveryHmacAndRefusesOtherAlgorithms) {
  for (const Algorithm a : {Algorithm::HS256, Algorithm::HS384, Algorithm::HS512}) {
    const auto token = mint({.user = "u",

                             .algorithm = a,
                             .secret = "s"},
                            kNow);
    ASSERT_TRUE(token);
    EXPECT_TRUE(verifier_of("s", a).verify(*token, kNow));
    EXPECT_FALSE(verifier_of("t", a).verify(*token, kNow));
  }
  EXPECT_FALSE(mint({.user = "u", .ttl_s = 1, .algorithm = Algorithm::RS256}, kNow));
  EXPECT_FALSE(mint({.user = "u", .ttl_s = 1, .secret = ""}, kNow));
}

TEST(Mint, ExtraClaimsReplaceTheUsualOnes) {
  const auto token = mint({.user = "u",
                           .ttl_s = 1,
                           .kid = "k",
                           .tenant = "acme",
                           .claims = {{"exp", "5"}, {"iss", "\"me\""}, {"iss", "\"you\""}}},
                          kNow);
  ASSERT_TRUE(token);
  EXPECT_EQ(claims_of(*token),
            R"({"sub":"u","iat":1762907034,"exp":5,"tidewire":{"tenant":"acme"},"iss":"you"})");
  EXPECT_EQ(claimed_tenant(*token), "acme");
  EXPECT_FALSE(mint({.user = "u", .ttl_s = 1, .claims = {{"a", "{"}}}, kNow));
  EXPECT_FALSE(mint({.user = "u", .ttl_s = 1, .claims = {{"a", "1,\"sub\":2"}}}, kNow));
  EXPECT_FALSE(mint({.user = "u", .type = "\xff", .ttl_s = 1}, kNow));
  EXPECT_FALSE(mint({.user = "u", .type = std::string(9000, 'x'), .ttl_s = 1}, kNow));
}

TEST(Mint, PutsTenantAndGrantsIntoATidewireClaimThatIsGiven) {
  const MintOptions options{.user = "u", .ttl_s = 1, .tenant = "acme", .grants = {{"a:*", {"publish"}}}};
  const auto with = [&](const std::string& claim) {
    MintOptions changed = options;
    changed.claims = {{"tidewire", "{\"tenant\":\"beta\"}"}, {"tidewire", claim}};
    return mint(changed, kNow);
  };
  const std::string added = R"("tenant":"acme","grants":[{"channels":"a:*","do":["publish"]}]}})";
  for (const char* empty : {"{}", " { } "})
    EXPECT_TRUE(claims_of(with(empty).value()).ends_with(added)) << claims_of(with(empty).value());
  EXPECT_TRUE(claims_of(with(R"({"x":{"y":1}} )").value()).ends_with(R"("tidewire":{"x":{"y":1},)" + added));
  EXPECT_EQ(claimed_tenant(with(R"({"x":"}"})").value()), "acme");
  EXPECT_TRUE(with(R"({"tenant":"acme"})").error().contains("has tenant already"));
  EXPECT_TRUE(with(R"({"grants":[]})").error().contains("has grants already"));
  for (const char* bad : {"[]", "1", "\"{}\"", "{", "null"})
    EXPECT_TRUE(with(bad).error().contains("must be a JSON object")) << bad;
  EXPECT_EQ(
      claimed_tenant(
          mint({.user = "u", .ttl_s = 1, .claims = {{"tidewire", R"({"tenant":"beta"})"}}}, kNow).value()),
      "beta");
}

TEST(MintArguments, UserIsANumberOnlyInItsShortestSpelling) {
  EXPECT_EQ(parse_user_argument("1"), MintUser(std::int64_t{1}));
  EXPECT_EQ(parse_user_argument("9007199254740991"), MintUser(kJsonIntegerMax));
  EXPECT_EQ(parse_user_argument("\"1\""), MintUser(std::string("1")));
  EXPECT_EQ(parse_user_argument("007"), MintUser(std::string("007")));
  EXPECT_EQ(parse_user_argument("1.5"), MintUser(std::string("1.5")));
  EXPECT_EQ(parse_user_argument("ada@example.org"), MintUser(std::string("ada@example.org")));
  EXPECT_FALSE(parse_user_argument("9007199254740992"));
  EXPECT_FALSE(parse_user_argument(""));
  EXPECT_FALSE(parse_user_argument("\"\""));
  EXPECT_FALSE(parse_user_argument("a b"));
}

TEST(MintArguments, GrantIsCutAtTheLastEqualsSign) {
  EXPECT_EQ(parse_grant_argument("room:*=subscribe,publish"),
            (MintGrant{"room:*", {"subscribe", "publish"}}));
  EXPECT_EQ(parse_grant_argument("room:a=b=history"), (MintGrant{"room:a=b", {"history"}}));
  for (const char* bad :
       {"", "room:*", "=publish", "room:*=", "room:*=publish,", "room:*=fly", "room:*=publish, history"})
    EXPECT_FALSE(parse_grant_argument(bad)) << bad;
}

TEST(MintArguments, ClaimIsJsonOrAString) {
  EXPECT_EQ(parse_claim_argument("a=true"), (MintClaim{"a", "true"}));
  EXPECT_EQ(parse_claim_argument("a=5"), (MintClaim{"a", "5"}));
  EXPECT_EQ(parse_claim_argument("a={\"b\":[1]}"), (MintClaim{"a", "{\"b\":[1]}"}));
  EXPECT_EQ(parse_claim_argument("a=b=c"), (MintClaim{"a", "\"b=c\""}));
  EXPECT_EQ(parse_claim_argument("a=\"5\""), (MintClaim{"a", "\"5\""}));
  EXPECT_EQ(parse_claim_argument("a="), (MintClaim{"a", "\"\""}));
  EXPECT_FALSE(parse_claim_argument("a"));
  EXPECT_FALSE(parse_claim_argument("=a"));
}

}  // namespace
}  // namespace tidewire::auth
