// Conflated channels: at most one delivery per window (protocol §7 `document`).

#include "hub/home.h"

namespace tidewire::hub {

namespace {
// What waits in a conflated channel's window is merged before it gets longer than this.
constexpr std::size_t kWindowRuns = 256;
constexpr std::size_t kWindowBytes = 256 * 1024;
}  // namespace

void Home::show(Handle handle, Channel& channel, const PendingEntry& pending, const Time& now) {
  const std::uint64_t seq = pending.entry.seq;
  const auto deliver_it = [&] {
    deliver(channel, seq, seq, pending.entry.body, pending.skip, pending.asker.shard);
  };
  const std::int64_t window_ms = channel.conflate_ms();
  if (window_ms == 0 && !(channel.folded() && channel.folded()->window)) return deliver_it();
  Folded& folded = *channel.folded();
  if (!folded.window) {  // what came before a reload was shown as it came
    folded.window = std::make_unique<Folded::Window>();
    folded.shown = seq - 1;
  }
  Folded::Window& window = *folded.window;
  if (folded.shown + 1 == seq && now.mono_ms() >= window.ends_ms) {
    window.ends_ms = now.mono_ms() + window_ms;
    folded.shown = seq;
    return deliver_it();
  }
  schedule_window(handle, window);
  if (folded.shown + 1 == seq) {
    window.skip = pending.skip;
    window.skip_shard = pending.asker.shard;
  } else if (window.skip != pending.skip || window.skip_shard != pending.asker.shard) {
    window.skip = {};
  }
  if (window.whole) return;
  window.runs.push_back({.first = seq, .last = seq, .body = pending.entry.body});
  window.bytes += pending.entry.body.size();
  if (window.runs.size() < kWindowRuns && window.bytes < kWindowBytes) return;
  auto merged = folded.fold->conflate(std::move(window.runs));
  window.runs.clear();
  window.bytes = 0;
  window.whole = !merged;
  if (!merged) return;
  for (const kinds::Run& run : *merged) window.bytes += run.body.size();
  window.runs = std::move(*merged);
  window.whole = window.bytes >= kWindowBytes;
}

void Home::schedule_window(Handle handle, Folded::Window& window) {
  if (window.scheduled) return;
  window.scheduled = true;
  windows_.push({window.ends_ms, handle});
}

// What was held back when an append failed, from the entries that are safe; nothing may be left of others.
void Home::refill_window(Handle handle, Channel& channel) {
  Folded& folded = *channel.folded();
  Folded::Window& window = *folded.window;
  window.runs.clear();
  window.bytes = 0;
  window.skip = {};
  window.whole = false;
  if (folded.shown == channel.seq) return;
  window.whole = !channel.history().holds(folded.shown + 1);
  for (std::uint64_t seq = folded.shown + 1; !window.whole && seq <= channel.seq; ++seq) {
    window.runs.push_back({.first = seq, .last = seq, .body = channel.history().at(seq).body});
    window.bytes += window.runs.back().body.size();
  }
  schedule_window(handle, window);
}

void Home::show_due(const Time& now) {
  while (!windows_.empty() && windows_.top().at_ms <= now.mono_ms()) {
    const Handle handle = windows_.top().channel;
    windows_.pop();
    Channel* channel = channels_.get(handle);
    if (channel == nullptr || !channel->folded() || !channel->folded()->window) continue;
    Folded::Window& window = *channel->folded()->window;
    window.scheduled = false;
    // What a failed append has left is told once the state is built anew (finish_opening).
    if (channel->durable() && channel->durable()->state != DurableState::State::open) continue;
    if (window.ends_ms <= now.mono_ms())
      close_window(handle, *channel, now);
    else if (channel->folded()->shown < channel->seq)
      schedule_window(handle, window);  // the one before it has ended early
  }
}

void Home::close_window(Handle handle, Channel& channel, const Time& now) {
  Folded& folded = *channel.folded();
  Folded::Window& window = *folded.window;
  // When the log has answered nothing waits any more, or the state is built anew.
  if (window.telling) return;
  window.ends_ms = now.mono_ms() + channel.conflate_ms();
  if (channel.seq == folded.shown) return;
  if (!window.whole) {
    auto merged = folded.fold->conflate(std::exchange(window.runs, {}));
    window.bytes = 0;
    if (merged) {
      for (const kinds::Run& run : *merged)
        deliver(channel, run.first, run.last, run.body, window.skip, window.skip_shard);
      folded.shown = channel.seq;
      return;
    }
  }
  // The whole state, which may be ahead of what is safe: then what it stands for grows until it is.
  window.whole = window.telling = true;
  window.runs.clear();
  window.bytes = 0;
  const std::uint64_t seq = folded.seq;
  const ShardId skip_shard = window.skip_shard;
  Handle skip = window.skip;
  for (std::size_t i = 0; skip && channel.durable() && i < channel.durable()->pending.size(); ++i) {
    const PendingEntry& pending = channel.durable()->pending[i];
    if (pending.skip != skip || pending.asker.shard != skip_shard) skip = {};
  }
  settle(channel, [this, handle, seq, skip, skip_shard,
                   body = folded.fold->whole(folded.shown + 1, seq, now.unix_ms)](const Error* error) {
    Channel& there = *channels_.get(handle);
    Folded& its = *there.folded();
    its.window->telling = false;
    if (error == nullptr) {  // opening it anew shows what is safe otherwise
      deliver(there, its.shown + 1, seq, body, skip, skip_shard);
      its.shown = seq;
      its.window->whole = false;
    }
    for (const auto& then : std::exchange(its.window->behind, {})) then();
  });
}

}  // namespace tidewire::hub
