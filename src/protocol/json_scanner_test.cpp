#include "protocol/json_scanner.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/random.h"

namespace tidewire::protocol {
namespace {

constexpr int kDepthMax = 64;

bool accepts(std::string_view text, int depth_max = kDepthMax) {
  return scan_json(text, depth_max).has_value();
}

// Random JSON text, or something close to it.
std::string random_text(Random& random, int depth) {
  const auto space = [&] { return std::string(random.below(8) == 0 ? " \n\t\r" : ""); };
  const auto word = [&] {
    static constexpr const char* kStrings[] = {"\"\"",
                                               "\"a\"",
                                               "\"\\u00e9\\n\"",
                                               "\"\\ud83d\\ude00\"",
                                               "\"a long string of more than sixteen\"",
                                               "\"\\\"\\\\\\/\\b\\f\\r\\t\"",
                                               "\"\xc3\xa9\""};
    return std::string(kStrings[random.below(std::size(kStrings))]);
  };
  switch (random.below(depth <= 0 ? 5 : 8)) {
    case 0:
      return "null";
    case 1:
      return random.below(2) == 0 ? "true" : "false";
    case 2:
      return word();
    case 3: {
      static constexpr const char* kNumbers[] = {
          "0", "-0", "12", "-7", "1.5", "1e5", "2E-3", "-0.0e+0", "123456789012345678901234567890"};
      return kNumbers[random.below(std::size(kNumbers))];
    }
    case 4:
      return random.below(2) == 0 ? "[]" : "{ }";
    case 5: {
      std::string out = "[" + space();
      for (std::uint64_t i = 0, count = random.below(4); i <= count; ++i)
        out += (i > 0 ? "," + space() : "") + random_text(random, depth - 1) + space();
      return out + "]";
    }
    default: {
      std::string out = "{" + space();
      for (std::uint64_t i = 0, count = random.below(4); i <= count; ++i)
        out += (i > 0 ? "," + space() : "") + word() + space() + ":" + space() +
               random_text(random, depth - 1) + space();
      return out + "}";
    }
  }
}

// What another parser makes of the text; nullopt where it must not judge: it refuses lone surrogates and
// numbers beyond a double, both of which may stand in payload, and takes a NUL for the end.
std::optional<nlohmann::json> judged(const std::string& text) {
  if (text.find('\0') != std::string::npos) return std::nullopt;
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::out_of_range&) {
    return std::nullopt;
  } catch (const nlohmann::json::parse_error& error) {
    if (std::string_view(error.what()).find("surrogate") != std::string_view::npos) return std::nullopt;
    return nlohmann::json(nlohmann::json::value_t::discarded);
  }
}

TEST(JsonScanner, TakesEveryTypeOfValueAndNamesIt) {
  EXPECT_EQ(scan_json("null", 1)->type, JsonType::null);
  EXPECT_EQ(scan_json("true", 1)->type, JsonType::boolean);
  EXPECT_EQ(scan_json("false", 1)->type, JsonType::boolean);
  EXPECT_EQ(scan_json("-1.5e+3", 1)->type, JsonType::number);
  EXPECT_EQ(scan_json("\"x\"", 1)->type, JsonType::string);
  EXPECT_EQ(scan_json("[1]", 1)->type, JsonType::array);
  EXPECT_EQ(scan_json("{\"a\":1}", 1)->type, JsonType::object);
}

TEST(JsonScanner, GivesTheValueWithoutTheSpaceAroundIt) {
  const std::string text = " \t\r\n [1, 2] \n";
  const auto value = scan_json(text, 1);
  ASSERT_TRUE(value);
  EXPECT_EQ(value->text, "[1, 2]");
  EXPECT_GE(value->text.data(), text.data());
}

TEST(JsonScanner, RefusesWhatIsNotOneWholeValue) {
  for (const char* text : {"", " ", "nul", "truee", "true false", "{}{}", "[1]]", "\v1", "\xef\xbb\xbf{}",
                           "'a'", "undefined", "NaN", "Infinity", "//x\n1"})
    EXPECT_FALSE(accepts(text)) << text;
}

TEST(JsonScanner, RefusesNumbersThatJsonDoesNotHave) {
  for (const char* text : {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "1.e3", "--1", "1_000", "-01"})
    EXPECT_FALSE(accepts(text)) << text;
  for (const char* text : {"0", "-0", "0.0", "1E5", "10", "-0e-0", "9999999999999999999999e999"})
    EXPECT_TRUE(accepts(text)) << text;
}

TEST(JsonScanner, RefusesStringsWithBadEscapesOrControlCharacters) {
  for (const char* text : {"\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u\"", "\"a\nb\"",
                           "\"a\tb\"", "\"\\\"", "\"\x1f\"", "\"0123456789abcdef\x01\""})
    EXPECT_FALSE(accepts(text)) << text;
  EXPECT_FALSE(accepts(std::string_view("\"a\0b\"", 5)));
  EXPECT_TRUE(accepts("\"\x7f\""));
  EXPECT_TRUE(accepts("\"\\ud800\"")) << "a lone surrogate is text of the application";
}

TEST(JsonScanner, RefusesBrokenContainers) {
  for (const char* text : {"[",          "]",   "[1",     "[1,",     "[1,]",      "[,1]",
                           "[1 2]",      "{",   "{\"a\"", "{\"a\":", "{\"a\":1",  "{\"a\":1,",
                           "{\"a\":1,}", "{,}", "{a:1}",  "{1:1}",   "{\"a\" 1}", "{\"a\":1 \"b\":2}",
                           "[}",         "{]"})
    EXPECT_FALSE(accepts(text)) << text;
}

TEST(JsonScanner, CountsDepthByContainers) {
  EXPECT_TRUE(accepts("1", 0));
  EXPECT_FALSE(accepts("[]", 0));
  EXPECT_TRUE(accepts("[[]]", 2));
  EXPECT_FALSE(accepts("[[[]]]", 2));
  EXPECT_FALSE(accepts("{\"a\":{\"b\":[1]}}", 2));
  EXPECT_TRUE(accepts(std::string(64, '[') + std::string(64, ']'), 64));
  EXPECT_FALSE(accepts(std::string(65, '[') + std::string(65, ']'), 64));
  EXPECT_FALSE(accepts(std::string(1'000'000, '['), 64)) << "and does not fall off the stack";
}

TEST(JsonScanner, SplitsAnObjectInOrderAndKeepsDoubledKeys) {
  std::vector<JsonMember> members;
  split_object(*scan_json(R"({ "a" : 1 , "\u0062":[1,{"c":2}],"a":"x" })", kDepthMax), members);
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].key, "a");
  EXPECT_EQ(members[0].value.text, "1");
  EXPECT_EQ(members[1].key, "b");
  EXPECT_EQ(members[1].value.text, R"([1,{"c":2}])");
  EXPECT_EQ(members[2].key, "a");
  EXPECT_EQ(members[2].value.type, JsonType::string);
  split_object(*scan_json("{ }", kDepthMax), members);
  EXPECT_TRUE(members.empty());
}

TEST(JsonScanner, SplitsAnArray) {
  const auto entries = split_array(*scan_json(R"([ 1,"a" , [ ], {"b":[2]} ])", kDepthMax));
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[1].text, "\"a\"");
  EXPECT_EQ(entries[2].text, "[ ]");
  EXPECT_EQ(entries[3].type, JsonType::object);
  EXPECT_TRUE(split_array(*scan_json("[ \n ]", kDepthMax)).empty());
}

TEST(JsonScanner, UnescapesToUtf8) {
  const auto text = [](std::string_view json) { return unescape(*scan_json(json, 1)); };
  EXPECT_EQ(text(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(text(R"("\u0041\u00e9\u20ac")"), "A\xc3\xa9\xe2\x82\xac");
  EXPECT_EQ(text(R"("\ud83d\ude00")"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(text(R"("\ud83d")"), "\xef\xbf\xbd");
  EXPECT_EQ(text(R"("\ud83dx")"), "\xef\xbf\xbdx");
  EXPECT_EQ(text(R"("\ude00\ud83d\u0041")"),
            "\xef\xbf\xbd\xef\xbf\xbd"
            "A");
  EXPECT_EQ(text(R"("\u0000")"), std::string(1, '\0'));
}

TEST(JsonScanner, ReadsIntegersThatFitAndNothingElse) {
  const auto integer = [](std::string_view json) { return integer_of(*scan_json(json, 1)); };
  EXPECT_EQ(integer("0"), 0);
  EXPECT_EQ(integer("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(integer("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (const char* text : {"9223372036854775808", "1.0", "1e2", "\"1\"", "null", "[1]"})
    EXPECT_FALSE(integer(text)) << text;
}

TEST(JsonScanner, CountsCodePoints) {
  EXPECT_EQ(count_characters(""), 0u);
  EXPECT_EQ(count_characters("abc"), 3u);
  EXPECT_EQ(count_characters("\xc3\xa9\xf0\x9f\x98\x80"), 2u);
}

TEST(JsonScanner, AgreesWithAnotherParserOnRandomText) {
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = random_text(random, 5);
    // Half of them are hurt somewhere.
    if (random.below(2) == 0) {
      const std::size_t at = random.below(text.size());
      switch (random.below(3)) {
        case 0:
          text.erase(at, 1);
          break;
        case 1:
          text.insert(at, 1, "{}[],:\"\\0e"[random.below(10)]);
          break;
        default:
          text[at] = static_cast<char>(random.below(128));
      }
    }
    const auto scanned = scan_json(text, 100);
    // UTF-8 is somebody else's check, made before.
    bool utf8 = true;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const auto byte = static_cast<unsigned char>(text[at]);
      const bool pair =
          byte == 0xc3 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) == 0xa9;
      if (pair)
        ++at;
      else if (byte >= 0x80)
        utf8 = false;
    }
    if (!utf8) continue;
    const auto verdict = judged(text);
    if (!verdict) continue;
    const nlohmann::json& oracle = *verdict;
    ASSERT_EQ(scanned.has_value(), !oracle.is_discarded()) << text;
    if (!scanned) continue;
    EXPECT_EQ(nlohmann::json::parse(scanned->text), oracle);
    if (scanned->type == JsonType::object) {
      std::vector<JsonMember> members;
      split_object(*scanned, members);
      for (const JsonMember& member : members) EXPECT_TRUE(oracle.contains(member.key)) << text;
    } else if (scanned->type == JsonType::array) {
      const auto entries = split_array(*scanned);
      ASSERT_EQ(entries.size(), oracle.size());
      for (std::size_t k = 0; k < entries.size(); ++k)
        EXPECT_EQ(nlohmann::json::parse(entries[k].text), oracle[k]);
    } else if (scanned->type == JsonType::string) {
      EXPECT_EQ(unescape(*scanned), oracle.get<std::string>());
    }
  }
}

TEST(JsonScanner, ReadsBackWhatTheWriterWrites) {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::uint64_t n = random.below(40); n > 0; --n) text += static_cast<char>(random.below(128));
    const std::string json = json_string(text);
    ASSERT_TRUE(accepts(json)) << json;
    EXPECT_EQ(unescape(*scan_json(json, 1)), text);
  }
}

TEST(JsonScanner, FindsASpecialCharacterAtEveryPlaceOfAStride) {
  for (std::size_t length = 0; length < 70; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      std::string text = '"' + std::string(length, 'x') + '"';
      text[at + 1] = '\n';
      EXPECT_FALSE(accepts(text));
      text[at + 1] = '"';
      EXPECT_FALSE(accepts(text));
      text[at + 1] = '\xff';
      EXPECT_TRUE(accepts(text));
    }
  }
}

}  // namespace
}  // namespace tidewire::protocol
