#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "auth/json_value.h"
#include "auth/jwk.h"
#include "auth/verifier.h"
#include "base/base64url.h"
#include "testing/source_dir.h"

namespace tidewire::auth {
namespace {

JsonValue read_vectors(const std::string& name) {
  std::ifstream file(std::string(TIDEWIRE_SOURCE_DIR) + "/spec/vectors/" + name + ".json");
  std::ostringstream text;
  text << file.rdbuf();
  std::optional<JsonValue> document = parse_json(text.str(), 16);
  EXPECT_TRUE(document) << name;
  return document ? *std::move(document) : JsonValue();
}

std::string text(const JsonValue& object, std::string_view member) {
  const JsonValue* value = object.find(member);
  return value != nullptr ? value->string : std::string();
}

// Back to JSON text: the vectors' JWKs hold nothing but strings.
std::string json_of_strings(const JsonValue& object) {
  std::string out = "{";
  for (const auto& [name, value] : object.members)
    out += fmt::format("{}\"{}\":\"{}\"", out.size() > 1 ? "," : "", name, value.string);
  return out + '}';
}

TEST(Vectors, SignaturesOfTheRfcsVerify) {
  const JsonValue document = read_vectors("auth_signatures");
  const auto& vectors = document.find("vectors")->elements;
  EXPECT_GE(vectors.size(), 7u);
  for (const JsonValue& vector : vectors) {
    SCOPED_TRACE(text(vector, "source"));
    const auto key = parse_static_key({.text = json_of_strings(*vector.find("jwk"))});
    ASSERT_TRUE(key) << key.error();
    const Algorithm algorithm = *parse_algorithm(text(vector, "alg"));
    const std::string input = text(vector, "input");
    std::string signature = *base64url_decode(text(vector, "signature"));
    EXPECT_TRUE(key->verifies(algorithm, input, signature));
    EXPECT_FALSE(key->verifies(algorithm, input + "A", signature));
    for (std::size_t i = 0; i < signature.size(); i += 7) {
      signature[i] = static_cast<char>(signature[i] ^ 4);
      EXPECT_FALSE(key->verifies(algorithm, input, signature));
      signature[i] = static_cast<char>(signature[i] ^ 4);
    }
  }
}

TEST(Vectors, TokensBecomeTheUserOrTheCodeOfTheTable) {
  const JsonValue document = read_vectors("auth_tokens");
  std::vector<Key> keys = {*Key::from_secret("", Algorithm::HS256, text(document, "secret"))};
  Verifier verifier({}, std::make_shared<const KeyRing>(std::move(keys), JwksState::not_configured),
                    std::make_shared<const RevocationList>());
  const Time now{.mono_us = 0, .unix_ms = document.find("now_ms")->integer};
  const auto& vectors = document.find("vectors")->elements;
  EXPECT_GE(vectors.size(), 40u);
  for (const JsonValue& vector : vectors) {
    const Verifier::Verdict verdict = verifier.verify(text(vector, "token"), now);
    std::string outcome;
    if (verdict)
      append_user_json(outcome, **verdict);
    else
      outcome = name_of(verdict.error().error.code);
    EXPECT_EQ(outcome, text(vector, "user") + text(vector, "code")) << text(vector, "name");
  }
}

TEST(Vectors, GrantsCoverWhatTheTableSays) {
  const JsonValue document = read_vectors("auth_grants");
  for (const JsonValue& vector : document.find("vectors")->elements) {
    const auto json =
        parse_json(R"([{"channels":")" + text(vector, "channels") + R"(","do":["publish"]}])", 4);
    const auto grants = parse_grants(*json, text(vector, "user"));
    ASSERT_TRUE(grants);
    EXPECT_EQ(allows(*grants, Action::publish, text(vector, "channel")), vector.find("allowed")->boolean)
        << text(vector, "channels") << " and " << text(vector, "channel");
  }
}

}  // namespace
}  // namespace tidewire::auth
