#include "guard/content_scan.h"

#include <string.h>  // memrchr

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "guard/content_pairs.h"
#include "guard/content_patterns.h"
#include "guard/content_suspicion.h"
#include "guard/content_words.h"
#include "guard/json_strings.h"

namespace tidewire::guard {

namespace {

using enum ContentRule;

constexpr std::size_t kBlock = 64;
constexpr std::size_t kAhead = 2;  // so many characters behind one are looked at with it
static_assert(JsonStrings::kZeros >= kBlock + kAhead);

// A bit for each of the 64 characters from `at` on with which something could begin, or that is one of
// `these`.
template <char... kThese>
std::uint64_t suspects(const char* at) {
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < kBlock; i += sizeof(__m128i)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at + i));
    __m128i none = _mm_cmpeq_epi8(kContentPairs.look(at + i), _mm_setzero_si128());
    ((none = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(kThese)), none)), ...);
    found |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(none)) ^ 0xFFFFu} << i;
  }
  return found;
}

// Judges one decoded string, around which there are zeros, and adds to `found` what it breaks.
class TextJudge {
 public:
  TextJudge(std::string_view text, ContentFlags& found) : text_(text), found_(found) {}

  void judge() {
    if (begins_as_query(text_) && lacks(sql_injection) && begins_with_query(text_)) found_.add(sql_injection);
    for (std::size_t block = 0; block < text_.size(); block += kBlock) {
      for (std::uint64_t look = suspects<'"', '\''>(text_.data() + block); look != 0; look &= look - 1) {
        const std::size_t at = block + static_cast<unsigned>(std::countr_zero(look));
        const char* here = text_.data() + at;
        if (*here == '\'' || *here == '"')
          look_at_quote(at, here);
        else if (kContentPairs.contains(here[0], here[1]) && may_go_on_behind(here[1], here[2]) &&
                 ((*here | 0x20) != 'o' || may_end_before_name(here[-1])))
          look_at(at);
      }
    }
    if (has_references_ && lacks(javascript_uri)) look_at_references();
  }

 private:
  bool lacks(ContentRule rule) const { return !found_.has(rule); }

  void look_at_quote(std::size_t at, const char* here) {
    const bool is_double = *here == '"';
    if (!is_double && is_letter(here[1]) && is_letter(here[-1]) && is_contraction(text_, at)) return;
    bool& open = open_[is_double ? 1 : 0];
    const bool partner = open;
    open = !open;
    const std::string_view rest = behind(text_, at + 1), next = skip(rest, kBetween);
    if (next.empty() || !may_go_on(next.front(), next.data()[1])) return;
    if (lacks(sql_injection) && may_be_tautology(next.front()) && is_tautology(rest))
      found_.add(sql_injection);
    if (partner) return;
    if (breaks_out(rest)) {
      if (lacks(sql_injection) && goes_on_as_query(rest)) found_.add(sql_injection);
      if (lacks(nosql_operator) && goes_on_as_code(rest)) found_.add(nosql_operator);
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
        if (begins_handler(text_.substr(at))) decide(rule, has_event_handler);
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
  std::array<bool, 2> open_{};  // an odd number of quotes so far: single ones, double ones
  bool has_references_ = false;
};

// The way through a JSON text from one string that must be looked at to the next.
class JsonSearch {
 public:
  explicit JsonSearch(std::string_view json) : json_(json) {}

  // The first place from `from` on, which lies outside of strings, that calls for a look at its string;
  // the text's size if there is none.
  std::size_t next(std::size_t from) {
    for (std::size_t block = from; block < json_.size(); block += kBlock) {
      const char* here = json_.data() + block;
      std::array<char, kBlock + kAhead> last;
      if (block + last.size() > json_.size()) {
        last.fill('\0');
        memcpy(last.data(), here, json_.size() - block);
        here = last.data();
      }
      for (std::uint64_t look = suspects<'\\'>(here); look != 0; look &= look - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(look));
        if (is_suspect(block + i, here + i)) return block + i;
      }
    }
    return json_.size();
  }

 private:
  bool is_suspect(std::size_t at, const char* here) {
    if (*here == '\\') return true;
    if (!kContentPairs.contains(here[0], here[1])) return false;
    if (*here == '\'' ? !may_break_out(here[1], here[2]) : !may_go_on_behind(here[1], here[2])) return false;
    if ((*here | 0x20) == 'o' && (at == 0 || !may_end_before_name(json_[at - 1]))) return false;
    if (*here == '"') return begins_as_query(to_end(at + 1).substr(at + 1));
    return !suspect_at(to_end(at), at).empty();
  }

  // The text up to the end of the string in which `at` is.
  std::string_view to_end(std::size_t at) {
    if (at >= end_) end_ = std::min(json_.find('"', at), json_.size());
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
