#include "kinds/document.h"

#include <fmt/format.h>

#include "kinds/json_patch.h"
#include "kinds/merge_patch.h"
#include "kinds/merged_run.h"

namespace tidewire::kinds {

namespace {

// Of a patch, so that none takes longer than a few whole documents do: a patch may copy twice what a document
// can hold, and have this many bytes looked at.
constexpr std::size_t kCopiesMax = 2;
constexpr std::size_t kWorkMax = std::size_t{16} << 20;

constexpr std::size_t kNoLimit = std::size_t{1} << 48;

std::unexpected<Error> too_long(std::size_t bytes_max) {
  return fail(ErrorCode::too_large, fmt::format("the document would be longer than {} bytes", bytes_max));
}

}  // namespace

struct Document::State {
  Json tree = nullptr;
  std::size_t bytes = 4;     // of the tree's text
  mutable std::string text;  // empty: has to be written anew

  void put(Json&& value, std::size_t value_bytes) {
    tree = std::move(value);
    bytes = value_bytes;
  }
};

Document::Document(DocumentOptions options) : options_(options), state_(std::make_unique<State>()) {}
Document::~Document() = default;

bool Document::owned_by(std::string_view) const { return false; }

Result<void> Document::admit(const Event&, const Asker& asker) const {
  if (asker.server || asker.may_publish) return {};
  if (asker.user_id.empty()) return fail(ErrorCode::unauthorized);
  return fail(ErrorCode::forbidden, "this identity may not change the document");
}

Result<Taken> Document::take(const Event& event, const Asker&) {
  if (event.seq == 0) return Taken{};
  if (auto folded = fold(event, options_.bytes_max); !folded) return std::unexpected(folded.error());
  return Taken{};
}

Result<Taken> Document::judge(const Event& event, const Asker& asker) const {
  Document copy(options_);
  if (event.form != Event::Form::data) copy.state_->put(Json(state_->tree), state_->bytes);
  return copy.take(event, asker);
}

void Document::replay(const Event& event) {
  if (event.seq != 0) (void)fold(event, kNoLimit);
}

Result<void> Document::fold(const Event& event, std::size_t bytes_max) {
  using enum Event::Form;
  auto payload = parse_tree(event.payload, event.form == data    ? "`data`"
                                           : event.form == merge ? "`merge`"
                                                                 : "`patch`");
  if (!payload) return std::unexpected(payload.error());
  State& state = *state_;
  switch (event.form) {
    case data: {
      const std::size_t bytes = measure(*payload).bytes;
      if (bytes > bytes_max) return too_long(bytes_max);
      state.put(std::move(*payload), bytes);
      break;
    }
    case merge: {
      const auto growth = merge_growth(state.tree, *payload);
      const auto bytes = static_cast<std::size_t>(static_cast<std::int64_t>(state.bytes) + growth);
      if (bytes > bytes_max) return too_long(bytes_max);
      apply_merge(state.tree, std::move(*payload));
      state.bytes = bytes;
      break;
    }
    case patch: {
      const bool bounded = bytes_max != kNoLimit;
      const PatchLimits limits{.bytes_max = bytes_max,
                               .copied_max = bounded ? bytes_max * kCopiesMax : kNoLimit,
                               .work_max = bounded ? kWorkMax : kNoLimit};
      if (auto done = apply_patch(state.tree, state.bytes, std::move(*payload), limits); !done) return done;
    }
  }
  state.text.clear();
  return {};
}

std::string Document::snapshot(std::int64_t) const {
  if (state_->text.empty()) state_->text = text_of(state_->tree);
  return state_->text;
}

std::string Document::save() const { return snapshot(0); }

bool Document::restore(std::string_view saved) {
  *state_ = {};
  auto tree = parse_tree(saved, "the saved document");
  if (!tree) return false;
  const std::size_t bytes = measure(*tree).bytes;
  state_->put(std::move(*tree), bytes);
  return true;
}

std::optional<std::vector<Run>> Document::conflate(std::vector<Run>&& runs) const {
  if (runs.size() < 2) return std::move(runs);
  Json merged;
  for (const Run& run : runs) {
    const Event event = event_of(run.body, 0);
    if (event.form != Event::Form::merge) return std::nullopt;
    auto tree = parse_tree(event.payload, "`merge`");
    if (!tree) return std::nullopt;
    if (&run == &runs.front())
      merged = std::move(*tree);
    else if (!compose_merges(merged, std::move(*tree)))
      return std::nullopt;
  }
  const std::string text = text_of(merged);
  if (text.size() > options_.bytes_max) return std::nullopt;
  std::vector<Run> one;
  one.push_back(merged_run(runs, "merge", text));
  return one;
}

}  // namespace tidewire::kinds
