// Watching what connections do (requirement P3): what is counted, and what follows when it is unusual.

#include <xxhash.h>

#include "hub/sessions.h"

namespace tidewire::hub {

// Before a message is looked at, whatever it is.
void Sessions::watch(Session& session, std::size_t bytes, const Time& now) {
  if (options_.anomaly.action == guard::AnomalyAction::off) return;
  if (session.activity.due(now.mono_ms())) judge_activity(session, now);
  session.activity.request(bytes, now.mono_ms());
}

void Sessions::watch_failure(Session& session, const Error& error, std::string_view channel) {
  using enum ErrorCode;
  // What the server lacks is nobody's fault, and that somebody else was faster no fault at all.
  if (error.code == unavailable || error.code == internal || error.code == conflict) return;
  session.activity.error();
  if (!channel.empty() &&
      (error.code == forbidden || error.code == not_found || error.code == invalid_channel))
    session.activity.refused_channel(
        XXH3_64bits_withSeed(channel.data(), channel.size(), options_.hash_seed));
}

void Sessions::judge_activity(Session& session, const Time& now) {
  const guard::AnomalyPolicy& policy = options_.anomaly;
  const guard::Activity activity = session.activity.take();
  if (policy.action == guard::AnomalyAction::off) return;
  guard::Anomalies& anomalies = shared_.limits.anomalies();
  if (session.tenant >= everybody_.size()) everybody_.resize(session.tenant + std::size_t{1});
  Everybody& everybody = everybody_[session.tenant];
  const auto report = [&](const guard::AnomalyFinding& finding, bool population) {
    guard::AnomalyReport told{.unix_ms = now.unix_ms,
                              .tenant = session.tenant,
                              .kind = finding.kind,
                              .population = population,
                              .score = finding.score,
                              .evidence = finding.evidence(),
                              .action = population ? guard::AnomalyAction::report : policy.action};
    if (!population) {
      told.address = session.address.text();
      if (session.identity) told.user = session.identity->user_id;
    }
    anomalies.report(std::move(told));
  };
  if (const auto surge = everybody.watch.add(activity, now.mono_ms())) report(*surge, true);
  const auto verdict =
      anomalies.judge(watched_key(session), activity, policy, everybody.usual, now.mono_ms());
  session.held_until_ms = verdict.held_until_ms;
  if (!verdict.finding) return;
  report(*verdict.finding, false);
  // The user's other connections here at once; those on other shards with their own next window.
  if (verdict.held_until_ms == 0 || !session.identity) return;
  each_of_user(session.tenant, session.identity->user_id,
               [&](Handle, Session& each) { each.held_until_ms = verdict.held_until_ms; });
}

}  // namespace tidewire::hub
