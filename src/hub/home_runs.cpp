// Uploads and runs of agents whose creator is gone (protocol §7 `upload`, `agent`).

#include "hub/home.h"
#include "hub/publish.h"

namespace tidewire::hub {

void Home::watch_run(Handle handle, Channel& channel) {
  if (channel.run() == nullptr) return;
  const kinds::OwnedRun& run = *channel.run();
  Folded::RunCheck& check = channel.folded()->run_check;
  if (check.scheduled || run.ended() || run.creator().empty()) return;
  check.scheduled = true;
  runs_.push({channel.folded()->idle_from_ms + channel.ns->idle_timeout_ms, handle});
}

void Home::review_runs() {
  Queue<Due> runs;
  for (; !runs_.empty(); runs_.pop()) runs.push({.at_ms = 0, .channel = runs_.top().channel});
  runs_ = std::move(runs);
}

void Home::check_runs(const Time& now) {
  while (!runs_.empty() && runs_.top().at_ms <= now.unix_ms) {
    const Handle handle = runs_.top().channel;
    runs_.pop();
    Channel* channel = channels_.get(handle);
    if (channel == nullptr) continue;
    Folded& folded = *channel->folded();
    folded.run_check.scheduled = false;
    if (folded.idle_from_ms + channel->ns->idle_timeout_ms > now.unix_ms) {
      watch_run(handle, *channel);
      continue;
    }
    const kinds::OwnedRun& run = *channel->run();
    if (run.ended()) continue;
    folded.run_check = {.parts_left = options_.shards, .connections = 0, .scheduled = true};
    const UserQuery query{.tenant = channel->key.tenant, .user_id = std::string(run.creator())};
    for (ShardId shard = 0; shard < options_.shards; ++shard)
      post_(shard, Ask{.reply = {.kind = ReplyTo::Kind::home, .target = handle}, .question = query});
  }
}

void Home::handle(ShardId, Answer&& answer, const Time& now) {
  Channel* channel = channels_.get(answer.reply.target);
  if (channel == nullptr) return;
  Folded& folded = *channel->folded();
  folded.run_check.connections += answer.part.connections.size();
  if (--folded.run_check.parts_left > 0) return;
  folded.run_check.scheduled = false;
  if (folded.run_check.connections > 0 || folded.idle_from_ms + channel->ns->idle_timeout_ms > now.unix_ms) {
    folded.idle_from_ms = now.unix_ms;
    return watch_run(answer.reply.target, *channel);
  }
  PublishCommand fail_it;
  fail_it.channel = channel->key;
  fail_it.reply.kind = ReplyTo::Kind::nobody;
  fail_it.author = server_author();
  fail_it.tail = SharedBytes(event_tail("fail", {}, R"({"reason":"orphaned"})"));
  fail_it.rights = {.server = true, .subscribe = true, .publish = true};
  handle(options_.self, std::move(fail_it), now);
}

}  // namespace tidewire::hub
