#include "guard/content_suspicion.h"

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace tidewire::guard {

namespace {

using enum ContentRule;

constexpr std::size_t kBlock = 16;
constexpr std::size_t kLongestWord = 24;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
// What browsers pass over inside a tag or the name of a scheme.
constexpr bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }

bool starts_with_word(std::string_view text, std::string_view lower_word) {
  if (text.size() < lower_word.size()) return false;
  for (std::size_t i = 0; i < lower_word.size(); ++i)
    if (lower(text[i]) != lower_word[i]) return false;
  return true;
}

std::string_view skip_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

// With these a query goes on that somebody else began, or another one begins.
constexpr std::array<std::string_view, 49> kQueryWords{
    "alter",   "and",      "begin",  "call",    "cast",   "char",   "chr",       "concat", "convert",
    "copy",    "create",   "db.",    "declare", "delete", "drop",   "except",    "exec",   "extract",
    "grant",   "group",    "having", "if",      "insert", "inters", "into",      "like",   "limit",
    "merge",   "minus",    "offset", "or",      "order",  "proced", "regexp",    "return", "rlike",
    "select",  "shutdown", "sleep",  "trunc",   "union",  "update", "updatexml", "user",   "var ",
    "version", "waitfor",  "while",  "xor"};

struct Initial {
  std::uint32_t seconds = 0;  // the second letters of the words with this first one
  std::uint8_t begin = 0;     // those words
  std::uint8_t end = 0;
};

constexpr std::array<Initial, 26> initials() {
  std::array<Initial, 26> initials{};
  for (std::size_t i = 0; i < kQueryWords.size(); ++i) {
    Initial& initial = initials[static_cast<std::size_t>(kQueryWords[i][0] - 'a')];
    if (initial.seconds == 0) initial.begin = static_cast<std::uint8_t>(i);
    initial.end = static_cast<std::uint8_t>(i + 1);
    initial.seconds |= 1u << (kQueryWords[i][1] - 'a');
  }
  return initials;
}
static_assert(std::ranges::is_sorted(kQueryWords));

// Most apostrophes cost next to nothing here.
bool is_query_word(std::string_view text) {
  static constexpr auto kInitials = initials();
  if (text.size() < 2 || !is_letter(text[0]) || !is_letter(text[1])) return false;
  const Initial& initial = kInitials[static_cast<std::size_t>(lower(text[0]) - 'a')];
  if ((initial.seconds >> (lower(text[1]) - 'a') & 1u) == 0) return false;
  for (std::size_t i = initial.begin; i < initial.end; ++i)
    if (starts_with_word(text, kQueryWords[i])) return true;
  return false;
}

// What may stand between the end of a literal and what goes on.
constexpr bool is_between(char c) { return is_blank(c) || c == ')' || c == '(' || c == '}' || c == '+'; }

constexpr ContentFlags kQueries = [] {
  ContentFlags both = sql_injection;
  both.add(nosql_operator);
  return both;
}();

// Behind `<`.
ContentFlags tag_at(std::string_view rest) {
  while (!rest.empty() && (is_blank(rest.front()) || rest.front() == '/')) rest.remove_prefix(1);
  if (rest.empty() || !is_letter(rest.front())) return {};
  const std::string_view near = rest.substr(0, kLongestWord);
  if (const std::size_t colon = near.find(':'); colon != std::string_view::npos)
    rest.remove_prefix(colon + 1);
  if (starts_with_word(rest, "script") || starts_with_word(near, "script")) return script_tag;
  if (starts_with_word(rest, "iframe") || starts_with_word(near, "iframe")) return iframe;
  return {};
}

// Before `=`: `on` and a word, and something that ends what came before it.
bool is_handler(std::string_view before) {
  while (!before.empty() && is_blank(before.back())) before.remove_suffix(1);
  std::size_t length = 0;
  while (length < before.size() && length <= kLongestWord && is_letter(before[before.size() - 1 - length]))
    ++length;
  if (length < 5 || length == before.size()) return false;
  const char boundary = before[before.size() - 1 - length];
  return starts_with_word(before.substr(before.size() - length), "on") &&
         (is_blank(boundary) || boundary == '/' || boundary == '"' || boundary == '\'' || boundary == '`');
}

// Before `:`, with what browsers leave out between the letters.
bool is_script_scheme(std::string_view before) {
  static constexpr std::string_view kBackwards = "tpircs";
  for (const char wanted : kBackwards) {
    while (!before.empty() && is_blank(before.back())) before.remove_suffix(1);
    if (before.empty() || lower(before.back()) != wanted) return false;
    before.remove_suffix(1);
  }
  return true;
}

bool is_operator_at(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && end < kLongestWord && is_letter(text[end])) ++end;
  return end > 2 && is_nosql_operator(text.substr(0, end));
}

ContentFlags look_at(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at + 1);
  switch (text[at]) {
    case '<':
      return tag_at(rest);
    case '=':
      if (is_handler(text.substr(0, at))) return event_handler;
      return {};
    case ':':
      if (is_script_scheme(text.substr(0, at)) || starts_with_word(skip_blanks(rest), "text/html"))
        return javascript_uri;
      return {};
    case '&':
      if (rest.starts_with('#') || starts_with_word(rest, "colon;") || starts_with_word(rest, "tab;") ||
          starts_with_word(rest, "newline;"))
        return javascript_uri;
      return {};
    case '$':
      if (is_operator_at(text.substr(at))) return nosql_operator;
      return {};
    case '\'':
    case '"':
      if (breaks_out(rest)) return kQueries;
      return {};
    default:
      return {};
  }
}

// At the beginning of a string.
bool begins_as_query(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
  return breaks_out(text);
}

struct Masks {
  unsigned interesting;
  unsigned colons;
  unsigned quotes;
  unsigned escapes;
  unsigned openers;  // with which a string must begin to go on a query
};

unsigned mask_of(__m128i bytes, char wanted) {
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted))));
}

Masks masks_of(__m128i bytes) {
  const auto is = [&](char wanted) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted)); };
  const __m128i interesting =
      _mm_or_si128(_mm_or_si128(_mm_or_si128(is('<'), is('=')), is('&')), _mm_or_si128(is('$'), is('\'')));
  const __m128i from_zero = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
  const __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(from_zero, _mm_set1_epi8(9)), from_zero);
  const __m128i opener = _mm_or_si128(_mm_or_si128(digit, is('-')), _mm_or_si128(is(';'), is(')')));
  return {.interesting = static_cast<unsigned>(_mm_movemask_epi8(interesting)),
          .colons = mask_of(bytes, ':'),
          .quotes = mask_of(bytes, '"'),
          .escapes = mask_of(bytes, '\\'),
          .openers = static_cast<unsigned>(_mm_movemask_epi8(opener))};
}

// `raw`: a JSON text, else a decoded string.
template <bool kRaw>
Suspicion suspect(std::string_view text) {
  Suspicion out;
  unsigned after_quote = 0;  // the first byte of the block follows a quote
  for (std::size_t block = 0; block < text.size(); block += kBlock) {
    const std::size_t size = std::min(kBlock, text.size() - block);
    __m128i bytes;
    if (size == kBlock) {
      bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(text.data() + block));
    } else {
      char last[kBlock] = {'.', '.', '.', '.', '.', '.', '.', '.', '.', '.', '.', '.', '.', '.', '.', '.'};
      std::memcpy(last, text.data() + block, size);
      bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(last));
    }
    const Masks masks = masks_of(bytes);
    const unsigned behind_quotes = masks.quotes << 1 | after_quote;
    after_quote = masks.quotes >> (kBlock - 1) & 1u;
    unsigned look = masks.interesting | (masks.colons & ~behind_quotes);
    if constexpr (kRaw) {
      if (masks.escapes != 0) return {.rules = {}, .escapes = true};
      for (unsigned at = masks.openers & behind_quotes; at != 0; at &= at - 1)
        if (begins_as_query(text.substr(block + static_cast<unsigned>(std::countr_zero(at)))))
          out.rules.add(kQueries);
    } else {
      look |= masks.quotes;
    }
    for (; look != 0; look &= look - 1) {
      const std::size_t at = block + static_cast<unsigned>(std::countr_zero(look));
      if ((text[at] == '\'' || text[at] == '"') && out.rules.has(sql_injection)) continue;
      out.rules.add(look_at(text, at));
    }
  }
  return out;
}

}  // namespace

bool breaks_out(std::string_view rest) {
  while (!rest.empty() && is_between(rest.front())) rest.remove_prefix(1);
  while (rest.starts_with("/*")) {
    const std::size_t end = rest.find("*/", 2);
    if (end == std::string_view::npos) return true;
    rest = rest.substr(end + 2);
    while (!rest.empty() && is_between(rest.front())) rest.remove_prefix(1);
  }
  if (rest.empty()) return false;
  switch (rest.front()) {
    case '-':
      return rest.starts_with("--");
    case '#':
    case '=':
      return true;
    case '|':
      return rest.starts_with("||");
    case '&':
      return rest.starts_with("&&");
    case ';': {
      rest = skip_blanks(rest.substr(1));
      return rest.starts_with("--") || rest.starts_with("/*") || is_query_word(rest);
    }
    default:
      return is_query_word(rest);
  }
}

bool is_nosql_operator(std::string_view word) {
  static constexpr std::array<std::string_view, 44> kOperators{
      "$ne",     "$eq",    "$gt",      "$gte",        "$lt",     "$lte",         "$in",    "$nin",
      "$or",     "$and",   "$not",     "$nor",        "$exists", "$type",        "$regex", "$options",
      "$expr",   "$where", "$mod",     "$text",       "$all",    "$elemmatch",   "$size",  "$function",
      "$lookup", "$set",   "$unset",   "$inc",        "$rename", "$push",        "$pull",  "$addtoset",
      "$slice",  "$near",  "$comment", "$jsonschema", "$search", "$accumulator", "$out",   "$merge",
      "$group",  "$match", "$project", "$unionwith"};
  return std::ranges::any_of(kOperators, [&](std::string_view known) {
    return known.size() == word.size() && starts_with_word(word, known);
  });
}

Suspicion suspect_json(std::string_view json) { return suspect<true>(json); }

ContentFlags suspect_text(std::string_view text) {
  ContentFlags rules = suspect<false>(text).rules;
  if (!text.empty() && (is_digit(text[0]) || text[0] == '-' || text[0] == ';' || text[0] == ')') &&
      begins_as_query(text))
    rules.add(kQueries);
  return rules;
}

}  // namespace tidewire::guard
