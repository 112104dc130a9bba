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
#include "guard/wide_vectors.h"

namespace tidewire::guard {

namespace {

using enum ContentRule;

static_assert(JsonStrings::kZeros >= kTripleBlock + kTripleAhead);

// Judges one decoded string, around which there are zeros, and adds to `found` what it breaks.
template <bool kWide>
class TextJudge {
 public:
  TextJudge(std::string_view text, ContentFlags& found) : text_(text), found_(found) {}

  [[gnu::always_inline]] void judge() {
    if (begins_as_query(text_) && lacks(sql_injection) && begins_with_query(text_)) found_.add(sql_injection);
    std::uint64_t apostrophe = 0;               // 1: the block's first character is one
    unsigned odd_singles = 0, odd_doubles = 0;  // quotes before the block: whether their number is odd
    for (std::size_t block = 0; block < text_.size(); block += kTripleBlock) {
      const char* const first = text_.data() + block;
      auto [look, quotes] = kTextTriples.template marks<kWide, '\'', '"'>(first);
      std::uint64_t singles = quotes[0] & ~apostrophe;
      const std::uint64_t doubles = quotes[1];
      apostrophe = 0;
      for (; look != 0; look &= look - 1) {
        const char* const here = first + std::countr_zero(look);
        const std::uint64_t bit = look & (0 - look);
        if (*here == '"') {
          look_at_quote(here, odd_doubles + count(doubles & (bit - 1)));
        } else if (*here == '\'') {
          if ((singles & bit) != 0) look_at_quote(here, odd_singles + count(singles & (bit - 1)));
        } else if (const unsigned classes = kTextTriples.classes(here); (classes & kOther) == 0) {
          // The semicolons of code are done with here.
          if (classes != 0 && (*here != ';' || may_drop(rest(here)))) look_at(place_of(here));
        } else if (is_contraction(text_, place_of(here) + 1)) {
          // No quote, be it in this block or the first character of the next one.
          singles &= ~(bit << 1);
          apostrophe = bit >> (kTripleBlock - 1);
        }
      }
      odd_singles += count(singles);
      odd_doubles += count(doubles);
    }
    if (has_references_ && lacks(javascript_uri)) look_at_references();
  }

 private:
  static unsigned count(std::uint64_t bits) { return static_cast<unsigned>(std::popcount(bits)); }
  std::size_t place_of(const char* here) const { return static_cast<std::size_t>(here - text_.data()); }
  bool lacks(ContentRule rule) const { return !found_.has(rule); }

  // Before which there are `before` ones of its kind, or as many more as make no difference.
  void look_at_quote(const char* here, unsigned before) {
    if (may_be_tautology(here[1], here[2]) && lacks(sql_injection) && is_tautology(rest(here)))
      found_.add(sql_injection);
    if ((before & 1) == 0 && may_break_out(here[1], here[2])) look_at_way_out(rest(here));
    if ((quote_follower(here[1]) & kAttribute) != 0) look_at(place_of(here));
  }
  std::string_view rest(const char* quote) const { return {quote + 1, text_.data() + text_.size()}; }

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
template <bool kWide>
class JsonSearch {
 public:
  explicit JsonSearch(std::string_view json) : json_(json) {}

  // The first place from `from` on, which lies outside of strings, that calls for a look at its string;
  // the text's size if there is none.
  [[gnu::always_inline]] std::size_t next(std::size_t from) {
    for (std::size_t block = from; block < json_.size(); block += kTripleBlock) {
      const char* here = json_.data() + block;
      std::array<char, kTripleBlock + kTripleAhead> last;
      if (block + last.size() > json_.size()) {
        last.fill('\0');
        memcpy(last.data(), here, json_.size() - block);
        here = last.data();
      }
      const auto [triples, escapes] = kJsonTriples.template marks<kWide, '\\'>(here);
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

template <bool kWide>
[[gnu::always_inline]] inline ContentFlags scan(std::string_view json) {
  ContentFlags found;
  JsonSearch<kWide> search(json);
  JsonStrings strings(json);
  for (std::size_t at = search.next(0); at < json.size(); at = search.next(strings.end())) {
    const auto* quote = static_cast<const char*>(memrchr(json.data(), '"', at + 1));
    const std::size_t begin = quote == nullptr ? 0 : static_cast<std::size_t>(quote + 1 - json.data());
    const std::string_view text = kWide ? strings.decode_wide(begin) : strings.decode(begin);
    if (text.size() > 2 && text.front() == '$' && is_nosql_operator(text) && strings.is_key())
      found.add(nosql_operator);
    TextJudge<kWide>(text, found).judge();
  }
  return found;
}

[[TIDEWIRE_WIDE_VECTORS]] ContentFlags scan_wide(std::string_view json) { return scan<true>(json); }

}  // namespace

ContentFlags scan_content(std::string_view json) {
  return has_wide_vectors() ? scan_wide(json) : scan_content_narrow(json);
}
ContentFlags scan_content_narrow(std::string_view json) { return scan<false>(json); }

}  // namespace tidewire::guard
