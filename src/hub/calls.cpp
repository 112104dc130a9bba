#include "hub/calls.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "hub/judge.h"
#include "hub/publish.h"

namespace tidewire::hub {

ReplyTo Calls::expect(Done done, int parts) {
  return {.kind = ReplyTo::Kind::call,
          .target = pending_.emplace(Pending{.done = std::move(done), .parts_left = parts, .sum = {}})};
}

template <class Result, class Callback>
Calls::Done Calls::unwrap(Callback done) {
  return [done = std::move(done)](Message&& answer) { done(std::move(std::get<Result>(answer).result)); };
}

void Calls::send_home(const ChannelKey& channel, Message&& command) {
  post_(home_of(channel, hash_seed_, shards_), std::move(command));
}

void Calls::publish(const CallOrigin& origin, protocol::PublishRequest&& request, const Time& now,
                    std::function<void(Result<Published>)> done) {
  const auto admission = admit(namespaces_, origin.caller, auth::Action::publish, request.channel);
  if (!admission) return done(std::unexpected(admission.error()));
  const std::string user(inbox_user(*admission->ns, request.channel));
  guard::LimitKey key;
  auto state = std::optional(guard::UserState::exists);
  if (directory_ && !user.empty()) {
    key = directory_->keys.user(directory_->tenants[origin.tenant].name, user);
    state = directory_->users.find(key, now.mono_ms());
  }
  if (state)
    if (const auto refusal = inbox_refusal(*state, directory_ ? &directory_->users : nullptr, now))
      return done(std::unexpected(*refusal));
  if (overload_ != nullptr && !passes_overload(*overload_, gate_, admission->ns->priority))
    return done(std::unexpected(overload_error()));
  PublishCommand command = prepare_publish(origin.tenant, *admission, origin.author, std::move(request));
  if (state) return send_publish(std::move(command), std::move(done));
  wait_for_user({.user = key, .command = std::move(command), .done = std::move(done)}, user, now);
}

void Calls::send_publish(PublishCommand&& command, std::function<void(Result<Published>)>&& done) {
  command.reply = expect(unwrap<PublishResult>(std::move(done)));
  const ChannelKey channel = command.channel;
  send_home(channel, std::move(command));
}

void Calls::wait_for_user(WaitingPublish&& waiting, const std::string& user, const Time& now) {
  const std::size_t bytes = waiting.command.tail.size();
  if (!directory_->ask || waiting_.size() >= kWaitingMax || waiting_bytes_ + bytes > kWaitingBytesMax)
    return waiting.done(std::unexpected(directory_unavailable(&directory_->users, now)));
  const TenantId tenant = waiting.command.channel.tenant;
  const bool asked = std::ranges::find(waiting_, waiting.user, &WaitingPublish::user) != waiting_.end();
  waiting_bytes_ += bytes;
  waiting_.push_back(std::move(waiting));
  if (!asked) directory_->ask(tenant, user);
}

void Calls::user_answered(const guard::LimitKey& user, guard::UserState state, const Time& now) {
  // Taken out first: what is answered may publish again.
  std::vector<WaitingPublish> due;
  for (WaitingPublish& waiting : std::exchange(waiting_, {}))
    (waiting.user == user ? due : waiting_).push_back(std::move(waiting));
  for (WaitingPublish& waiting : due) {
    waiting_bytes_ -= waiting.command.tail.size();
    if (const auto refusal = inbox_refusal(state, &directory_->users, now))
      waiting.done(std::unexpected(*refusal));
    else
      send_publish(std::move(waiting.command), std::move(waiting.done));
  }
}

void Calls::history(const CallOrigin& origin, protocol::HistoryRequest&& request,
                    std::function<void(Result<HistoryPage>)> done) {
  const auto admission = admit(namespaces_, origin.caller, auth::Action::history, request.channel);
  if (!admission) return done(std::unexpected(admission.error()));
  const ChannelKey channel{origin.tenant, std::move(request.channel)};
  send_home(channel, HistoryCommand{.channel = channel,
                                    .reply = expect(unwrap<HistoryResult>(std::move(done))),
                                    .after = request.after,
                                    .before = request.before,
                                    .limit = request.limit,
                                    .epoch = std::move(request.epoch),
                                    .author = origin.author,
                                    .rights = admission->rights});
}

void Calls::presence(const CallOrigin& origin, std::string channel,
                     std::function<void(Result<std::string>)> done) {
  const auto admission = admit(namespaces_, origin.caller, auth::Action::presence, channel);
  if (!admission) return done(std::unexpected(admission.error()));
  const ChannelKey key{origin.tenant, std::move(channel)};
  send_home(key, PresenceCommand{.channel = key,
                                 .reply = expect(unwrap<PresenceResult>(std::move(done))),
                                 .action = protocol::PresenceAction::get,
                                 .author = origin.author,
                                 .data = {},
                                 .session = {},
                                 .rights = admission->rights});
}

void Calls::channel_info(const CallOrigin& origin, std::string channel,
                         std::function<void(Result<ChannelInfo>)> done) {
  const auto admission = admit(namespaces_, origin.caller, auth::Action::subscribe, channel);
  if (!admission) return done(std::unexpected(admission.error()));
  const ChannelKey key{origin.tenant, std::move(channel)};
  send_home(key,
            ChannelInfoCommand{.channel = key, .reply = expect(unwrap<ChannelInfoResult>(std::move(done)))});
}

void Calls::snapshot(const CallOrigin& origin, std::string channel,
                     std::function<void(Result<ChannelSnapshot>)> done) {
  const auto admission = admit(namespaces_, origin.caller, auth::Action::subscribe, channel);
  if (!admission) return done(std::unexpected(admission.error()));
  const ChannelKey key{origin.tenant, std::move(channel)};
  send_home(key, SnapshotCommand{.channel = key,
                                 .reply = expect(unwrap<SnapshotResult>(std::move(done))),
                                 .author = origin.author,
                                 .rights = admission->rights});
}

void Calls::ask_all(Question question, std::function<void(AnswerPart)> done) {
  const ReplyTo reply =
      expect([done = std::move(done)](Message&& answer) { done(std::move(std::get<Answer>(answer).part)); },
             shards_);
  if (const auto* list = std::get_if<ListChannels>(&question))
    pending_.get(reply.target)->limit = list->limit;
  for (ShardId shard = 0; shard < shards_; ++shard) post_(shard, Ask{.reply = reply, .question = question});
}

namespace {

void add(AnswerPart& sum, AnswerPart&& part) {
  sum.count += part.count;
  std::ranges::move(part.connections, std::back_inserter(sum.connections));
  std::ranges::move(part.channels, std::back_inserter(sum.channels));
  if (!part.looked_to.empty()) sum.looked_to = std::move(part.looked_to);
  if (part.error) sum.error = std::move(part.error);
  std::ranges::move(part.users, std::back_inserter(sum.users));
  if (!part.user_json.empty()) sum.user_json = std::move(part.user_json);
  sum.counts += part.counts;
  add(sum.tenants, part.tenants);
  if (part.analytics && !sum.analytics)
    sum.analytics = std::move(part.analytics);
  else if (part.analytics)
    sum.analytics->merge(*part.analytics);
}

// What shards have in memory and what is stored, by name and each once.
void merge_channels(AnswerPart& sum, std::size_t limit) {
  std::ranges::sort(sum.channels, {},
                    [](const ChannelInfo& info) { return std::tie(info.name, info.stored); });
  const auto again = std::ranges::unique(sum.channels, {}, &ChannelInfo::name);
  sum.channels.erase(again.begin(), again.end());
  if (!sum.looked_to.empty())
    std::erase_if(sum.channels, [&](const ChannelInfo& info) { return info.name > sum.looked_to; });
  if (sum.channels.size() > limit) sum.channels.resize(limit);
}

}  // namespace

void Calls::handle(const ReplyTo& to, Message&& answer) {
  Pending* pending = pending_.get(to.target);
  TIDEWIRE_CHECK(pending != nullptr);
  if (auto* part = std::get_if<Answer>(&answer)) {
    add(pending->sum, std::move(part->part));
    if (--pending->parts_left > 0) return;
    AnswerPart& sum = pending->sum;
    merge_channels(sum, pending->limit);
    std::ranges::sort(sum.users);
    sum.users.erase(std::ranges::unique(sum.users).begin(), sum.users.end());
    sum.counts.users = sum.users.size();
    for (const auto& [tenant, user] : sum.users)
      if (tenant < sum.tenants.size()) ++sum.tenants[tenant].users;
    part->part = std::move(sum);
  }
  const Done done = std::move(pending->done);
  pending_.erase(to.target);
  done(std::move(answer));
}

}  // namespace tidewire::hub
