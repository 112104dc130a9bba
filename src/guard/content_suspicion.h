// The cheap looks that come before the rules: whether something could begin at a place of a text.
//
// Each finds all that the rules in content_patterns.h find there, and more. They read the text from the
// place on until they know, so that a text costs time in proportion to its length. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "guard/content_rules.h"
#include "guard/content_words.h"

namespace tidewire::guard {

inline constexpr std::size_t kLongestComment = 256;  // of one that stands between two words of a query

// The rules that what begins at `at` could break, where content_triples.h finds something, but for what a
// query could go on behind.
ContentFlags suspect_at(std::string_view text, std::size_t at);

// Whether `rest`, behind a quote or a number, goes on as a query could that somebody else has begun.
bool breaks_out(std::string_view rest);
// Whether a text's beginning is a number, or the end of a bracket, behind which it does.
bool begins_as_query(std::string_view text);
// Whether `rest`, behind the first quote, could make the whole of a short text an expression.
bool goes_on_as_expression(std::string_view rest);
// Whether it could go on as a program.
bool may_be_code(std::string_view rest);

// Whether a value that somebody else has begun ends before an attribute, and whether one could stand in this
// text otherwise: in a tag, or behind others behind the end of a value.
bool ends_value(std::string_view before);
bool has_markup(std::string_view text);

// Whether behind a semicolon `drop` or `truncate` follows. In the header since each line of code ends so.
inline bool may_drop(std::string_view rest) {
  rest = skip(rest, kBlank);
  return starts_with_word(rest, "drop") || starts_with_word(rest, "truncate");
}

// Whether the operator at `at`, a `$`, stands as a name or an index does.
bool is_named_operator(std::string_view text, std::size_t at);
// Whether a scheme that runs a script ends at `at`, a colon, or the type that does begins its subtype.
bool is_script_scheme_at(std::string_view text, std::size_t at);

// An operator of a document database's query language, `$` included.
bool is_nosql_operator(std::string_view word);

}  // namespace tidewire::guard
