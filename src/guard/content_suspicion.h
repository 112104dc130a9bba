// The cheap look that comes before the rules: which of them a text could break at all.
//
// Never misses what a rule in content_patterns.cpp would find; finds more than they do. Innocent text
// costs it a vector pass. Pure.
#pragma once

#include <string_view>

#include "guard/content_rules.h"

namespace tidewire::guard {

struct Suspicion {
  ContentFlags rules;
  bool escapes = false;  // there is a backslash, behind which anything may be: nothing else was looked at
};

// `json`: a whole JSON text as it stands.
Suspicion suspect_json(std::string_view json);
// `text`: one decoded string.
ContentFlags suspect_text(std::string_view text);

// Whether `rest`, behind a quote or a number, goes on as a query could that somebody else has begun.
bool breaks_out(std::string_view rest);

// An operator of a document database's query language, `$` included.
bool is_nosql_operator(std::string_view word);

}  // namespace tidewire::guard
