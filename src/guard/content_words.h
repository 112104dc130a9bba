// Lists of lower-case words that are asked what a text begins with, mostly in vain.
//
// The first two letters settle nearly every question: an index by the first one, and a set of the second
// ones. Constants; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidewire::guard {

inline constexpr auto kLower = [] {
  std::array<char, 256> lower{};
  for (unsigned i = 0; i < 256; ++i) lower[i] = static_cast<char>(i >= 'A' && i <= 'Z' ? i | 0x20 : i);
  return lower;
}();
constexpr char lower(char c) { return kLower[static_cast<std::uint8_t>(c)]; }

// What a character is, in a table, since the looks by hand ask nothing else.
enum CharClass : std::uint8_t {
  kLetter = 1,
  kDigit = 2,
  kUnderscore = 4,
  kBlank = 8,     // what browsers pass over inside a tag or the name of a scheme
  kClosing = 16,  // with blanks and signs what may stand between the end of a literal and what goes on
  kOpening = 32,
  kPlus = 64,
  kSlash = 128
};
inline constexpr auto kCharClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  const auto put = [&](std::string_view chars, CharClass of) {
    for (const char c : chars) classes[static_cast<std::uint8_t>(c)] = of;
  };
  put("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kLetter);
  put("0123456789", kDigit);
  put("_", kUnderscore);
  put({" \t\n\v\f\r\0", 7}, kBlank);
  put(")}", kClosing);
  put("(", kOpening);
  put("+", kPlus);
  put("/", kSlash);
  return classes;
}();
constexpr bool is_any_of(char c, unsigned classes) {
  return (kCharClasses[static_cast<std::uint8_t>(c)] & classes) != 0;
}
constexpr bool is_letter(char c) { return is_any_of(c, kLetter); }
constexpr bool is_digit(char c) { return is_any_of(c, kDigit); }
constexpr bool is_blank(char c) { return is_any_of(c, kBlank); }
inline constexpr unsigned kWord = kLetter | kDigit | kUnderscore;
inline constexpr unsigned kBetween = kBlank | kClosing | kOpening | kPlus;

// Without the check of substr(): `at` is within the text.
constexpr std::string_view behind(std::string_view text, std::size_t at) {
  text.remove_prefix(at);
  return text;
}
// What follows the characters of these classes.
constexpr std::string_view skip(std::string_view text, unsigned classes) {
  std::size_t at = 0;
  while (at < text.size() && is_any_of(text[at], classes)) ++at;
  return behind(text, at);
}
constexpr std::string_view skip_back(std::string_view text, unsigned classes) {
  std::size_t size = text.size();
  while (size > 0 && is_any_of(text[size - 1], classes)) --size;
  return {text.data(), size};
}
constexpr bool begins(std::string_view text, char a, char b) {
  return text.size() >= 2 && text[0] == a && text[1] == b;
}

// Letters count in both cases.
constexpr bool starts_with_word(std::string_view text, std::string_view lower_word) {
  if (text.size() < lower_word.size()) return false;
  for (std::size_t i = 0; i < lower_word.size(); ++i)
    if (lower(text[i]) != lower_word[i]) return false;
  return true;
}

template <std::size_t kSize>
class WordList {
 public:
  // `words` are sorted and begin with two letters.
  explicit consteval WordList(const std::array<std::string_view, kSize>& words) : words_(words) {
    if (!std::ranges::is_sorted(words)) throw "not sorted";
    for (std::size_t i = 0; i < kSize; ++i) {
      Initial& initial = initials_[static_cast<std::size_t>(words[i][0] - 'a')];
      if (initial.seconds == 0) initial.begin = static_cast<std::uint8_t>(i);
      initial.end = static_cast<std::uint8_t>(i + 1);
      initial.seconds |= 1u << (words[i][1] - 'a');
    }
  }

  // Whether some word is this text's beginning and `fits(index of the word)`.
  template <class Fits>
  constexpr bool any(std::string_view text, Fits&& fits) const {
    if (text.size() < 2 || !may_begin(text[0], text[1])) return false;
    const Initial& initial = initials_[static_cast<std::size_t>(lower(text[0]) - 'a')];
    for (std::size_t i = initial.begin; i < initial.end; ++i)
      if (starts_with_word(text, words_[i]) && fits(i)) return true;
    return false;
  }
  // Whether a text could begin with one of the words, by its first characters.
  constexpr bool may_begin(char c) const {
    return is_letter(c) && initials_[static_cast<std::size_t>(lower(c) - 'a')].seconds != 0;
  }
  constexpr bool may_begin(char c, char next) const {
    return is_letter(c) && is_letter(next) &&
           (initials_[static_cast<std::size_t>(lower(c) - 'a')].seconds >> (lower(next) - 'a') & 1u) != 0;
  }
  // Whether this is some word's second character.
  constexpr bool may_go_on(char c) const {
    return is_letter(c) &&
           std::ranges::any_of(initials_, [bit = 1u << (lower(c) - 'a')](const Initial& initial) {
             return (initial.seconds & bit) != 0;
           });
  }
  constexpr std::string_view operator[](std::size_t index) const { return words_[index]; }
  static constexpr std::size_t size() { return kSize; }

 private:
  struct Initial {
    std::uint32_t seconds = 0;  // the second letters of the words with this first one
    std::uint8_t begin = 0;     // those words
    std::uint8_t end = 0;
  };
  std::array<std::string_view, kSize> words_;
  std::array<Initial, 26> initials_{};
};

// The words with which a query goes on that somebody else began, or another one begins: where they stand.
enum Place : unsigned {
  kBehind = 1,  // the literal
  kJoined = 2,  // to it, by a sign
  kStatement = 4
};
struct QueryWord {
  std::string_view text;  // its beginning
  unsigned places;
};
inline constexpr auto kQueryWords = std::to_array<QueryWord>({
    {"alter", kStatement},
    {"and", kBehind},
    {"call", kStatement},
    {"cast", kJoined},
    {"char", kJoined},
    {"chr", kJoined},
    {"concat", kBehind | kJoined},
    {"convert", kJoined},
    {"copy", kStatement},
    {"create", kStatement},
    {"db.", kStatement},
    {"dbms_", kJoined},
    {"declare", kStatement},
    {"delete", kStatement},
    {"drop", kStatement},
    {"except", kBehind},
    {"exec", kStatement},
    {"extract", kJoined},
    {"grant", kStatement},
    {"group", kBehind},
    {"having", kBehind},
    {"if", kStatement},
    {"insert", kStatement},
    {"inters", kBehind},
    {"into", kBehind},
    {"limit", kBehind},
    {"merge", kStatement},
    {"minus", kBehind},
    {"or", kBehind},
    {"order", kBehind},
    {"pg_sleep", kJoined},
    {"proced", kBehind},
    {"return", kStatement},
    {"select", kJoined | kStatement},
    {"shutdown", kStatement},
    {"sleep", kJoined | kStatement},
    {"trunc", kStatement},
    {"union", kBehind},
    {"updat", kJoined | kStatement},
    {"user", kJoined},
    {"utl_", kJoined},
    {"var", kStatement},
    {"version", kJoined},
    {"waitfor", kBehind | kStatement},
    {"while", kStatement},
    {"xor", kBehind},
});
inline constexpr WordList kQueryWordList([] {
  std::array<std::string_view, kQueryWords.size()> texts;
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = kQueryWords[i].text;
  return texts;
}());

// The events that browsers fire, by the beginnings of their names behind `on`.
inline constexpr WordList kEventList(std::to_array<std::string_view>(
    {"abort",      "animation",  "auxclick", "before",     "begin",          "blur",       "bounce",
     "cancel",     "canplay",    "change",   "click",      "close",          "context",    "copy",
     "cue",        "cut",        "dblclick", "drag",       "drop",           "duration",   "emptied",
     "end",        "error",      "finish",   "focus",      "formdata",       "fullscreen", "gotpointer",
     "hashchange", "input",      "invalid",  "key",        "languagechange", "load",       "lostpointer",
     "message",    "mouse",      "offline",  "online",     "page",           "paste",      "pause",
     "play",       "pointer",    "popstate", "progress",   "ratechange",     "readystate", "repeat",
     "reset",      "resize",     "scroll",   "search",     "security",       "seek",       "select",
     "show",       "slotchange", "stalled",  "start",      "storage",        "submit",     "suspend",
     "timeupdate", "toggle",     "touch",    "transition", "unhandled",      "unload",     "volumechange",
     "waiting",    "webkit",     "wheel"}));

// The operators of document databases, without their `$`.
inline constexpr WordList kOperatorList(std::to_array<std::string_view>(
    {"accumulator", "addtoset", "all",   "and",     "comment", "elemmatch", "eq",         "exists", "expr",
     "function",    "group",    "gt",    "gte",     "in",      "inc",       "jsonschema", "lookup", "lt",
     "lte",         "match",    "merge", "mod",     "ne",      "near",      "nin",        "nor",    "not",
     "options",     "or",       "out",   "project", "pull",    "push",      "regex",      "rename", "search",
     "set",         "size",     "slice", "text",    "type",    "unionwith", "unset",      "where"}));

}  // namespace tidewire::guard
