#include "auth/grants.h"

#include <gtest/gtest.h>

#include "auth/identity.h"
#include "auth/json_value.h"

namespace tidewire::auth {
namespace {

Result<std::vector<Grant>> parse(std::string_view json, std::string_view user = "7") {
  return parse_grants(*parse_json(json, 8), user);
}

TEST(Grants, StarMatchesAnyRunOfCharacters) {
  EXPECT_TRUE(matches("room:*", "room:"));
  EXPECT_TRUE(matches("room:*", "room:a:b:c"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*:a:*", "x:y:a:z"));
  EXPECT_TRUE(matches("a*b*c", "abcbc"));
  EXPECT_TRUE(matches("**", "x"));
  EXPECT_TRUE(matches("a*a", "aa"));
  EXPECT_FALSE(matches("a*a", "a"));
  EXPECT_FALSE(matches("room:*", "rooms:1"));
  EXPECT_FALSE(matches("room:*:x", "room:1:y"));
  EXPECT_FALSE(matches("room:1", "room:12"));
  EXPECT_FALSE(matches("room:1", "Room:1"));
  EXPECT_FALSE(matches("", "x"));
  EXPECT_FALSE(matches("ab*bc", "abc"));
}

// The plain definition of the pattern language, exponential and obviously right.
bool matches_by_definition(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return matches_by_definition(pattern.substr(1), text) ||
           (!text.empty() && matches_by_definition(pattern, text.substr(1)));
  return !text.empty() && pattern[0] == text[0] && matches_by_definition(pattern.substr(1), text.substr(1));
}

TEST(Grants, AgreesWithTheDefinitionOnEveryShortPattern) {
  const auto nth = [](unsigned n, std::string_view letters) {
    std::string word;
    for (; n > 0; n /= static_cast<unsigned>(letters.size() + 1)) {
      const unsigned digit = n % static_cast<unsigned>(letters.size() + 1);
      if (digit > 0) word.push_back(letters[digit - 1]);
    }
    return word;
  };
  for (unsigned p = 0; p < 1024; ++p)
    for (unsigned t = 0; t < 243; ++t) {
      const std::string pattern = nth(p, "ab*"), text = nth(t, "ab");
      ASSERT_EQ(matches(pattern, text), matches_by_definition(pattern, text)) << pattern << " on " << text;
    }
}

TEST(Grants, UserIsTakenLiterally) {
  const auto grants = parse(R"([{"channels":"room:{user}:*","do":["subscribe"]}])", "a+b");
  ASSERT_TRUE(grants);
  EXPECT_TRUE(allows(*grants, Action::subscribe, "room:a+b:x"));
  EXPECT_FALSE(allows(*grants, Action::subscribe, "room:aab:x"));
  EXPECT_FALSE(allows(*grants, Action::subscribe, "room:a+bc:x"));
  EXPECT_FALSE(allows(*grants, Action::publish, "room:a+b:x"));
  const auto twice = parse(R"([{"channels":"{user}:{user}{use}","do":["publish"]}])", "u");
  EXPECT_EQ(twice->front().channels, "u:u{use}");
}

TEST(Grants, AddUpAndIgnoreActionsOfLaterVersions) {
  const auto grants = parse(
      R"([{"channels":"a:*","do":["subscribe","history","teleport"],"later":1},{"channels":"a:1","do":["publish"]},
          {"channels":"b","do":[]}])");
  ASSERT_TRUE(grants);
  EXPECT_TRUE(allows(*grants, Action::subscribe, "a:1"));
  EXPECT_TRUE(allows(*grants, Action::history, "a:1"));
  EXPECT_TRUE(allows(*grants, Action::publish, "a:1"));
  EXPECT_FALSE(allows(*grants, Action::publish, "a:2"));
  EXPECT_FALSE(allows(*grants, Action::presence, "a:1"));
  EXPECT_FALSE(allows(*grants, Action::subscribe, "b"));
  EXPECT_FALSE(allows({}, Action::subscribe, "a:1"));
}

TEST(Grants, RefuseWrongShapes) {
  std::string many = "[";
  for (std::size_t i = 0; i <= kMaxGrants; ++i)
    many += std::string(i ? "," : "") + R"({"channels":"a","do":[]})";
  for (const std::string& json :
       {std::string("{}"), std::string("null"), std::string("\"a\""), std::string("[1]"), std::string("[{}]"),
        std::string(R"([{"channels":"a"}])"), std::string(R"([{"do":["publish"]}])"),
        std::string(R"([{"channels":["a"],"do":["publish"]}])"),
        std::string(R"([{"channels":"a","do":"publish"}])"), std::string(R"([{"channels":"a","do":[1]}])"),
        std::string(R"([{"channels":"","do":["publish"]}])"),
        R"([{"channels":")" + std::string(kMaxGrantPatternBytes + 1, 'a') + R"(","do":[]}])", many + "]"}) {
    const auto grants = parse(json);
    ASSERT_FALSE(grants) << json;
    EXPECT_EQ(grants.error().code, ErrorCode::token_invalid);
  }
  std::string growing;
  for (int i = 0; i < 40; ++i) growing += "{user}";
  EXPECT_FALSE(parse(R"([{"channels":")" + growing + R"(","do":[]}])", std::string(200, 'u')));
}

TEST(Grants, HostilePatternsCostLittle) {
  std::string pattern;
  for (int i = 0; i < 120; ++i) pattern += "*a";
  EXPECT_FALSE(matches(pattern + "*b", std::string(255, 'a')));
  EXPECT_TRUE(matches(pattern, std::string(255, 'a')));
}

TEST(Identity, KeepsTheSpellingOfItsIdOnTheWire) {
  Identity identity;
  identity.user_id = "1";
  identity.id_is_number = true;
  identity.type = "creator";
  std::string out = "x";
  append_user_json(out, identity);
  EXPECT_EQ(out, R"(x{"id":1,"type":"creator"})");
  identity.id_is_number = false;
  identity.name = "Ada \"L\"";
  out.clear();
  append_user_json(out, identity);
  EXPECT_EQ(out, R"({"id":"1","type":"creator","name":"Ada \"L\""})");
}

TEST(Identity, UserIdsAreOfChannelCharacters) {
  EXPECT_TRUE(valid_user_id("azAZ09._-:@=,;!~+/#"));
  EXPECT_TRUE(valid_user_id(std::string(200, 'u')));
  for (const std::string& id : {std::string(), std::string(201, 'u'), std::string("a b"), std::string("a*"),
                                std::string("{user}"), std::string("$a"), std::string("\xc3\xa9"),
                                std::string("a\0b", 3), std::string("a\n"), std::string("a\"")})
    EXPECT_FALSE(valid_user_id(id)) << id;
}

}  // namespace
}  // namespace tidewire::auth
