#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstring>

#include "auth/json_value.h"
#include "auth/token_digest.h"

namespace tidewire::auth {
namespace {

TEST(JsonValue, KeepsIntegersApartFromOtherNumbersAndStrings) {
  const auto value = parse_json(R"([1,1.0,1e0,"1",-5,9223372036854775808,-0])", 4);
  ASSERT_TRUE(value);
  const auto& v = value->elements;
  EXPECT_TRUE(v[0].is_integer());
  EXPECT_EQ(v[0].integer, 1);
  EXPECT_TRUE(v[1].is_number() && !v[1].is_integer());
  EXPECT_TRUE(v[2].is_number() && !v[2].is_integer());
  EXPECT_TRUE(v[3].is_string());
  EXPECT_EQ(v[4].integer, -5);
  EXPECT_TRUE(v[5].is_number() && !v[5].is_integer());
  EXPECT_EQ(v[6].integer, 0);
}

TEST(JsonValue, FindsMembersAndNestedValues) {
  const auto value = parse_json(R"({"a":{"b":[true,null,{"c":"x"}]},"d":false})", 8);
  ASSERT_TRUE(value);
  const JsonValue* list = value->find("a")->find("b");
  ASSERT_NE(list, nullptr);
  EXPECT_TRUE(list->elements[0].boolean);
  EXPECT_TRUE(list->elements[1].is_null());
  EXPECT_EQ(list->elements[2].find("c")->string, "x");
  EXPECT_EQ(value->find("nothing"), nullptr);
  EXPECT_EQ(list->find("a"), nullptr);
}

TEST(JsonValue, RefusesWhatIsNotOneStrictJsonText) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "{}{}",
                           "{} x",
                           "{'a':1}",
                           "{\"a\":1,}",
                           "[1,]",
                           "nul",
                           "NaN",
                           "Infinity",
                           "01",
                           "+1",
                           ".5",
                           "1.",
                           "0x1",
                           "// x\n{}",
                           "{}/**/",
                           "\"\\ud800\"",
                           "\"\xff\"",
                           "\"\xc0\xaf\"",
                           "\"a\nb\"",
                           "1e400",
                           "\xEF\xBB\xBF{}",
                           "{\"a\":1,\"a\":1}",
                           "{\"a\":1,\"\\u0061\":2}",
                           "[{\"x\":{\"b\":1,\"b\":1}}]"})
    EXPECT_FALSE(parse_json(text, 8)) << text;
  EXPECT_FALSE(parse_json(std::string_view("{}\0", 3), 8));
  EXPECT_FALSE(parse_json(std::string_view("{}\0{\"a\":", 8), 8));
}

TEST(JsonValue, RefusesAMemberTwiceAmongMany) {
  std::string text = "{";
  for (int i = 0; i < 40; ++i) text += "\"m" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(parse_json(text + "\"last\":1}", 2));
  EXPECT_FALSE(parse_json(text + "\"m7\":1}", 2));
}

TEST(JsonValue, BoundsTheDepth) {
  EXPECT_TRUE(parse_json("[[[]]]", 3));
  EXPECT_FALSE(parse_json("[[[]]]", 2));
  EXPECT_TRUE(parse_json("5", 0));
  EXPECT_FALSE(parse_json(std::string(200'000, '['), 32));
  EXPECT_FALSE(parse_json(std::string(200'000, '[') + std::string(200'000, ']'), 32));
}

std::string siphash_by_openssl(const DigestKey& key, std::string_view text) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  unsigned int size = 16;
  const std::array parameters = {OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_SIZE, &size),
                                 OSSL_PARAM_construct_end()};
  std::string out(16, '\0');
  std::size_t written = 0;
  EVP_MAC_init(context, key.data(), key.size(), parameters.data());
  EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  EVP_MAC_final(context, reinterpret_cast<unsigned char*>(out.data()), &written, out.size());
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return out;
}

TEST(TokenDigest, IsTheSipHashThatOpenSslComputes) {
  DigestKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  std::string text;
  for (int i = 0; i < 70; ++i) {
    const TokenDigest digest = digest_of(key, text);
    std::string bytes(16, '\0');
    std::memcpy(bytes.data(), &digest.low, 8);
    std::memcpy(bytes.data() + 8, &digest.high, 8);
    EXPECT_EQ(bytes, siphash_by_openssl(key, text)) << i;
    text.push_back(static_cast<char>(i));
  }
}

TEST(TokenDigest, DependsOnTheKey) {
  EXPECT_NE(digest_of(DigestKey{1}, "token"), digest_of(DigestKey{2}, "token"));
}

}  // namespace
}  // namespace tidewire::auth
