// Watching what connections and callers do (requirement P3): what is counted, and what follows when it is
// unusual.

#include <xxhash.h>

#include "hub/sessions.h"

namespace tidewire::hub {

// Before a message is looked at, whatever it is.
void Sessions::watch(Handle connection, Session& session, std::size_t bytes, const Time& now) {
  if (options_.anomaly.action == guard::AnomalyAction::off) return;
  if (session.activity.due(now.mono_ms())) judge_activity(connection, session, now);
  session.activity.request(bytes, now.mono_ms());
}

// What the server lacks is nobody's fault, and that somebody else was faster no fault at all.
bool Sessions::is_fault(std::optional<ErrorCode> outcome) {
  using enum ErrorCode;
  return outcome && *outcome != unavailable && *outcome != internal && *outcome != conflict;
}

bool Sessions::is_of_channel(std::optional<ErrorCode> outcome) {
  using enum ErrorCode;
  return outcome == forbidden || outcome == not_found || outcome == invalid_channel ||
         outcome == user_not_found;
}

guard::ActivityMeter::Writer Sessions::writer_in(const Namespace& ns) {
  using enum guard::ActivityMeter::Writer;
  return ns.kind == Kind::stream || ns.kind == Kind::session ? person : program;
}

std::uint64_t Sessions::channel_hash(std::string_view channel) const {
  return XXH3_64bits_withSeed(channel.data(), channel.size(), options_.hash_seed);
}

Error Sessions::held_error(std::int64_t left_ms) {
  Error error = fail(ErrorCode::rate_limited, "unusual behaviour: requests are refused for a while").error();
  error.retry_after_ms = left_ms;
  return error;
}

void Sessions::watch_failure(Session& session, const Error& error, std::string_view channel) {
  if (!is_fault(error.code)) return;
  session.activity.error();
  if (!channel.empty() && is_of_channel(error.code)) session.activity.refused_channel(channel_hash(channel));
}

void Sessions::judge_activity(Handle connection, Session& session, const Time& now) {
  const guard::Activity activity = session.activity.take();
  Watched who{.tenant = session.tenant,
              .key = watched_key(session),
              .user = session.identity ? session.identity->user_id.view() : std::string_view(),
              .address = outbound_.address_of(connection)};
  const auto verdict = judge(who, activity, now);
  session.hold(verdict.held_until_ms);
}

guard::Anomalies::Verdict Sessions::judge(const Watched& who, const guard::Activity& activity,
                                          const Time& now) {
  const guard::AnomalyPolicy& policy = options_.anomaly;
  if (policy.action == guard::AnomalyAction::off) return {};
  guard::Anomalies& anomalies = shared_.limits.anomalies();
  if (who.tenant >= everybody_.size()) everybody_.resize(who.tenant + std::size_t{1});
  Everybody& everybody = everybody_[who.tenant];
  const auto report = [&](const guard::AnomalyFinding& finding, bool population,
                          guard::AnomalyAction action) {
    guard::AnomalyReport told{.unix_ms = now.unix_ms,
                              .tenant = who.tenant,
                              .kind = finding.kind,
                              .population = population,
                              .score = finding.score,
                              .evidence = finding.evidence(),
                              .action = action};
    if (!population) {
      told.address = who.address.text();
      told.user = who.user;
    }
    anomalies.report(std::move(told));
  };
  if (const auto surge = everybody.watch.add(activity, now.mono_ms()))
    report(*surge, true, guard::AnomalyAction::report);
  auto verdict = anomalies.judge(who.key, activity, policy, everybody.usual, now.mono_ms());
  if (!verdict.finding) return verdict;
  report(*verdict.finding, false, verdict.action);
  // `report` only reports. The user's other connections here know at once; those on other shards with their
  // own next window, or the next look at the record.
  if (verdict.action == guard::AnomalyAction::report || who.user.empty()) return verdict;
  shared_.limits.records().bad(who.key, guard::Offence::anomaly, now.mono_ms());
  each_of_user(who.tenant, who.user, [&](Handle, Session& each) {
    each.hold(verdict.held_until_ms);
    each.adaptive.look_again();
  });
  return verdict;
}

}  // namespace tidewire::hub
