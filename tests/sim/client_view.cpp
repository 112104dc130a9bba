#include "client_view.h"

#include <algorithm>

#include "world.h"

namespace tidewire::sim {

namespace {

std::set<std::string> users_of(const nlohmann::json& members) {
  std::set<std::string> users;
  for (const auto& member : members) users.insert(member.at("user").dump());
  return users;
}

}  // namespace

ClientView::Reading& ClientView::reading(const Json& message, std::string_view type) {
  const auto found = readings_.find(message.at("channel").get<std::string>());
  require(found != readings_.end(), "{} got a {} of {}, which it does not follow", who_, type,
          message.at("channel").dump());
  return found->second;
}

bool ClientView::own(const Life& life, std::uint64_t seq) const {
  const Life::Written* written = life.find(seq);
  return written != nullptr && written->not_for != 0 && written->not_for == connection_id_;
}

void ClientView::advance(Reading& reading, const std::string& channel, std::uint64_t next) {
  reading.next = next;
  positions_[channel] = {reading.epoch, next - 1};
}

// What comes next begins at `seq`: nothing between may be missing but what asked for no echo.
void ClientView::reach(const Life& life, Reading& reading, const std::string& channel, std::uint64_t seq,
                       std::string_view what) {
  if (!reading.next) {
    require(seq >= reading.low, "{} starts {} with a {} at {}, before {}", who_, channel, what, seq,
            reading.low);
    reading.next = std::min(seq, reading.high);
  }
  require(seq >= *reading.next, "{} got {} {} of {} after it had everything up to {}", who_, what, seq,
          channel, *reading.next - 1);
  for (std::uint64_t missing = *reading.next; missing < seq; ++missing)
    require(own(life, missing), "{} got {} {} of {} and never {}", who_, what, seq, channel, missing);
}

void ClientView::check_body(const Life& life, const std::string& channel, const Json& message) const {
  const auto seq = message.at("seq").get<std::uint64_t>();
  const Life::Written* written = life.find(seq);
  require(written != nullptr, "{} got {} of {}, which was never published", who_, seq, channel);
  const Json truth = Json::parse("{" + written->tail);
  for (const auto& [key, value] : truth.items())
    require(message.contains(key) && message.at(key) == value, "{} got another `{}` in {} of {}: {}", who_,
            key, seq, channel, message.dump());
  require(message.at("timestamp").get<std::int64_t>() == written->stamped_ms,
          "{} of {} has another timestamp", seq, channel);
}

void ClientView::on_subscribed(const Json& message, const SubscribeAsked& asked, std::int64_t sent_us) {
  const std::string& channel = asked.channel;
  require(message.at("channel") == channel, "{} asked for {} and got {}", who_, channel, message.dump());
  const std::string epoch = message.at("epoch");
  const auto seq = message.at("seq").get<std::uint64_t>();
  const Life* life = world_->model.find(channel, epoch);
  require(life != nullptr, "{} has an unknown epoch {}", channel, epoch);
  const bool in_memory = life->ns->durability == hub::Durability::memory;
  require(seq >= life->latest_at(asked.at_us) && seq <= life->latest_at(sent_us),
          "{} was told that {} stands at {}", who_, channel, seq);

  const auto known = readings_.find(channel);
  const Json& messages = message.at("messages");
  if (known != readings_.end()) {
    require(messages.empty() && !message.contains("recovered"), "{} was rewound in {}", who_, channel);
    require(!known->second.next || seq + 1 >= *known->second.next, "{} was told of {} of {} after {}", who_,
            seq, channel, known->second.next.value_or(0) - 1);
    if (message.contains("snapshot"))
      check_snapshot(*life, channel, seq, message.at("snapshot").at("data"), asked.at_us, sent_us);
    if (asked.presence) known->second.members = users_of(message.at("members"));
    return;
  }

  Reading now{.epoch = epoch, .subscribed_seq = seq, .next = {}, .members = {}};
  if (asked.presence) now.members = users_of(message.at("members"));
  std::uint64_t before = 0;
  for (const Json& entry : messages) {
    check_body(*life, channel, entry);
    const auto at = entry.at("seq").get<std::uint64_t>();
    require(before == 0 || at == before + 1, "{} got {} after {} in the messages of {}", who_, at, before,
            channel);
    before = at;
  }
  require(messages.empty() || before == seq, "{} stands at {}, and `messages` end with {}", channel, seq,
          before);
  const std::uint64_t first = messages.empty() ? seq + 1 : messages.front().at("seq").get<std::uint64_t>();
  const std::uint64_t kept_then = life->first_kept_at(asked.at_us), kept_now = life->first_kept_at(sent_us);

  require(message.contains("recovered") == asked.since.has_value(), "`recovered` stands with `since`: {}",
          message.dump());
  if (asked.since) {
    const bool recovered = message.at("recovered");
    const std::string reason = message.value("reason", "");
    const std::uint64_t since = asked.since->seq;
    require(recovered == reason.empty(), "recovered {} because of `{}`", recovered, reason);
    if (recovered) {
      require(asked.since->epoch == epoch && since <= seq, "{} recovered a position that is not there", who_);
      require(!in_memory || since + 1 >= kept_then, "{} recovered {} after {}, of which {} is the first kept",
              who_, channel, since, kept_then);
      require(messages.empty() || first == since + 1, "{} wanted what is after {} of {} and got {}", who_,
              since, channel, first);
      now.next = messages.empty() ? since + 1 : seq + 1;
    } else {
      if (reason == "epoch")
        require(asked.since->epoch != epoch, "{} was refused its own epoch", who_);
      else if (reason == "ahead")
        require(asked.since->epoch == epoch && since > life->latest_at(asked.at_us), "{} is not ahead at {}",
                who_, since);
      else
        require(reason == "trimmed" && asked.since->epoch == epoch && since + 1 < kept_now,
                "{} was told that {} of {} is {}, and {} is kept", who_, since, channel, reason, kept_now);
      now.low = in_memory ? kept_then : 1;
      now.high = std::min(kept_now, seq + 1);
      if (life->ns->kind != hub::Kind::stream) now.next = seq + 1;  // the snapshot is the new start
    }
  } else if (asked.history) {
    require(messages.size() <= *asked.history, "{} got more of {} than it asked for", who_, channel);
    now.low = in_memory ? kept_then : 1;
    now.high = seq + 1;
    if (!messages.empty()) {
      std::uint64_t there = 0;
      for (std::uint64_t at = kept_now; at <= seq; ++at) there += !life->expired_at(at, sent_us);
      require(messages.size() >= std::min(there, *asked.history), "{} got {} of {} messages of {}", who_,
              messages.size(), there, channel);
    } else if (*asked.history == 0) {
      now.next = seq + 1;
    }
  } else {
    require(messages.empty(), "{} asked for no messages of {}", who_, channel);
    now.next = seq + 1;
  }
  if (!messages.empty() && !now.next) {
    require(first >= now.low && first <= std::max(now.high, std::uint64_t{1}),
            "{} starts {} at {}, kept are {} to {}", who_, channel, first, now.low, now.high);
    now.next = seq + 1;
  }
  check_access(asked, sent_us, *life);
  if (life->ns->kind != hub::Kind::stream) begin_kind(message, asked, sent_us, *life, now);
  Reading& reading = readings_[channel] = std::move(now);
  if (reading.next) advance(reading, channel, *reading.next);
}

void ClientView::on_message(const Json& message, std::string_view raw) {
  const std::string channel = message.at("channel");
  Reading& reading = this->reading(message, "message");
  check_place(reading, channel, message);
  if (!message.contains("seq")) return;
  ++world_->messages_seen;
  const Life& life = *world_->model.find(channel, reading.epoch);
  const auto seq = message.at("seq").get<std::uint64_t>();
  const auto first = message.value("first_seq", seq);
  require(seq <= life.latest() && first >= 1 && first <= seq, "{} got {} to {} of {}", who_, first, seq,
          channel);
  if (reading.in_backlog && seq <= reading.subscribed_seq) return on_backlog(life, channel, reading, message);
  if (reading.in_backlog) check_pending(life, channel, reading);
  reading.in_backlog = false;
  const bool conflated = life.ns->conflate_ms > 0 || life.ns->kind == hub::Kind::upload;
  require(first == seq || conflated || life.ns->kind == hub::Kind::agent, "{} got {} to {} of {} merged",
          who_, first, seq, channel);
  if (first == seq && !conflated) {
    check_body(life, channel, message);
    require(raw.ends_with(life.find(seq)->tail), "{} of {} did not arrive byte for byte: {}", seq, channel,
            raw);
    // In a session the answer waits for the inboxes of those who are away, and a catch-up may come before it.
    require(seq <= reading.subscribed_seq || !own(life, seq) || life.ns->kind == hub::Kind::session,
            "{} got its own {} of {} back, published with echo false", who_, seq, channel);
  }
  reach(life, reading, channel, first, "message");
  if (life.ns->kind != hub::Kind::stream) fold(life, channel, reading, message);
  advance(reading, channel, seq + 1);
}

// Messages of one connection keep the order in which they were sent (protocol §5), ephemeral ones too; in a
// stream each has a larger number than those before it.
void ClientView::check_place(Reading& reading, const std::string& channel, const Json& message) const {
  const bool is_stream =
      world_->namespaces.find(channel.substr(0, channel.find(':')))->kind == hub::Kind::stream;
  if (!is_stream || !message.contains("from") || !message.at("data").contains("n")) return;
  const auto number = message.at("data").at("n").get<std::uint64_t>();
  std::uint64_t& passed = reading.ephemeral[message.at("from").value("connection", "")];
  require(number > passed, "{} got {} in {} behind {}, an ephemeral message that was sent later", who_,
          number, channel, passed);
  if (!message.contains("seq")) passed = number;
}

void ClientView::on_gap(const Json& message, std::int64_t sent_us) {
  const std::string channel = message.at("channel");
  Reading& reading = this->reading(message, "gap");
  ++world_->gaps_seen;
  const Life& life = *world_->model.find(channel, reading.epoch);
  require(message.at("epoch") == reading.epoch, "a gap of {} names another epoch", channel);
  const auto from = message.at("from").get<std::uint64_t>(), to = message.at("to").get<std::uint64_t>();
  require(from <= to && to <= life.latest(), "a gap of {} from {} to {}", channel, from, to);
  require(life.ns->kind == hub::Kind::stream || life.ns->kind == hub::Kind::inbox, "{} has a gap", channel);
  if (reading.in_backlog) check_pending(life, channel, reading);
  reading.in_backlog = false;
  reach(life, reading, channel, from, "gap");
  for (std::uint64_t seq = from; seq <= to; ++seq)
    require(life.gone_at(seq, sent_us) || own(life, seq), "{} was told that {} of {} is gone, and it is not",
            who_, seq, channel);
  advance(reading, channel, to + 1);
}

void ClientView::on_presence_event(const Json& message, bool asked) {
  Reading& reading = this->reading(message, "presence_event");
  require(reading.members || asked, "{} did not ask for presence events of {}", who_,
          message.at("channel").dump());
  if (!reading.members) return;
  const std::string user = message.at("member").at("user").dump();
  if (message.at("action") == "leave")
    reading.members->erase(user);
  else
    reading.members->insert(user);
}

void ClientView::on_members(const Json& message, bool asked) {
  Reading& reading = this->reading(message, "presence");
  require(reading.members || asked, "{} did not ask for presence of {}", who_, message.at("channel").dump());
  if (reading.members) reading.members = users_of(message.at("members"));
}

void ClientView::on_history(const Json& message, const Json& asked, std::int64_t asked_us,
                            std::int64_t sent_us) const {
  const std::string channel = message.at("channel");
  const Life* life = world_->model.find(channel, message.at("epoch"));
  const Json& messages = message.at("messages");
  if (life == nullptr) return require(messages.empty(), "{} has messages and was never used", channel);
  const auto after = asked.value("after", std::uint64_t{0});
  const auto before = asked.value("before", ~std::uint64_t{0});
  const auto limit = asked.value("limit", std::uint64_t{100});
  require(messages.size() <= limit, "{} asked for {} messages and got {}", who_, limit, messages.size());
  std::set<std::uint64_t> there;
  std::uint64_t last = 0;
  for (const Json& entry : messages) {
    check_body(*life, channel, entry);
    const auto seq = entry.at("seq").get<std::uint64_t>();
    require(seq > last && seq > after && seq < before, "{} does not belong into this page of {}", seq,
            channel);
    require(life->ns->durability == hub::Durability::disk || !life->gone_at(seq, asked_us),
            "{} of {} was gone before it was asked for", seq, channel);
    last = seq;
    there.insert(seq);
  }
  // A page from a log may be short where entries in it have expired.
  const bool exact = life->ns->durability == hub::Durability::memory;
  if (exact && messages.size() < limit) {
    for (std::uint64_t seq = std::max(after + 1, life->first_kept_at(sent_us));
         seq <= life->latest_at(asked_us) && seq < before; ++seq)
      require(there.contains(seq) || life->gone_at(seq, sent_us), "{} of {} is missing in a page", seq,
              channel);
  }
}

// ---- channels that fold ----

void ClientView::keep(ClientView&& before) {
  positions_ = std::move(before.positions_);
  copies_ = std::move(before.copies_);
  for (const auto& [channel, reading] : before.readings_) keep_copy(channel, reading);
}

void ClientView::keep_copy(const std::string& channel, const Reading& reading) {
  if (reading.copy) copies_.insert_or_assign(channel, Copy{reading.epoch, *reading.copy});
}

void ClientView::on_unsubscribed(const std::string& channel) {
  const auto found = readings_.find(channel);
  if (found == readings_.end()) return;
  keep_copy(channel, found->second);
  readings_.erase(found);
}

// It has had everything up to its `leave`, but for what the log no longer has.
void ClientView::on_revoked(const std::string& channel, const std::string& user, std::int64_t sent_us) {
  const auto found = readings_.find(channel);
  if (found == readings_.end() || !found->second.next) return;
  const Life& life = *world_->model.find(channel, found->second.epoch);
  std::uint64_t seq = *found->second.next;
  if (seq < life.first_kept_at(sent_us)) return;
  const auto leaves_at = [&](std::uint64_t at) {
    return life.state_at(at - 1).is_member(user) && !life.state_at(at).is_member(user);
  };
  for (; seq <= life.latest() && !leaves_at(seq); ++seq)
    require(own(life, seq), "{} was taken out of {} and never got {}", who_, channel, seq);
  require(seq <= life.latest(), "{} was taken out of {} and did not leave", who_, channel);
}

// Where a channel belongs to somebody, a follower must have been one of those meanwhile.
void ClientView::check_access(const SubscribeAsked& asked, std::int64_t sent_us, const Life& life) const {
  if (life.ns->subscribe == hub::Access::user)
    return require(asked.channel.substr(asked.channel.find(':') + 1) == asked.user,
                   "{}, who is {}, follows {}", who_, asked.user, asked.channel);
  if (life.ns->subscribe != hub::Access::owner) return;
  bool was_one = false;
  for (std::uint64_t seq = life.latest_at(asked.at_us); seq <= life.latest_at(sent_us); ++seq) {
    const KindState& state = life.state_at(seq);
    was_one |=
        life.ns->kind == hub::Kind::session ? state.is_member(asked.user) : state.creator() == asked.user;
  }
  require(was_one, "{}, who is {}, may not follow {}", who_, asked.user, asked.channel);
}

void ClientView::check_snapshot(const Life& life, const std::string& channel, std::uint64_t seq,
                                const Json& data, std::int64_t from_us, std::int64_t to_us) const {
  ++world_->snapshots_seen;
  require(seq <= life.latest(), "{} got a snapshot of {} at {}", who_, channel, seq);
  const std::string differs =
      life.state_at(seq).differs(data, Schedule::at_time(from_us).unix_ms, Schedule::at_time(to_us).unix_ms);
  require(differs.empty(), "{} got a snapshot of {} at {}, where {}", who_, channel, seq, differs);
  if (life.ns->kind == hub::Kind::inbox)
    for (const Json& entry : data.at("pending")) check_body(life, channel, entry);
}

void ClientView::begin_kind(const Json& message, const SubscribeAsked& asked, std::int64_t sent_us,
                            const Life& life, Reading& reading) {
  const std::string& channel = asked.channel;
  const bool recovered = message.value("recovered", false);
  const bool inbox = life.ns->kind == hub::Kind::inbox;
  require(message.contains("snapshot") == (asked.snapshot && !asked.automatic && !recovered),
          "{} and its snapshot: {}", who_, message.dump());
  reading.in_backlog = inbox && !asked.since;
  reading.knows_pending = reading.in_backlog;
  if (message.contains("snapshot")) {
    const auto seq = message.at("snapshot").at("seq").get<std::uint64_t>();
    const Json& data = message.at("snapshot").at("data");
    require(seq == reading.subscribed_seq, "{} stands at {} and its snapshot at {}", channel,
            reading.subscribed_seq, seq);
    check_snapshot(life, channel, seq, data, asked.at_us, sent_us);
    reading.copy = KindState::of_snapshot(life.ns->kind, seq, data);
    if (inbox) {
      reading.knows_pending = true;
      for (const Json& entry : data.at("pending"))
        reading.pending.insert(entry.at("seq").get<std::uint64_t>());
    }
  } else if (recovered) {
    const auto kept = copies_.find(channel);
    if (kept != copies_.end() && kept->second.epoch == reading.epoch &&
        kept->second.state.seq() == asked.since->seq)
      reading.copy = kept->second.state;
  }
  for (const Json& entry : message.at("messages")) fold(life, channel, reading, entry);
}

void ClientView::on_snapshot(const Json& message, std::int64_t sent_us) {
  const std::string channel = message.at("channel");
  Reading& reading = this->reading(message, "snapshot");
  const Life& life = *world_->model.find(channel, reading.epoch);
  const auto seq = message.at("seq").get<std::uint64_t>();
  require(message.at("epoch") == reading.epoch && life.ns->kind != hub::Kind::stream, "a snapshot of {}",
          channel);
  require(!reading.next || seq + 1 > *reading.next, "{} got a snapshot of {} at {} after it had {}", who_,
          channel, seq, *reading.next - 1);
  // How long it waited to be sent is not known.
  check_snapshot(life, channel, seq, message.at("data"), sent_us - std::int64_t{60} * 1'000'000, sent_us);
  reading.copy = KindState::of_snapshot(life.ns->kind, seq, message.at("data"));
  if (life.ns->kind == hub::Kind::inbox) {
    reading.pending.clear();
    for (const Json& entry : message.at("data").at("pending"))
      reading.pending.insert(entry.at("seq").get<std::uint64_t>());
    reading.in_backlog = false;
    reading.knows_pending = true;
  }
  advance(reading, channel, seq + 1);
}

// The copy that a client keeps is what the channel's events come to, after each of them.
void ClientView::fold(const Life& life, const std::string& channel, Reading& reading, const Json& message) {
  const auto seq = message.at("seq").get<std::uint64_t>();
  const auto first = message.value("first_seq", seq);
  if (life.ns->kind == hub::Kind::inbox) {
    if (message.value("event", "") == "ack")
      for (const Json& acked : message.at("data").at("seqs"))
        reading.pending.erase(acked.get<std::uint64_t>());
    else
      reading.pending.insert(seq);
    return;
  }
  if (!reading.copy || seq <= reading.copy->seq()) return;
  if (first != reading.copy->seq() + 1) return reading.copy.reset();  // its own, which it did not want back
  reading.copy->apply(message, 0);
  const std::string differs = life.state_at(seq).differs(*reading.copy);
  require(differs.empty(), "{} at {} of {}: {}", who_, seq, channel, differs);
}

void ClientView::on_backlog(const Life& life, const std::string& channel, Reading& reading,
                            const Json& message) {
  check_body(life, channel, message);
  const KindState::InboxEntry entry{priority_of(message), message.at("seq").get<std::uint64_t>(), 0};
  require(!reading.backlog || *reading.backlog < entry, "{} got {} of {} out of order", who_, entry.seq,
          channel);
  require(message.value("event", "") != "ack", "{} got an old ack of {}", who_, channel);
  reading.backlog = entry;
  reading.pending.insert(entry.seq);
}

// What is pending and not new must have come with the snapshot, the backlog or live.
void ClientView::check_pending(const Life& life, const std::string& channel, const Reading& reading) const {
  if (!reading.knows_pending) return;
  const std::int64_t now_ms = world_->schedule.now().unix_ms;
  const auto& now = life.state_at(life.latest()).pending();
  for (const KindState::InboxEntry& entry : life.state_at(reading.subscribed_seq).pending())
    require(entry.expires_ms <= now_ms || !now.contains(entry) || reading.pending.contains(entry.seq),
            "{} was never sent {} of {}, which is pending", who_, entry.seq, channel);
}

void ClientView::on_acked(const Json& message) {
  const auto found = readings_.find(message.at("channel").get<std::string>());
  if (found == readings_.end()) return;
  for (const Json& acked : message.at("seqs")) found->second.pending.erase(acked.get<std::uint64_t>());
}

std::vector<std::string> ClientView::inboxes() const {
  std::vector<std::string> names;
  for (const auto& [channel, reading] : readings_)
    if (channel.starts_with("user:") || channel.starts_with("box:")) names.push_back(channel);
  return names;
}

std::vector<std::uint64_t> ClientView::pending(const std::string& channel) const {
  const auto found = readings_.find(channel);
  if (found == readings_.end()) return {};
  return {found->second.pending.begin(), found->second.pending.end()};
}

std::vector<std::string> ClientView::channels() const {
  std::vector<std::string> names;
  for (const auto& [channel, reading] : readings_) names.push_back(channel);
  return names;
}

void ClientView::check_settled(const std::string& user) const {
  for (const auto& [channel, reading] : readings_) {
    const Life& life = *world_->model.current(channel);
    require(life.epoch == reading.epoch, "{} follows an epoch of {} that has ended", who_, channel);
    if (life.ns->kind == hub::Kind::session)
      require(life.state_at(life.latest()).is_member(user), "{} is no member of {} and follows it", who_,
              channel);
    if (life.ns->kind == hub::Kind::inbox) check_pending(life, channel, reading);
    if (!reading.next) {
      require(life.latest() <= reading.high, "{} was never caught up with {}", who_, channel);
      continue;
    }
    for (std::uint64_t seq = *reading.next; seq <= life.latest(); ++seq)
      require(own(life, seq), "{} never got {} of {} (it has {}, the latest is {})", who_, seq, channel,
              *reading.next - 1, life.latest());
  }
}

std::optional<std::set<std::string>> ClientView::members(const std::string& channel) const {
  const auto found = readings_.find(channel);
  return found == readings_.end() ? std::nullopt : found->second.members;
}

}  // namespace tidewire::sim
