#include "guard/content_scan.h"

#include <string.h>  // memrchr

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "guard/content_patterns.h"
#include "guard/content_suspicion.h"
#include "guard/content_triples.h"
#include "guard/content_words.h"
#include "guard/json_strings.h"

namespace tidewire::guard {

namespace {

using enum ContentRule;

constexpr unsigned kWaysOut = kTag | kBeginsWord | kBeginsGap;  // behind a quote
constexpr unsigned kSuspects = kTag | kInside | kScheme | kHandlerOrType | kNextStatement | kBeginsWord;
static_assert(JsonStrings::kZeros >= kTripleBlock + kTripleAhead);

// Judges one decoded string, around which there are zeros, and adds to `found` what it breaks.
class TextJudge {
 public:
  TextJudge(std::string_view text, ContentFlags& found) : text_(text), found_(found) {}

  void judge() {
    if (begins_as_query(text_) && lacks(sql_injection) && begins_with_query(text_)) found_.add(sql_injection);
    for (std::size_t block = 0; block < text_.size(); block += kTripleBlock) {
      auto [look, quotes] = kTextTriples.marks<'\'', '"'>(text_.data() + block);
      quotes[0] &= ~apostrophe_;
      apostrophe_ = 0;
      for (; look != 0; look &= look - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(look));
        const std::size_t at = block + i;
        const char* here = text_.data() + at;
        const unsigned classes = kTextTriples.classes(here);
        if (classes == 0) continue;
        if ((classes & kOther) != 0 && is_contraction(text_, at + 1)) {
          // No quote, be it in this block or the first character of the next one.
          quotes[0] &= ~(std::uint64_t{2} << i);
          apostrophe_ = i / (kTripleBlock - 1);
        }
        if (*here == '\'' || *here == '"') {
          const unsigned kind = *here == '"' ? 1 : 0;
          const std::uint64_t before = (std::uint64_t{1} << i) - 1;
          if ((classes & kWaysOut) != 0 && (quotes[kind] >> i & 1u) != 0)
            look_at_quote(at, here, ((std::popcount(quotes[kind] & before) + open_[kind]) & 1) != 0);
          if ((classes & kHandlerOrType) != 0) look_at(at);
        } else if ((classes & kSuspects) != 0) {
          look_at(at);
        }
      }
      for (std::size_t kind = 0; kind < 2; ++kind) open_[kind] += std::popcount(quotes[kind]);
    }
    if (has_references_ && lacks(javascript_uri)) look_at_references();
  }

 private:
  bool lacks(ContentRule rule) const { return !found_.has(rule); }

  void look_at_quote(std::size_t at, const char* here, bool partner) {
    if (partner) {
      if (may_be_tautology(here[1], here[2]) && lacks(sql_injection) && is_tautology(behind(text_, at + 1)))
        found_.add(sql_injection);
      return;
    }
    if (!may_break_out(here[1], here[2])) return;
    const std::string_view rest = behind(text_, at + 1);
    if (may_be_tautology(here[1], here[2]) && lacks(sql_injection) && is_tautology(rest))
      found_.add(sql_injection);
    if (breaks_out(rest)) {
      if (lacks(sql_injection) && goes_on_as_query(rest)) found_.add(sql_injection);
      if (lacks(nosql_operator) && may_be_code(rest) && goes_on_as_code(rest)) found_.add(nosql_operator);
    }
    if (text_.size() < kLongestExpression && lacks(sql_injection) && goes_on_as_expression(rest) &&
        is_expression(text_))
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
        if (begins_handler(text_.substr(at + 1))) decide(rule, has_event_handler);
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
  std::array<int, 2> open_{};     // so many quotes in the blocks before: single ones, double ones
  std::uint64_t apostrophe_ = 0;  // 1: the next block's first character is one
  bool has_references_ = false;
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
    return (classes & (*here == '\'' ? kHandlerOrType : kSuspects)) != 0 &&
           !suspect_at(to_end(at), at).empty();
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
