// The run of an agent (protocol §7, kind `agent`): `start`, `delta` {"text"}, `tool_call`, `tool_result`,
// `status`, one of `complete`, `fail`, `cancel`, and custom events, which are logged but not folded.
//
// The first event of any name implies `start`. The text is kept as the deltas spelled it (JSON, escapes
// and all), so that halves of a surrogate pair in two deltas become one character for a late reader too.
//
// `tools` is explained in tool_calls.h. `detail` is the data of the last `status`, absent before one; `usage`
// is a member of the data of `complete`.
//
// Bounds: 4 MiB of text (too_large beyond), 1000 tools with 4 MiB together (what comes on top is logged
// but not folded). Owned by the channel's home shard.
#pragma once

#include "kinds/owned_run.h"
#include "kinds/tool_calls.h"

namespace tidewire::kinds {

struct AgentOptions {
  std::size_t text_bytes_max = std::size_t{4} << 20;  // as JSON spells it
  ToolCalls::Bounds tools = {};
};

class Agent final : public OwnedRun {
 public:
  explicit Agent(AgentOptions options = {}) : options_(options), tools_(options.tools) {}

  // `cancel` is also for whoever may subscribe.
  Result<void> admit(const Event& event, const Asker& asker) const override;

  // Of ephemeral events only `status` and custom ones are taken; they are not folded.
  Result<Taken> take(const Event& event, const Asker& asker) override;
  Result<Taken> judge(const Event& event, const Asker& asker) const override;
  void replay(const Event& event) override;

  // {"status","text","tools","started_at","ended_at","usage"} and, after a `status`, "detail".
  std::string snapshot(std::int64_t now_ms) const override;
  std::string save() const override;
  bool restore(std::string_view saved) override;

  // Deltas in a row become one, their texts in a row; the rest of the data is that of the last one.
  std::optional<std::vector<Run>> conflate(std::vector<Run>&& runs) const override;

 private:
  void fold(const Event& event);

  AgentOptions options_;
  std::string text_;  // between the quotes of a JSON string
  ToolCalls tools_;
  std::int64_t started_ms_ = 0;  // 0: not yet
  std::int64_t ended_ms_ = 0;    // likewise
  std::string usage_ = "null";   // JSON
  std::string detail_;           // JSON; empty: none
};

}  // namespace tidewire::kinds
