// The rules look for the shape of an attack, not for its words: programmers talk about SQL and markup.
//
// Two things tell an injection from code. An injection ends a literal that somebody else has opened, so
// the quote that it begins with has no partner in the text; in code each has one. And it makes its condition
// always true, or the rest a comment.

#include "guard/content_patterns.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "guard/content_suspicion.h"
#include "guard/content_words.h"

namespace tidewire::guard {

namespace {

// Bytes, not characters: nothing that the rules look for lies outside ASCII.
RE2::Options options() {
  RE2::Options options(RE2::Latin1);
  options.set_case_sensitive(false);
  options.set_dot_nl(true);
  options.set_log_errors(false);
  return options;
}

bool matches(const RE2& pattern, std::string_view text) {
  TIDEWIRE_CHECK(pattern.ok());
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

bool begins_with(const RE2& pattern, std::string_view text) {
  TIDEWIRE_CHECK(pattern.ok());
  const re2::StringPiece piece(text.data(), text.size());
  return pattern.Match(piece, 0, piece.size(), RE2::ANCHOR_START, nullptr, 0);
}

}  // namespace

// ---- markup ----

bool has_script_tag(std::string_view text) {
  static const RE2 kPattern(R"(<[\s\x00/]*(?:[a-z]+:)?script(?:[^a-z0-9_.-]|$))", options());
  return matches(kPattern, text);
}

bool has_iframe(std::string_view text) {
  static const RE2 kPattern(R"(<[\s\x00/]*(?:[a-z]+:)?iframe(?:[^a-z0-9_.-]|$))", options());
  return matches(kPattern, text);
}

namespace {

// One expression for all of these: each run of one has its own cost, whatever the length of the text.
std::string any_of(std::initializer_list<std::string_view> patterns) {
  std::string all;
  for (const std::string_view pattern : patterns)
    (all += all.empty() ? "(?:" : "|(?:").append(pattern) += ')';
  return all;
}

std::string handler() {
  std::string names;
  for (std::size_t i = 0; i < kEventList.size(); ++i) (names += i == 0 ? "" : "|") += kEventList[i];
  // A component's `onClick={save}` calls nothing; as markup `onclick={alert(1)}` would.
  return "on(?:" + names + R"()[a-z]*[\s\x00]*=[\s\x00]*(?:[^{\s\x00]|\{\s*[\w.$]+\s*[(\x60]))";
}

}  // namespace

bool has_event_handler(std::string_view text) {
  static const RE2 kPattern(
      any_of({R"(<[a-z!?/](?:[^<>]*|(?:[^<>"']|"[^"]*"|'[^']*')*)[\s\x00/"'\x60])" + handler(),
              // A value that somebody else has begun is ended, and a call follows.
              R"(["'\x60>][\s\x00/]*[\s\x00/"'\x60])" + handler() + R"([^\s>]{0,80}[(\x60])",
              R"(^[^"'=<>]{0,40}["'](?:[\s/]+[a-z-]{1,20}(?:=[^\s"']{0,40})?){1,3}[\s/]+)" + handler(),
              R"(^[^"'=]{0,40}["'][\s\x00/]*)" + handler()}),
      options());
  return matches(kPattern, text);
}

// ---- schemes ----

namespace {

// The character of the reference that `text` begins with, and its size; 0: it begins with none.
struct Reference {
  std::size_t size = 0;
  char character = '.';  // what is not ASCII is all the same here
};

constexpr std::size_t kLongestReference = 40;

Reference reference_at(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 4> kNames{
      {{"&colon;", ':'}, {"&tab;", '\t'}, {"&newline;", '\n'}, {"&lpar;", '('}}};
  if (!text.starts_with("&#")) {
    for (const auto& [name, character] : kNames)
      if (starts_with_word(text, name)) return {.size = name.size(), .character = character};
    return {};
  }
  const bool hex = text.size() > 2 && lower(text[2]) == 'x';
  const std::size_t begin = hex ? 3 : 2;
  std::size_t at = begin;
  while (at < text.size() && at < kLongestReference && text[at] == '0') ++at;
  const std::size_t digits = at;
  unsigned long value = 0;
  for (; at < text.size() && at - digits < (hex ? 6u : 7u); ++at) {
    const char c = lower(text[at]);
    const bool letter = hex && c >= 'a' && c <= 'f';
    if (!letter && (c < '0' || c > '9')) break;
    value = value * (hex ? 16 : 10) + static_cast<unsigned long>(letter ? c - 'a' + 10 : c - '0');
  }
  if (at == begin) return {};
  if (at < text.size() && text[at] == ';') ++at;
  return {.size = at, .character = value < 0x80 ? static_cast<char>(value) : '.'};
}

}  // namespace

std::string without_references(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t at = std::min(text.find('&'), text.size());
    out += text.substr(0, at);
    text.remove_prefix(at);
    if (text.empty()) break;
    const Reference reference = reference_at(text);
    out += reference.size == 0 ? '&' : reference.character;
    text.remove_prefix(std::max<std::size_t>(reference.size, 1));
  }
  return out;
}

bool has_script_scheme(std::string_view text) {
  // Browsers leave out tabs and line ends within the name. What follows must be code: "JavaScript: The
  // good parts" is a title.
  static const std::string kName =
      R"(j[\t\r\n\x00]*a[\t\r\n\x00]*v[\t\r\n\x00]*a[\t\r\n\x00]*s[\t\r\n\x00]*c[\t\r\n\x00]*r[\t\r\n\x00]*)"
      R"(i[\t\r\n\x00]*p[\t\r\n\x00]*t[\s\x00]*:)";
  static const RE2 kCode(
      "(?:^|[^a-z0-9_])" + kName +
          R"((?:[\s\x00-\x1f]*(?:[a-z_$][\w$.]*(?:[(\x60=\[]|\s*=[^=]|\+\+)|//|/\*|%[0-9a-f]{2}|)"
          R"(\x60|[(\[!+~]+[\w("'\[]|void\b|eval\b|throw\b|with\s*\(|)"
          R"((?:alert|confirm|prompt|eval|fetch|import|open)\s*\()|["'{\\]))",
      options());
  static const RE2 kAttribute(
      R"((?:href|src|action|formaction|data|background|poster|url|content|value|to|from)\s*[=(]\s*["'\x60]?[\s\x00-\x1f]*(?:\d+;\s*url=)?)" +
          kName,
      options());
  static const RE2 kLink(R"(\]\([\s<\x00-\x1f]*)" + kName, options());
  static const RE2 kAlone(R"(^[\s\x00-\x1f]*)" + kName + R"([^\s])", options());
  static const RE2 kOther(R"((?:^|[^a-z])(?:vb|live)script\s*:\s*[a-z]+\s?[(\w"]|)"
                          R"(data\s*:\s*text/html[^,\s]{0,40},(?:\S*%3c|\s*<|[a-z0-9+/]{16})|)"
                          R"(data\s*:\s*text/html[^,\s]{0,30};base64)",
                          options());
  return matches(kCode, text) || matches(kAttribute, text) || matches(kLink, text) || matches(kAlone, text) ||
         matches(kOther, text);
}

// ---- queries ----

// The apostrophe of `it's` or `don't`, which is no quote.
bool is_contraction(std::string_view text, std::size_t at) {
  if (at == 0 || !is_letter(text[at - 1])) return false;
  static constexpr std::array<std::string_view, 7> kEndings{"s", "t", "d", "m", "re", "ve", "ll"};
  std::size_t size = 0;
  while (at + 1 + size < text.size() && size < 3 && is_letter(text[at + 1 + size])) ++size;
  return std::ranges::any_of(kEndings, [&](std::string_view ending) {
    return ending.size() == size &&
           std::ranges::equal(ending, text.substr(at + 1, size), {}, {}, [](char c) { return c | 0x20; });
  });
}

namespace {

// White space, or a comment in its place.
const std::string kW = R"((?:\s|/\*[^*]*\*/|\+)*)";
const std::string kSpacing = R"((?:(?:\s|/\*[^*]*\*/|\+|\()+|\b))";
const std::string kOutOfNumber = R"(^(?:-?\d+|\)))";
const std::string kEnd = kW + R"((?:--|#|;|/\*|%00|\x00|$))";
const std::string kLiteral = R"re((?:'\w*'?|"\w*"?|-?\d+))re";
const std::string kStatements =
    R"re((?:(?:drop|delete|insert|update|alter|create|shutdown|truncate|declare|waitfor|grant|copy|merge|)re"
    R"re(call|select)\b|exec(?:ute)?\s*(?:[(@']|immediate|[sx]p_|master)|if\b.{0,80}waitfor))re";

// Anything compared with something.
const std::string kComparison =
    R"re((?:'[^']{0,40}'?|"[^"]{0,40}"?|-?\d+(?:\.\d+)?|@*[\w.]+(?:\([^)]{0,80}\))?)\)*)re" + kW +
    R"re((?:=|<|>|!=|(?:r?like|regexp|not\s+like)\b)re" + kW + R"re(['"\d(]|is\s+(?:not\s+)?null|in)re" + kW +
    R"re(\(|between)re" + kW + R"re(['"\d]))re";
// Two literals compared, and nothing behind.
const std::string kLiteralComparison = kLiteral + kW + "[=<>]" + kW + kLiteral + R"re(\)*)re" + kEnd;

// What follows the end of the literal: a condition in somebody else's `where`, another statement, a
// comment.
std::string continuation(const std::string& comparison) {
  const std::string condition =
      R"re((?:(?:or|and|xor))re" + kSpacing + R"re(|(?:\|\||&&))re" + kW + R"re()(?:not\b)?)re" + kW +
      R"re(\(*)re" + kW + "(?:" + comparison + R"re(|(?:true|not\s+false|1|'1'?|'x'|''?)\)*)re" + kEnd +
      R"re(|(?:exists|sleep|benchmark|pg_sleep|ascii|substr(?:ing)?|length|extractvalue|updatexml|char|ord|)re"
      R"re(mid|if|case|select|load_file|row|convert|cast)\b)re" +
      kW + R"re((?:\(|when\b|\w+\s*\()|select\b))re";
  const std::string comment =
      R"re((?:--[\s+-]*\w{0,8}\s*$|#\s*$|/\*[^*]*(?:\*/)?\s*$|;\s*(?:--|#|%00|/\*).{0,8}$))re";
  return kW + R"re(\)*)re" + kW + "(?:" + condition + "|;" + kW + kStatements + "|" + comment +
         R"re(|(?:union|except|intersect|minus)\b)re" + kSpacing + "(?:(?:all|distinct)" + kSpacing + ")?" +
         kW + R"re(\(*)re" + kW + R"re(select\b|order)re" + kSpacing + "by" + kSpacing + R"re(\d+)re" + kEnd +
         "|group" + kSpacing + R"re(by\b.{0,80}(?:--|having\s+\S+\s*[=<>])|having\b)re" + kSpacing +
         kComparison + "|limit" + kSpacing + R"re(\d+.{0,40}(?:--|#|into)|into)re" + kSpacing +
         "(?:out|dump)file|procedure" + kSpacing + "analyse|waitfor" + kSpacing +
         R"re(delay|(?:\|\||\+|\bconcat))re" + kW + R"re(\(*)re" + kW +
         R"re((?:select|chr|char|convert|cast|version|user|sleep|pg_sleep|extractvalue|updatexml|concat|)re"
         R"re(dbms_|utl_)))re";
}

// ---- a comparison of a literal with itself; by hand, since code is full of what looks like it ----

// Past the comment at `at`, if one begins there that ends soon.
[[gnu::cold, gnu::noinline]] const char* behind_comment(const char* at, const char* end) {
  const std::string_view rest(at, std::min(kLongestComment, static_cast<std::size_t>(end - at)));
  const std::size_t size = rest.starts_with("/*") ? rest.find("*/", 2) : std::string_view::npos;
  return size == std::string_view::npos ? at : at + size + 2;
}

// Past what stands between two words of a query. A zero stands at `end`.
inline const char* behind_gap(const char* at, const char* end) {
  while (true) {
    for (; is_any_of(*at, kBlank | kPlus | kOpening); ++at)
      if (at == end) return at;
    if (*at != '/') return at;
    const char* const next = behind_comment(at, end);
    if (next == at) return at;
    at = next;
  }
}

inline const char* behind_quote(const char* at) { return *at == '\'' || *at == '"' ? at + 1 : at; }

// The literal, or its beginning, that stands here without quotes.
inline std::string_view literal_at(const char* at) {
  std::size_t size = 0;
  while (size < 20 && is_any_of(at[size], kWord)) ++size;
  return {at, size};
}

}  // namespace

bool is_tautology(std::string_view rest) {
  const char* at = rest.data();
  const char* const end = at + rest.size();
  const auto take = [&](std::string_view lower_word) {
    for (std::size_t i = 0; i < lower_word.size(); ++i)
      if (lower(at[i]) != lower_word[i]) return false;
    at += lower_word.size();
    return true;
  };
  while (*at == ')') ++at;
  at = behind_gap(at, end);
  if (!take("or") && !take("and") && !take("||")) return false;
  at = behind_quote(behind_gap(at, end));
  const std::string_view left = literal_at(at);
  if (left.empty()) return false;
  at = behind_gap(behind_quote(at + left.size()), end);
  if (!take("=") && !take("like")) return false;
  at = behind_quote(behind_gap(at, end));
  return *at == left.front() && literal_at(at) == left;
}

bool goes_on_as_query(std::string_view rest) {
  static const RE2 kPattern(continuation(kComparison), options());
  return begins_with(kPattern, rest);
}

// Behind a number only literals: "2 or 3 = maybe" is none.
bool begins_with_query(std::string_view text) {
  static const RE2 kPattern(kOutOfNumber + continuation(kLiteralComparison), options());
  return begins_with(kPattern, text);
}

bool goes_on_with_drop(std::string_view rest) {
  static const RE2 kPattern(R"(\s*(?:drop|truncate)\s+(?:table|database)\s+[^;]{1,60};?\s*(?:--|#)\s*$)",
                            options());
  return begins_with(kPattern, rest);
}

bool is_expression(std::string_view text) {
  static const RE2 kPattern(R"(^\w{0,20}['"][\s+]*(?:=|--)[=+*-]*\s*(?:['"]\w{0,20}|0\s*(?:--|#).{0,4})$)",
                            options());
  return text.size() < kLongestExpression && matches(kPattern, text);
}

bool goes_on_as_code(std::string_view rest) {
  static const RE2 kPattern(
      R"re([\s)}]*(?:(?:\|\||&&)[\s(!]*(?:'[^']{0,40}'?|"[^"]{0,40}"?|\d+|this\.\w+(?:\.\w+)*|true)\s*)re"
      R"re((?:===?|!=|>|<|\()|(?:\|\||&&)\s*(?:true|1)\s*(?://|$|;)|;\s*(?:return\b|while\s*\(|sleep\s*\(|)re"
      R"re(db\.|var\s+\w+\s*=.{0,200}(?:sleep|while|new date|db\.))))re",
      options());
  return begins_with(kPattern, rest);
}

bool has_operator(std::string_view text) {
  static const std::string kOperator =
      R"(\$(?:ne|eq|gte?|lte?|n?in|n?or|and|not|exists|type|regex|options|expr|where|mod|text|all|elemmatch|size|)"
      R"(function|lookup|set|unset|inc|rename|push|pull|addtoset|slice|near|comment|jsonschema|search|accumulator))";
  // Text that another program reads as a query: the value is one that matches everything.
  static const RE2 kObject(
      R"(^\s*[\[{'"](?:.*["'{,\s])?)" + kOperator +
          R"(["']?\s*:\s*(?:null|undefined|true|false|""|''|["']?-?[01]["']?\s*[,}]|["']?[/^]?\.[*+]|["']?\^|)"
          R"(\[\s*(?:null|\]|["'{])|\{\s*["']?\$|["']?(?:function|this\.|return|sleep|while|db\.|1\s*==)))",
      options());
  static const RE2 kStage(
      R"(^\s*\[\s*\{\s*["']?\$(?:match|lookup|group|project|unionwith|out|merge)["']?\s*:|^[^$'"]{0,20},\s*\$where\s*:)",
      options());
  static const RE2 kParameter(R"((?:^|[?&])[\w.%\[\]-]{1,60}\[)" + kOperator + R"(\](?:\[\w*\])?=)",
                              options());
  return matches(kObject, text) || matches(kStage, text) || matches(kParameter, text);
}

}  // namespace tidewire::guard
