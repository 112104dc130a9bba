#include <gtest/gtest.h>

#include "auth/jwt.h"
#include "auth/verifier_fixture.h"

namespace tidewire::auth {
namespace {

TEST(Verifier, ReturnsTheIdentityThatTheClaimsSay) {
  Verifier verifier = verifier_with({.name_claim = "nick"});
  const auto identity = verifier.verify(
      hs_token(kSecret, kHs256,
               R"({"sub":42,"type":"creator","nick":"Ada","iat":1762907000,"exp":1762910634.5,)"
               R"("tidewire":{"tenant":"default","grants":[{"channels":"doc:*","do":["publish"]}]}})"),
      kNow);
  ASSERT_TRUE(identity);
  const Identity& who = **identity;
  EXPECT_EQ(who.user_id, "42");
  EXPECT_TRUE(who.id_is_number);
  EXPECT_EQ(who.type, "creator");
  EXPECT_EQ(who.name, "Ada");
  EXPECT_EQ(who.tenant, "default");
  EXPECT_EQ(who.issued_at_ms, 1'762'907'000'000);
  EXPECT_EQ(who.expires_at_ms, 1'762'910'634'500);
  EXPECT_TRUE(who.allows(Action::publish, "doc:1"));
}

TEST(Verifier, JudgesTimesToTheMillisecond) {
  const auto at = [](std::int64_t ms) { return later(ms); };
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {}, at(999)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {}, at(1000)), "token_expired");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {.leeway_ms = 5000}, at(5999)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {.leeway_ms = 5000}, at(6000)),
            "token_expired");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907034.5})", {}, at(499)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907034.5})", {}, at(500)), "token_expired");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nbf":1762907035})", {}, at(999)), "token_not_yet_valid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nbf":1762907035})", {}, at(1000)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nbf":1762907035})", {.leeway_ms = 1000}, at(0)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iat":1962907035})"), "ok");
}

TEST(Verifier, TakesEveryNumberAsATimeAndNothingElse) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"sub":"u"})", "ok"},
      {R"({"sub":"u","exp":0})", "token_expired"},
      {R"({"sub":"u","exp":-1})", "token_expired"},
      {R"({"sub":"u","exp":-1e300})", "token_expired"},
      {R"({"sub":"u","exp":1e300})", "ok"},
      {R"({"sub":"u","exp":9223372036854775807})", "ok"},
      {R"({"sub":"u","exp":-9223372036854775808})", "token_expired"},
      {R"({"sub":"u","exp":18446744073709551615})", "ok"},
      {R"({"sub":"u","exp":99999999999999999999999999})", "ok"},
      {R"({"sub":"u","exp":1e400})", "token_malformed"},  // no finite number
      {R"({"sub":"u","exp":"1962907035"})", "token_malformed"},
      {R"({"sub":"u","exp":null})", "token_malformed"},
      {R"({"sub":"u","exp":true})", "token_malformed"},
      {R"({"sub":"u","exp":[1962907035]})", "token_malformed"},
      {R"({"sub":"u","exp":{}})", "token_malformed"},
      {R"({"sub":"u","exp":NaN})", "token_malformed"},
      {R"({"sub":"u","exp":0x7fffffff})", "token_malformed"},
      {R"({"sub":"u","nbf":"1"})", "token_malformed"},
      {R"({"sub":"u","nbf":1e300})", "token_not_yet_valid"},
      {R"({"sub":"u","nbf":-5})", "ok"},
      {R"({"sub":"u","iat":"now"})", "token_malformed"},
      {R"({"sub":"u","iat":false})", "token_malformed"},
      {R"({"sub":"u","exp":1962907035,"exp":1})", "token_malformed"},
      {R"({"sub":"u","EXP":1})", "ok"},
  };
  for (const auto& [claims, code] : cases) EXPECT_EQ(verdict_of_claims(claims), code) << claims;
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", {.require_exp = true}), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1e300})", {.require_exp = true}), "ok");
}

TEST(Verifier, TakesOnlyUserIdsOfTheProtocol) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(1)", "ok"},
      {R"(0)", "ok"},
      {R"(-7)", "ok"},
      {R"("1")", "ok"},
      {R"("a.b_c-d:e@f=g,h;i!j~k+l/m#n")", "ok"},
      {R"(9007199254740991)", "ok"},
      {R"(9007199254740992)", "token_invalid"},
      {R"(-9007199254740992)", "token_invalid"},
      {R"(9223372036854775808)", "token_invalid"},
      {R"(1.0)", "token_invalid"},
      {R"(1e3)", "token_invalid"},
      {R"(1E0)", "token_invalid"},
      {R"("")", "token_invalid"},
      {R"("a b")", "token_invalid"},
      {R"("a*")", "token_invalid"},
      {R"("{user}")", "token_invalid"},
      {R"("a\u0000")", "token_invalid"},
      {R"("a\n")", "token_invalid"},
      {R"("\u00e9")", "token_invalid"},
      {R"(null)", "token_invalid"},
      {R"(true)", "token_invalid"},
      {R"(["u"])", "token_invalid"},
      {R"({"id":"u"})", "token_invalid"},
  };
  for (const auto& [id, code] : cases) EXPECT_EQ(verdict_of_claims(R"({"sub":)" + id + "}"), code) << id;
  EXPECT_EQ(verdict_of_claims(R"({"sub":")" + std::string(200, 'u') + "\"}"), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":")" + std::string(201, 'u') + "\"}"), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"user_id":"u"})"), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"user_id":"u"})", {.user_claim = "user_id"}), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", {.user_claim = "user_id"}), "token_invalid");
}

TEST(Verifier, RefusesWrongTypesInClaimsThatAreUsed) {
  for (const char* claims :
       {R"({"sub":"u","type":5})", R"({"sub":"u","type":null})", R"({"sub":"u","type":""})",
        R"({"sub":"u","type":["creator"]})", R"({"sub":"u","tidewire":[]})", R"({"sub":"u","tidewire":null})",
        R"({"sub":"u","tidewire":{"grants":{}}})", R"({"sub":"u","tidewire":{"grants":[{"channels":"a"}]}})",
        R"({"sub":"u","tidewire":{"tenant":1}})"})
    EXPECT_EQ(verdict_of_claims(claims), "token_invalid") << claims;
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nick":5})", {.name_claim = "nick"}), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nick":null})", {.name_claim = "nick"}), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":5,"aud":5,"name":5,"jti":[]})"), "ok");  // not used
}

TEST(Verifier, ChecksIssuerAudienceAndTenant) {
  const VerifierOptions issuer{.issuer = "https://issuer"};
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":"https://issuer"})", issuer), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":"https://issuer/"})", issuer), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":["https://issuer"]})", issuer), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", issuer), "token_invalid");
  const VerifierOptions audience{.audience = {"a", "b"}};
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":"b"})", audience), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":["x","a"]})", audience), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":["x",["a"]]})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":{"a":"a"}})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":[]})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":"A"})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","tidewire":{"tenant":"acme"}})", {.tenant = "acme"}), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","tidewire":{"tenant":"acme"}})"), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", {.tenant = "acme"}), "ok");
}

TEST(Verifier, PermanentFaultsAreNamedBeforePassingOnes) {
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1,"iss":"x"})", {.issuer = "y"}), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1,"nbf":1962907035})"), "token_expired");
  Verifier verifier = verifier_with({});
  EXPECT_EQ(verdict(verifier, hs_token("other", kHs256, R"({"sub":"u","exp":1})")), "token_invalid");
}

TEST(Verifier, KnowsTheHabitsOfSupabase) {
  const VerifierOptions supabase{.preset = Preset::supabase};
  // Its secret has no name here, but its tokens carry one.
  const std::string header = R"({"alg":"HS256","kid":"hSjvaAClMVk7YbMH","typ":"JWT"})";
  const std::string claims =
      R"("iss":"https://p.supabase.co/auth/v1","sub":"123e4567-e89b-12d3-a456-426614174000","role":"authenticated",)"
      R"("email":"a@b.c","aud":"authenticated","exp":1762910634,"iat":1762907034,"is_anonymous":false,)"
      R"("app_metadata":{"provider":"email","tidewire":{"grants":[{"channels":"doc:*","do":["publish"]}]}},)"
      R"("user_metadata":{"type":"admin","tidewire":{"grants":[{"channels":"*","do":["publish"]}]}})";
  Verifier verifier = verifier_with(supabase);
  const auto identity = verifier.verify(hs_token(kSecret, header, "{" + claims + "}"), kNow);
  ASSERT_TRUE(identity) << identity.error().error.message;
  EXPECT_EQ((*identity)->user_id, "123e4567-e89b-12d3-a456-426614174000");
  EXPECT_EQ((*identity)->type, "authenticated");
  EXPECT_TRUE((*identity)->allows(Action::publish, "doc:1"));
  EXPECT_FALSE((*identity)->allows(Action::publish, "room:1"));

  const auto own_type =
      verifier.verify(hs_token(kSecret, header, R"({"type":"creator",)" + claims + "}"), kNow);
  ASSERT_TRUE(own_type);
  EXPECT_EQ((*own_type)->type, "creator");

  const auto code = [&](std::string_view other) {
    return verdict(verifier, hs_token(kSecret, header, other));
  };
  EXPECT_EQ(code(R"({"iss":"supabase","role":"anon","iat":1})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"anon","role":"anon"})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated","app_metadata":{"tidewire":5}})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated"})"), "ok");

  // What the application's server has put into app_metadata counts before the role.
  const auto by_server = verifier.verify(
      hs_token(
          kSecret, header,
          R"({"sub":"u","aud":"authenticated","role":"authenticated","app_metadata":{"type":"creator"}})"),
      kNow);
  ASSERT_TRUE(by_server);
  EXPECT_EQ((*by_server)->type, "creator");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated","role":"x","app_metadata":{"type":{"of":"plan"}}})"),
            "ok");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated","role":"x","app_metadata":"none"})"), "ok");
  // A project's keys are no users, not even with a subject and the audience.
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated","role":"anon"})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated","role":"service_role"})"), "token_invalid");

  Verifier other = verifier_with({.audience = {"mine"}, .preset = Preset::supabase});
  EXPECT_EQ(verdict(other, hs_token(kSecret, header, R"({"sub":"u","aud":"mine"})")), "ok");
  EXPECT_EQ(verdict(other, hs_token(kSecret, header, R"({"sub":"u","aud":"authenticated"})")),
            "token_invalid");
  // Without the preset nothing is read from app_metadata.
  Verifier plain = verifier_with({});
  const auto without = plain.verify(hs_token(kSecret, kHs256, "{" + claims + "}"), kNow);
  ASSERT_TRUE(without);
  EXPECT_TRUE((*without)->grants.empty());
  EXPECT_EQ((*without)->type, "user");
}

TEST(ClaimedTenant, ReadsWhatAnUnverifiedTokenSays) {
  EXPECT_EQ(claimed_tenant(hs_token("x", kHs256, R"({"tidewire":{"tenant":"acme"}})")), "acme");
  EXPECT_EQ(claimed_tenant(hs_token("x", kHs256, R"({"tidewire":{"tenant":5}})")), std::nullopt);
  EXPECT_EQ(claimed_tenant(hs_token("x", kHs256, R"({"sub":"u"})")), std::nullopt);
  EXPECT_EQ(claimed_tenant("a.b.c"), std::nullopt);
  EXPECT_EQ(claimed_tenant(""), std::nullopt);
  EXPECT_EQ(claimed_tenant(std::string(20'000, '.')), std::nullopt);
}

}  // namespace
}  // namespace tidewire::auth
