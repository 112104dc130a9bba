#include "guard/content_suspicion.h"

#include <array>
#include <cstdint>

#include "guard/content_words.h"

namespace tidewire::guard {

namespace {

using enum ContentRule;

// ---- queries ----

bool is_query_word(std::string_view text, unsigned places) {
  return kQueryWordList.any(text, [&](std::size_t word) { return (kQueryWords[word].places & places) != 0; });
}

// Past blanks, signs and comments. False: a comment that does not end soon, behind which anything may be.
bool skip_between(std::string_view& rest, bool& joined, bool& comment) {
  while (true) {
    std::size_t at = 0;
    for (; at < rest.size() && is_any_of(rest[at], kBetween); ++at) joined |= rest[at] == '+';
    rest.remove_prefix(at);
    if (!begins(rest, '/', '*')) return true;
    const std::size_t end = rest.substr(0, kLongestComment).find("*/", 2);
    if (end == std::string_view::npos) return false;
    comment = true;
    rest.remove_prefix(end + 2);
  }
}

bool is_statement(std::string_view rest) {
  bool joined = false, comment = false;
  if (!skip_between(rest, joined, comment)) return true;
  return comment || begins(rest, '-', '-') || rest.starts_with('#') || rest.starts_with("%00") ||
         is_query_word(rest, kStatement);
}

// Behind `--`: no more than a word and the end.
bool is_last_comment(std::string_view rest) {
  while (!rest.empty() && (is_any_of(rest.front(), kBlank | kPlus) || rest.front() == '-'))
    rest.remove_prefix(1);
  std::size_t word = 0;
  while (word < rest.size() && word <= 8 && is_any_of(rest[word], kWord)) ++word;
  return word <= 8 && skip(behind(rest, word), kBlank).empty();
}

// ---- markup ----

// The end of the name of a tag.
bool ends_name(std::string_view rest) {
  if (rest.empty()) return true;
  const char c = rest.front();
  return !is_any_of(c, kWord) && c != '.' && c != '-';
}

ContentFlags tag_named(std::string_view text) {
  if (starts_with_word(text, "script") && ends_name(behind(text, 6))) return script_tag;
  if (starts_with_word(text, "iframe") && ends_name(behind(text, 6))) return iframe;
  return {};
}

// An attribute that calls something: not a component's `onClick={save}`, and not `onClick={() => save()}`.
bool begins_handler(std::string_view text) {
  if (!starts_with_word(text, "on")) return false;
  const std::string_view name = behind(text, 2);
  std::string_view rest = skip(skip(name, kLetter), kBlank);
  if (!rest.starts_with('=') || !kEventList.any(name, [](std::size_t) { return true; })) return false;
  do rest.remove_prefix(1);
  while (rest.starts_with(' '));
  if (!rest.starts_with('{')) return !rest.empty();
  rest = skip(behind(rest, 1), kBlank);
  std::size_t called = 0;
  while (called < rest.size() &&
         (is_any_of(rest[called], kWord) || rest[called] == '.' || rest[called] == '$'))
    ++called;
  rest = skip(behind(rest, called), kBlank);
  return called != 0 && (rest.starts_with('(') || rest.starts_with('`'));
}

// A tag's name behind a prefix, whose colon is at `at`.
ContentFlags tag_behind_prefix(std::string_view text, std::size_t at) {
  const ContentFlags tag = tag_named(behind(text, at + 1));
  if (tag.empty()) return {};
  const std::string_view before = skip_back(text.substr(0, at), kLetter);
  if (before.size() == at || !skip_back(before, kBlank | kSlash).ends_with('<')) return {};
  return tag;
}

// A reference that could stand for a part of a scheme, behind its `&`.
bool begins_reference(std::string_view rest) {
  return rest.starts_with('#') || starts_with_word(rest, "colon;") || starts_with_word(rest, "tab;") ||
         starts_with_word(rest, "newline;") || starts_with_word(rest, "lpar;");
}

// The text's end but for blanks.
bool take_back(std::string_view& text, std::string_view backwards) {
  std::string_view rest = text;
  for (const char wanted : backwards) {
    rest = skip_back(rest, kBlank);
    if (rest.empty() || lower(rest.back()) != wanted) return false;
    rest.remove_suffix(1);
  }
  text = rest;
  return true;
}

// ---- documents ----

// Of the operator whose `$` is at `at`, with it; 0: it is none.
std::size_t operator_size(std::string_view text, std::size_t at) {
  const std::string_view name = behind(text, at + 1);
  std::size_t size = 0;
  if (!kOperatorList.any(name, [&](std::size_t word) {
        size = kOperatorList[word].size();
        return size == name.size() || !is_letter(name[size]);
      }))
    return 0;
  return size + 1;
}

}  // namespace

bool breaks_out(std::string_view rest) {
  bool joined = false, comment = false;
  if (!skip_between(rest, joined, comment)) return true;
  if (rest.empty()) return comment;
  switch (rest.front()) {
    case '-':
      return begins(rest, '-', '-') && is_last_comment(behind(rest, 2));
    case '#':
      return skip(behind(rest, 1), kBlank).empty();
    case '|':
      return begins(rest, '|', '|');
    case '&':
      return begins(rest, '&', '&');
    case ';':
      return is_statement(behind(rest, 1));
    default:
      return is_query_word(rest, joined ? kBehind | kJoined : kBehind);
  }
}

bool begins_as_query(std::string_view text) {
  if (text.empty() || (!is_digit(text.front()) && text.front() != '-' && text.front() != ')')) return false;
  if (text.starts_with('-')) text.remove_prefix(1);
  return breaks_out(skip(text, kDigit));
}

bool goes_on_as_expression(std::string_view rest) {
  rest = skip(rest, kBetween);
  return rest.starts_with('=') || begins(rest, '-', '-');
}

bool may_be_code(std::string_view rest) {
  rest = skip(rest, kBetween);
  return !rest.empty() && (rest.front() == ';' || begins(rest, '|', '|') || begins(rest, '&', '&'));
}

bool is_named_operator(std::string_view text, std::size_t at) {
  const std::size_t size = operator_size(text, at);
  if (size == 0) return false;
  std::string_view rest = behind(text, at + size);
  if (rest.starts_with(']')) return true;
  if (rest.starts_with('"') || rest.starts_with('\'')) rest.remove_prefix(1);
  return skip(rest, kBlank).starts_with(':');
}

bool is_script_scheme_at(std::string_view text, std::size_t at) {
  std::string_view before = text.substr(0, at);
  if (text[at] == ':')
    return take_back(before, "tpircs") &&
           (take_back(before, "avaj") || take_back(before, "bv") || take_back(before, "evil"));
  return starts_with_word(behind(text, at + 1), "html") && take_back(before, "txet") &&
         take_back(before, ":") && take_back(before, "atad");
}

bool ends_value(std::string_view before) {
  before = skip_back(before, kBlank | kSlash);
  return !before.empty() && std::string_view("\"'`>").contains(before.back());
}

bool has_markup(std::string_view text) {
  const std::string_view head = text.substr(0, 41);
  return text.contains('<') || head.contains('"') || head.contains('\'');
}

namespace {
// What could begin behind the character at `at`.
ContentFlags scheme_or_handler(std::string_view text, std::size_t at) {
  const std::string_view rest = behind(text, at + 1);
  if (rest.size() < 2) return {};
  if (rest[1] == ':' && is_script_scheme_at(text, at + 2)) return javascript_uri;
  if (rest[0] == '/' && is_script_scheme_at(text, at + 1)) return javascript_uri;
  if (begins_handler(rest)) return event_handler;
  return {};
}
}  // namespace

ContentFlags suspect_at(std::string_view text, std::size_t at) {
  const std::string_view rest = behind(text, at + 1);
  switch (text[at]) {
    case ';':
      if (may_drop(rest)) return sql_injection;
      return {};
    case '$':
      if (operator_size(text, at) != 0) return nosql_operator;
      return {};
    case '&':
      if (begins_reference(rest)) return javascript_uri;
      return {};
    case '<':
      return tag_named(skip(rest, kBlank | kSlash));
    case ':':
      return tag_behind_prefix(text, at);
    default:
      return scheme_or_handler(text, at);
  }
}

bool is_nosql_operator(std::string_view word) {
  return word.starts_with('$') && operator_size(word, 0) == word.size() && !word.empty();
}

}  // namespace tidewire::guard
