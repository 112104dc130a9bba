// Which three characters beside each other could begin something that a rule of the content policy is about.
//
// One set for the text of a message, of which strings are decoded where it finds something; one for a decoded
// string. Constants; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "guard/content_words.h"
#include "guard/triple_set.h"

namespace tidewire::guard {

// Behind a quote, or at a text's beginning, something goes on that somebody else has begun.
constexpr bool may_go_on(char c) {
  return is_any_of(c, kBetween) || std::string_view("-#=|&;/").contains(c) || kQueryWordList.may_begin(c);
}
// The character behind that one.
constexpr bool may_go_on_further(char c) {
  return is_any_of(c, kBetween | kWord) || std::string_view("-#=|&;/*%'\"").contains(c);
}

// `|` and `}` behind a quote stand with the tags: with blanks in one class they would, by the halves of a
// character, take `x` and `y` for one too. Behind a brace only a program goes on.
enum Triple : unsigned {
  kTag = 1,             // its `<`, and what follows; a quote, and `|` or `}`
  kInside = 2,          // of a tag's name behind a prefix, or of a reference
  kScheme = 4,          // its last two characters and a colon
  kHandlerOrType = 8,   // what stands before `on`; the end of `text`, and `/h`
  kNextStatement = 16,  // the semicolon before it
  kBeginsWord = 32,     // a quote or a `$`, and a word's first two letters
  kBeginsGap = 64,      // a quote, and how a query could go on if not with a word at once
  kOther = 128          // as it says below
};
constexpr auto triples(std::string_view before_tag, std::string_view before_word, std::string_view quotes,
                       TripleClass other) {
  return std::to_array<TripleClass>({
      {before_tag, [](char c) { return is_blank(c) || std::string_view("/si|}").contains(c); },
       [](char c) { return is_blank(c) || std::string_view("/sicf)}|&;").contains(c); }},
      {":&", [](char c) { return std::string_view("si#ctnl").contains(c); },
       [](char c) { return is_digit(c) || std::string_view("cfxoaep").contains(c); }},
      {{"pPtT \t\n\v\f\r\0", 11},
       [](char c) { return is_blank(c) || c == 't'; },
       [](char c) { return c == ':'; }},
      {{"tT/\"'` \t\n\v\f\r\0", 13},
       [](char c) { return c == 'o' || c == '/'; },
       [](char c) { return c == 'n' || c == 'h'; }},
      {";", [](char c) { return is_blank(c) || c == 'd' || c == 't'; },
       [](char c) { return is_blank(c) || std::string_view("dtr").contains(c); }},
      {before_word, [](char c) { return kQueryWordList.may_begin(c) || kOperatorList.may_begin(c); },
       [](char c) { return kQueryWordList.may_go_on(c) || kOperatorList.may_go_on(c); }},
      {quotes, [](char c) { return !is_letter(c) && c != '|' && c != '}' && may_go_on(c); },
       may_go_on_further},
      other,
  });
}
// The other one: the quote that begins a text, and a number.
inline constexpr TripleSet kJsonTriples(triples(
    "<'", "$'", "'", {"\"", [](char c) { return is_digit(c) || c == '-' || c == ')'; }, may_go_on_further}));
// The other one: an apostrophe within a word, as in `it's`.
inline constexpr TripleSet kTextTriples(
    triples("<'\"", "$'\"", "'\"",
            {"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", [](char c) { return c == '\''; },
             [](char c) { return std::string_view("stdmrvl").contains(c); }}));

// What may follow a quote, by its character: a table, since code is full of quotes.
enum QuoteFollower : std::uint8_t {
  kGap = 1,        // what stands between the quote and what goes on
  kGoesOn = 2,     // a query or an expression
  kTautology = 4,  // a literal could be compared with itself
  kQueryWord = 8,  // a query, if the next letter is right too
  kAttribute = 16  // its name, or a type
};
inline constexpr auto kQuoteFollowers = [] {
  std::array<std::uint8_t, 256> followers{};
  for (unsigned code = 0; code < 128; ++code) {
    const char c = static_cast<char>(code);
    unsigned follower = 0;
    if (is_any_of(c, kBetween))
      follower = kGap;
    else if (may_go_on(lower(c)))
      follower = is_letter(c) ? kQueryWord : kGoesOn;
    if (std::string_view("oa|/").contains(lower(c))) follower |= kTautology;
    if (lower(c) == 'o' || c == '/') follower |= kAttribute;
    followers[code] = static_cast<std::uint8_t>(follower);
  }
  return followers;
}();
constexpr unsigned quote_follower(char c) { return kQuoteFollowers[static_cast<std::uint8_t>(c)]; }

// Whether behind a quote something may go on, by the two characters that follow it.
constexpr bool may_break_out(char next, char behind_it) {
  const unsigned follower = quote_follower(next);
  if ((follower & kQueryWord) != 0) return kQueryWordList.may_begin(next, behind_it);
  return follower == kGap ? quote_follower(behind_it) != 0 : follower != 0;
}
// The same of a literal that could be compared with itself.
constexpr bool may_be_tautology(char next, char behind_it) {
  const unsigned follower = quote_follower(next);
  return (follower & kTautology) != 0 ||
         (follower == kGap && (quote_follower(behind_it) & (kGap | kTautology)) != 0);
}

}  // namespace tidewire::guard
