// A document that many edit (protocol §7, kind `document`): `data` replaces it, `merge` is a JSON Merge
// Patch (RFC 7396), `patch` a JSON Patch (RFC 6902). It starts as null.
//
// Numbers keep their value: integers from -2^63 to 2^64-1 exactly, others as doubles. Of a key that
// stands twice the last one counts. Keys come out sorted.
//
// Invariants: the length of its compact text is known at any time, by adding up what each change adds and
// takes away; it nests at most 128 deep; a refused event leaves it as it was. Owned by the channel's home
// shard.
#pragma once

#include <cstddef>
#include <memory>

#include "kinds/fold.h"

namespace tidewire::kinds {

struct DocumentOptions {
  std::size_t bytes_max = std::size_t{1} << 20;  // of the compact dump
};

class Document final : public Fold {
 public:
  explicit Document(DocumentOptions options = {});
  ~Document() override;

  // Nobody owns a document.
  bool owned_by(std::string_view user_id) const override;
  Result<void> admit(const Event& event, const Asker& asker) const override;

  // invalid_event: a patch that is none or does not apply, a number beyond a double, a lone surrogate,
  // nested deeper than 128. too_large: the document would pass its limit, or the patch is too much work.
  Result<Taken> take(const Event& event, const Asker& asker) override;

  // What is not a whole document is tried on a copy.
  Result<Taken> judge(const Event& event, const Asker& asker) const override;

  // The limit on size is not asked again: what was taken under an older configuration stays.
  void replay(const Event& event) override;

  std::string snapshot(std::int64_t now_ms) const override;
  std::string save() const override;
  bool restore(std::string_view saved) override;

  // Merges become one merge, where one can say the same whatever the document was before. nullopt when
  // there is a `data` or `patch` among several, or when the one merge would be longer than a document may be.
  std::optional<std::vector<Run>> conflate(std::vector<Run>&& runs) const override;

 private:
  struct State;
  Result<void> fold(const Event& event, std::size_t bytes_max);

  DocumentOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace tidewire::kinds
