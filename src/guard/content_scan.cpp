#include "guard/content_scan.h"

#include <string.h>  // memrchr

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include "guard/content_patterns.h"
#include "guard/content_suspicion.h"
#include "guard/content_triples.h"
#include "guard/content_words.h"
#include "guard/json_strings.h"

namespace tidewire::guard {

namespace {

using enum ContentRule;

static_assert(JsonStrings::kZeros >= kTripleBlock + kTripleAhead);

// Judges one decoded string, around which there are zeros, and adds to `found` what it breaks.
class TextJudge {
 public:
  TextJudge(std::string_view text, ContentFlags& found) : text_(text), found_(found) {}

  void judge() {
    if (begins_as_query(text_) && lacks(sql_injection) && begins_with_query(text_)) found_.add(sql_injection);
    std::uint64_t apostrophe = 0;               // 1: the block's first character is one
    unsigned odd_singles = 0, odd_doubles = 0;  // quotes before the block: whether their number is odd
    for (std::size_t block = 0; block < text_.size(); block += kTripleBlock) {
      const char* const first = text_.data() + block;
      auto [look, quotes] = kTextTriples.marks<'\'', '"'>(first);
      std::uint64_t singles = quotes[0] & ~apostrophe;
      const std::uint64_t doubles = quotes[1];
      apostrophe = 0;
      for (; look != 0; look &= look - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(look));
        const char* const here = first + i;
        const unsigned classes = kTextTriples.classes(here);
        if (classes == 0) continue;
        if (*here == '\'' || *here == '"') {
          const bool is_double = *here == '"';
          const std::uint64_t same = is_double ? doubles : singles, bit = std::uint64_t{1} << i;
          const unsigned odd = is_double ? odd_doubles : odd_singles;
          if ((same & bit) != 0)
            look_at_quote(here, ((static_cast<unsigned>(std::popcount(same & (bit - 1))) + odd) & 1) != 0);
          if ((classes & kHandlerOrType) != 0) look_at(block + i);
        } else if ((classes & kOther) == 0) {
          look_at(block + i);
        } else if (is_contraction(text_, block + i + 1)) {
          // No quote, be it in this block or the first character of the next one.
          singles &= ~(std::uint64_t{2} << i);
          apostrophe = i / (kTripleBlock - 1);
        }
      }
      odd_singles += static_cast<unsigned>(std::popcount(singles));
      odd_doubles += static_cast<unsigned>(std::popcount(doubles));
    }
    if (has_references_ && lacks(javascript_uri)) look_at_references();
  }

 private:
  bool lacks(ContentRule rule) const { return !found_.has(rule); }

  void look_at_quote(const char* here, bool partner) {
    const bool tautology = may_be_tautology(here[1], here[2]) && lacks(sql_injection);
    const bool way_out = !partner && may_break_out(here[1], here[2]);
    if (!tautology && !way_out) return;
    const std::string_view rest(here + 1, text_.data() + text_.size());
    if (tautology && is_tautology(rest)) found_.add(sql_injection);
    if (way_out) look_at_way_out(rest);
  }

  // What follows a quote without a partner before it.
  void look_at_way_out(std::string_view rest) {
    const bool code = lacks(nosql_operator) && may_be_code(rest);
    if ((code || lacks(sql_injection)) && breaks_out(rest)) {
      if (lacks(sql_injection) && goes_on_as_query(rest)) found_.add(sql_injection);
      if (code && goes_on_as_code(rest)) found_.add(nosql_operator);
    }
    if (text_.size() < kLongestExpression && lacks(sql_injection) &&
        skip(text_, kWord).size() == rest.size() + 1 && goes_on_as_expression(rest) && is_expression(text_))
      found_.add(sql_injection);
  }

  void look_at(std::size_t at) {
    const ContentFlags suspects = suspect_at(text_, at).without(found_);
    if (suspects.empty()) return;
    const ContentRule rule = suspects.first();
    switch (rule) {
      case script_tag:
        return decide(rule, has_script_tag);
      case iframe:
        return decide(rule, has_iframe);
      case event_handler:
        if (ends_value(text_.substr(0, at)) || (std::exchange(first_handler_, false) && has_markup(text_)))
          decide(rule, has_event_handler);
        return;
      case javascript_uri:
        if (text_[at] == '&')
          has_references_ = true;
        else
          decide(rule, has_script_scheme);
        return;
      case sql_injection:
        if (goes_on_with_drop(text_.substr(at + 1))) found_.add(rule);
        return;
      case nosql_operator:
        if (is_named_operator(text_, at)) decide(rule, has_operator);
        return;
    }
  }

  // By a look at the whole text, once.
  void decide(ContentRule rule, bool (*breaks)(std::string_view)) {
    if (decided_.has(rule)) return;
    decided_.add(rule);
    if (breaks(text_)) found_.add(rule);
  }

  // Behind references there may be what is none of the text's own characters.
  void look_at_references() {
    const std::string plain = without_references(text_);
    for (std::size_t at = plain.find_first_of(":/"); at != std::string::npos;
         at = plain.find_first_of(":/", at + 1))
      if (is_script_scheme_at(plain, at)) {
        if (has_script_scheme(plain)) found_.add(javascript_uri);
        return;
      }
  }

  std::string_view text_;
  ContentFlags& found_;
  ContentFlags decided_;
  bool has_references_ = false;
  bool first_handler_ = true;
};

// The way through a JSON text from one string that must be looked at to the next.
class JsonSearch {
 public:
  explicit JsonSearch(std::string_view json) : json_(json) {}

  // The first place from `from` on, which lies outside of strings, that calls for a look at its string;
  // the text's size if there is none.
  std::size_t next(std::size_t from) {
    for (std::size_t block = from; block < json_.size(); block += kTripleBlock) {
      const char* here = json_.data() + block;
      std::array<char, kTripleBlock + kTripleAhead> last;
      if (block + last.size() > json_.size()) {
        last.fill('\0');
        memcpy(last.data(), here, json_.size() - block);
        here = last.data();
      }
      const auto [triples, escapes] = kJsonTriples.marks<'\\'>(here);
      for (std::uint64_t look = triples | escapes[0]; look != 0; look &= look - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(look));
        if (is_suspect(block + i, here + i)) return block + i;
      }
    }
    return json_.size();
  }

 private:
  bool is_suspect(std::size_t at, const char* here) {
    if (*here == '\\') return true;
    const unsigned classes = kJsonTriples.classes(here);
    if (classes == 0) return false;
    if ((classes & kOther) != 0) return begins_as_query(behind(to_end(at), at + 1));
    if (*here == '\'' && may_break_out(here[1], here[2])) {
      const std::string_view rest = behind(to_end(at), at + 1);
      if (breaks_out(rest) || goes_on_as_expression(rest)) return true;
    }
    return (*here != '\'' || (classes & kHandlerOrType) != 0) && !suspect_at(to_end(at), at).empty();
  }

  // The text up to the end of the string in which `at` is, or that begins behind it.
  std::string_view to_end(std::size_t at) {
    if (at >= end_) end_ = std::min(json_.find('"', at + 1), json_.size());
    return json_.substr(0, end_);
  }

  std::string_view json_;
  std::size_t end_ = 0;
};

}  // namespace

ContentFlags scan_content(std::string_view json) {
  ContentFlags found;
  JsonSearch search(json);
  JsonStrings strings(json);
  for (std::size_t at = search.next(0); at < json.size(); at = search.next(strings.end())) {
    const auto* quote = static_cast<const char*>(memrchr(json.data(), '"', at + 1));
    const std::string_view text =
        strings.decode(quote == nullptr ? 0 : static_cast<std::size_t>(quote + 1 - json.data()));
    if (text.size() > 2 && text.front() == '$' && is_nosql_operator(text) && strings.is_key())
      found.add(nosql_operator);
    TextJudge(text, found).judge();
  }
  return found;
}

}  // namespace tidewire::guard
