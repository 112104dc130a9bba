// What the rules of the content policy mean (protocol §7): regular expressions over one decoded string.
//
// The rules about markup and schemes look at a whole text, those about queries at places in it, which
// content_scan.cpp finds. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidewire::guard {

bool has_script_tag(std::string_view text);
bool has_iframe(std::string_view text);
bool has_event_handler(std::string_view text);

// A scheme that runs a script: as the text stands, and as markup's references make it.
bool has_script_scheme(std::string_view text);
// The characters of a text for which references stand in it; what is no such reference stays.
std::string without_references(std::string_view text);

// An operator of a document database, in text that another program reads as a query.
bool has_operator(std::string_view text);

// The apostrophe at `at`, as of `it's` or `don't`, is no quote.
bool is_contraction(std::string_view text, std::size_t at);

// What stands behind a quote that has no partner before it: a query goes on, or a program.
bool goes_on_as_query(std::string_view rest);
bool goes_on_as_code(std::string_view rest);
// Behind any quote: `or` and a literal compared with itself. A zero must stand behind the text.
bool is_tautology(std::string_view rest);
// Behind a semicolon.
bool goes_on_with_drop(std::string_view rest);
// The text begins with a number behind which a query goes on.
bool begins_with_query(std::string_view text);
// All of the text is an expression with a quote without a partner.
bool is_expression(std::string_view text);
inline constexpr std::size_t kLongestExpression = 64;

}  // namespace tidewire::guard
