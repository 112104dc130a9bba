#include "shard.h"

#include <algorithm>

#include "client.h"
#include "hub/dispatch_message.h"
#include "protocol/channel_name.h"
#include "schedule.h"
#include "world.h"

namespace tidewire::sim {

namespace {

hub::Tenants one_tenant(const World& world) {
  hub::Tenants tenants;
  hub::TenantLimits limits;
  if (!world.plan.rate_limits) {
    limits.guard.messages_per_minute = 0;
    limits.guard.malformed_per_minute = 0;
  }
  limits.guard.connections_per_user = world.plan.rate_limits ? 3 : 0;
  limits.channels = 12;
  tenants.push_back({.id = 0,
                     .name = "default",
                     .limits = limits,
                     .verifier = auth::Verifier({}, world.keys, std::make_shared<auth::RevocationList>())});
  return tenants;
}

}  // namespace

Shard::Shard(World& world, hub::ShardId self)
    : world_(world),
      self_(self),
      tenants_(one_tenant(world)),
      home_(
          {.idempotency_window_ms = kIdempotencyMs,
           .presence_grace_ms = kGraceMs,
           .inbox = {.ttl_ms = kInboxTtlMs, .entries_max = kInboxEntries},
           .self = self,
           .shards = world.plan.shards,
           .hash_seed = kHashSeed},
          world.namespaces, world.below(1u << 30),
          [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); },
          [this](log::Operation&& operation) { submit(std::move(operation)); }),
      sessions_({.self = self,
                 .shards = world.plan.shards,
                 .hash_seed = kHashSeed,
                 .page_bytes = static_cast<std::size_t>(world.plan.budget_bytes) / 2,
                 .anonymous_capabilities = {}},
                world.namespaces, tenants_,
                {.limits = world.limits.back(), .attempts = world.attempts, .keys = guard::LimitKeys(1)},
                *this, [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); }),
      calls_(world.plan.shards, kHashSeed, world.namespaces,
             [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); }),
      outgoing_(world.plan.shards) {}

// ---- from outside ----

void Shard::in_turn(std::function<void()> what) {
  if (dead_) return;
  events_.push_back(std::move(what));
  wake();
}

void Shard::wake() {
  if (awake_ || dead_) return;
  awake_ = true;
  world_.schedule.after(1 + world_.up_to(200), [this] { turn(); });
}

void Shard::connect(Client& client, std::uint64_t link, std::string token, std::int64_t window_bytes,
                    std::function<void(Handle)> connected) {
  in_turn([this, &client, link, token = std::move(token), window_bytes, connected = std::move(connected)] {
    const Handle handle = connections_.emplace();
    Connection& connection = *connections_.get(handle);
    connection.client = &client;
    connection.link = link;
    connection.connection_id = ++world_.links_opened;
    connection.window_bytes = window_bytes;
    connected(handle);
    hub::Opening opening{
        .tenant = 0, .connection_id = connection.connection_id, .identity = {}, .address = {}};
    if (!token.empty()) {
      auto verdict = tenants_[0].verifier.verify(token, world_.schedule.now());
      if (!verdict) return close(handle, 1008, name_of(verdict.error().error.code));
      opening.identity = std::move(*verdict);
    }
    sessions_.open(handle, std::move(opening), world_.schedule.now());
  });
}

void Shard::arrive(Handle handle, std::string text) {
  in_turn([this, handle, text = std::move(text)]() mutable {
    Connection* connection = connections_.get(handle);
    if (connection == nullptr || connection->closing) return;
    connection->input.push_back(std::move(text));
    take_input(*connection, handle);
  });
}

void Shard::reader_takes(Handle handle, std::int64_t bytes) {
  if (dead_) return;
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  connection->window_bytes = std::min(connection->window_bytes + bytes, std::max<std::int64_t>(bytes, 4096));
  if (connection->queued_bytes == 0) return;
  in_turn([this, handle] {
    if (Connection* there = connections_.get(handle)) touch(*there, handle);
  });
}

void Shard::lose(Handle handle) {
  in_turn([this, handle] {
    Connection* connection = connections_.get(handle);
    if (connection == nullptr) return;
    connection->client = nullptr;
    connection->closing = true;
    ended_.push_back(handle);
    gone_.push_back(handle);
  });
}

void Shard::deliver(hub::ShardId from, std::vector<hub::Message>&& mail) {
  auto shared = std::make_shared<std::vector<hub::Message>>(std::move(mail));
  in_turn([this, from, shared] {
    for (hub::Message& message : *shared) dispatch(from, std::move(message));
  });
}

// Its home's clockwork, within a turn.
void Shard::tick() {
  in_home_ = true;
  home_.tick(world_.schedule.now());
  home_.show_due(world_.schedule.now());
  in_home_ = false;
  watch_answers();
}

// ---- a turn ----

void Shard::turn() {
  if (dead_) return;
  awake_ = false;
  in_home_ = true;
  home_.show_due(world_.schedule.now());
  in_home_ = false;
  watch_answers();
  const auto events = std::exchange(events_, {});
  for (const auto& event : events) event();
  end_turn();
}

void Shard::take_input(Connection& connection, Handle handle) {
  while ((!connection.input.empty() || sessions_.has_rest(handle)) && !connection.closing &&
         sessions_.can_take(handle) && connection.queued_bytes < 2 * world_.plan.budget_bytes) {
    if (sessions_.has_rest(handle)) {
      sessions_.take_rest(handle, world_.schedule.now());
      continue;
    }
    const std::string text = std::move(connection.input.front());
    connection.input.pop_front();
    sessions_.on_text(handle, text, world_.schedule.now());
  }
}

void Shard::end_turn() {
  dispatch_local();
  connections_.for_each([&](Handle handle, Connection& connection) { take_input(connection, handle); });
  sessions_.flush();
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    Connection* connection = connections_.get(touched_[i]);
    if (connection == nullptr) continue;
    connection->touched = false;
    write(*connection, touched_[i]);
  }
  touched_.clear();
  for (const Handle handle : std::exchange(drained_, {})) sessions_.on_drained(handle, world_.schedule.now());
  for (const Handle handle : std::exchange(ended_, {})) sessions_.close(handle, world_.schedule.now());
  for (const Handle handle : std::exchange(gone_, {}))
    if (connections_.get(handle) != nullptr) connections_.erase(handle);
  for (hub::ShardId to = 0; to < outgoing_.size(); ++to)
    if (!outgoing_[to].empty()) world_.send_between(self_, to, std::exchange(outgoing_[to], {}));
  if (!local_.empty() || !operations_.empty() || sessions_.has_more()) wake();
  // Whoever is behind is being served, or will be once its socket has drained: nobody is forgotten.
  connections_.for_each([&](Handle handle, const Connection& connection) {
    require(connection.closing || connection.notify_drained || sessions_.is_served(handle) ||
                std::ranges::find(drained_, handle) != drained_.end(),
            "connection {} has a subscription that is behind and that nobody asks for", handle.bits());
  });
}

void Shard::dispatch_local() {
  while (!local_.empty()) {
    for (hub::Message& message : std::exchange(local_, {})) dispatch(self_, std::move(message));
  }
  if (!operations_.empty()) log_works(std::exchange(operations_, {}));
}

void Shard::dispatch(hub::ShardId from, hub::Message&& message) {
  WatchedHome home{*this};
  hub::dispatch_message(
      home, sessions_, calls_, [this](hub::ShardId asker, hub::Ask&& ask) { answer(asker, std::move(ask)); },
      from, std::move(message), world_.schedule.now());
}

void Shard::answer(hub::ShardId from, hub::Ask&& ask) {
  if (auto* list = std::get_if<hub::ListChannels>(&ask.question))
    return home_.answer_list(from, ask.reply, std::move(*list));
  hub::AnswerPart part = sessions_.answer(ask.question, world_.schedule.now());
  post(from, hub::Answer{.reply = ask.reply, .part = std::move(part)});
}

void Shard::post(hub::ShardId to, hub::Message&& message) {
  if (in_home_) watch_home(to, message);
  const auto* published = std::get_if<hub::PublishResult>(&message);
  if (published != nullptr && published->reply.target == kNobody) return;
  if (to == self_)
    local_.push_back(std::move(message));
  else
    outgoing_[to].push_back(std::move(message));
}

// ---- what homes do is the truth that clients are checked against ----

const hub::Namespace& Shard::rules_of(std::string_view channel) const {
  return *world_.namespaces.find(protocol::namespace_of(channel));
}

Shard::Asker Shard::asker_of(hub::ShardId shard, const hub::ReplyTo& reply, std::string_view channel) {
  return {shard, static_cast<std::uint8_t>(reply.kind), reply.target.bits(), reply.slot,
          std::string(channel)};
}

void Shard::remember(hub::ShardId from, hub::PublishCommand& command) {
  if (command.reply.kind == hub::ReplyTo::Kind::nobody)
    command.reply = {.kind = hub::ReplyTo::Kind::call, .target = kNobody, .slot = ++nobodies_};
  const Asker asker = asker_of(from, command.reply, command.channel.name);
  Model::Asked asked{.channel = std::string(command.channel.name),
                     .scope = command.author->scope,
                     .key = command.key,
                     .tail = std::string(command.tail.view()),
                     .ns = &rules_of(command.channel.name),
                     .user = command.author->user_id,
                     .server = command.rights.server,
                     .ephemeral = command.ephemeral,
                     .ttl_ms = command.ttl_ms,
                     .not_for = command.skip ? command.author->connection : 0,
                     .if_seq = command.if_seq,
                     .at_us = world_.now_us()};
  if (asked.not_for != 0) world_.model.unechoed(asked);
  last_asked_ = asked;
  require(asked_.emplace(asker, std::move(asked)).second, "two publishes ask for their answers at one place");
}

void Shard::remember(hub::ShardId from, const hub::AckCommand& command) {
  const Asker asker = asker_of(from, command.reply, command.channel.name);
  asked_acks_[asker] = {command.author->from_json, command.author->connection};
}

void Shard::watch_home(hub::ShardId to, const hub::Message& message) {
  if (const auto* result = std::get_if<hub::PublishResult>(&message)) {
    answers_.emplace_back(to, *result);
  } else if (const auto* acked = std::get_if<hub::AckResult>(&message)) {
    answers_.emplace_back(to, *acked);
  } else if (const auto* subscribed = std::get_if<hub::SubscribeResult>(&message)) {
    const std::string channel(subscribed->channel.name);
    if (!subscribed->result) return;
    world_.model.seen_epoch(channel, rules_of(channel), subscribed->result->epoch, world_.now_us());
    followed_.try_emplace({to, subscribed->follower.bits()}, Followed{.channel = channel});
  } else if (const auto* delivery = std::get_if<hub::Delivery>(&message)) {
    watch_delivery(to, *delivery);
  }
}

void Shard::watch_answers() {
  for (const auto& [to, answer] : std::exchange(answers_, {}))
    std::visit([&, at = to](const auto& result) { watch_answer(at, result); }, answer);
}

void Shard::watch_answer(hub::ShardId to, const hub::PublishResult& result) {
  const auto asked = asked_.extract(asker_of(to, result.reply, result.channel.name));
  require(!asked.empty(), "a publish to {} was answered twice", result.channel.name);
  if (result.result)
    world_.journal.note(world_.now_us(), "home {}: {} {}{} {}", self_, result.channel.name,
                        result.result->seq, result.result->duplicate ? " (again)" : "", asked.mapped().tail);
  else
    world_.journal.note(world_.now_us(), "home {}: {} refused: {} {}", self_, result.channel.name,
                        result.result.error().message, asked.mapped().tail);
  world_.model.published(asked.mapped(), result.result, world_.now_us());
}

void Shard::watch_answer(hub::ShardId to, const hub::AckResult& result) {
  const std::string channel(result.channel.name);
  const auto asked = asked_acks_.extract(asker_of(to, result.reply, channel));
  if (!result.result) return;
  std::string seqs;
  for (const std::uint64_t seq : result.result->seqs)
    seqs += fmt::format("{}{}", seqs.empty() ? "" : ",", seq);
  const std::string tail =
      fmt::format(R"("event":"ack","from":{},"data":{{"seqs":[{}]}}}})", asked.mapped().from_json, seqs);
  world_.journal.note(world_.now_us(), "home {}: {} {} acked {}", self_, channel, result.result->seq, seqs);
  if (world_.model.current(channel) != nullptr)
    world_.model.acked(channel, rules_of(channel), tail, asked.mapped().connection, *result.result,
                       world_.now_us());
}

// In memory a message is there once the home has taken it, whenever its publisher is answered.
void Shard::look_for_message(const std::string& channel) {
  if (rules_of(channel).durability != hub::Durability::memory) return;
  const auto found = home_.list({.tenant = 0, .prefix = channel, .after = "", .limit = 1});
  if (found.empty() || found[0].name != channel) return;
  const hub::ChannelInfo& info = found[0];
  world_.model.seen_epoch(channel, rules_of(channel), info.epoch, world_.now_us());
  if (info.seq != world_.model.current(channel)->latest())
    world_.model.taken(last_asked_, info.seq, world_.now_us());
}

// A conflated channel's deliveries come at most once per window, which begins when one is due: it may come
// later, where it waits for the log.
void Shard::watch_delivery(hub::ShardId to, const hub::Delivery& delivery) {
  if (delivery.seq == 0) return;
  Followed& followed = followed_.at({to, delivery.follower.bits()});
  const hub::Namespace& rules = rules_of(followed.channel);
  const bool upload = rules.kind == hub::Kind::upload;
  const std::int64_t window_ms = upload ? 100 : rules.conflate_ms;
  const std::int64_t since_us = world_.now_us() - followed.shown_us;
  const bool on_disk = rules.durability == hub::Durability::disk;
  const bool its_end = upload && since_us == 0;  // comes with the progress before it
  require(window_ms == 0 || followed.shown_us < 0 || its_end ||
              since_us > (on_disk ? window_ms / 2 : window_ms - 1) * 1000,
          "{} shows {} to {} only {} us after what was before", followed.channel, delivery.first_seq,
          delivery.seq, since_us);
  followed.shown_us = world_.now_us();
}

// Runs in memory that the server has just ended by itself.
void Shard::look_for_orphans() {
  for (const hub::ChannelInfo& info :
       home_.list({.tenant = 0, .prefix = "", .after = "", .limit = ~std::size_t{0}})) {
    const Life* life = world_.model.current(info.name);
    const bool is_run = info.kind == hub::Kind::upload || info.kind == hub::Kind::agent;
    if (life == nullptr || !is_run || life->ns->durability != hub::Durability::memory) continue;
    if (life->epoch == info.epoch && info.seq == life->latest() + 1)
      world_.model.orphaned(info.name, world_.now_us());
  }
}

// ---- the log ----

void Shard::submit(log::Operation&& operation) {
  if (const auto* open = std::get_if<log::Open>(&operation)) {
    log_names_[open->channel.bits()] = open->name.substr(open->name.find('/') + 1);
  } else if (const auto* append = std::get_if<log::Append>(&operation)) {
    world_.model.appended(log_names_.at(append->channel.bits()), *append);
  }
  operations_.push_back(std::move(operation));
}

// Carried out after a while, answered after another, in order; some fail.
void Shard::log_works(std::vector<log::Operation>&& operations) {
  log_queue_.push_back(std::make_shared<std::vector<log::Operation>>(std::move(operations)));
  log_busy_until_us_ = std::max(log_busy_until_us_, world_.now_us() + 1 + world_.up_to(world_.plan.log_us));
  world_.schedule.at(log_busy_until_us_, [this] {
    if (dead_) return;
    const auto batch = std::move(log_queue_.front());
    log_queue_.pop_front();
    for (log::Operation& operation : *batch) carry_out(std::move(operation));
    std::vector<log::Outcome> pages, others;
    for (log::Outcome& outcome : world_.disks[self_]->take_outcomes()) {
      const auto* failed = std::get_if<log::Failed>(&outcome);
      const bool is_page =
          std::holds_alternative<log::ReadDone>(outcome) || std::holds_alternative<log::Listed>(outcome) ||
          (failed != nullptr &&
           (failed->what == log::Failed::What::read || failed->what == log::Failed::What::list));
      (is_page ? pages : others).push_back(std::move(outcome));
    }
    log_busy_until_us_ = std::max(log_busy_until_us_, world_.now_us() + 1 + world_.up_to(world_.plan.log_us));
    hand_out(std::move(others), log_busy_until_us_);
    // Pages take their time, and later commits may overtake them.
    for (log::Outcome& page : pages) {
      std::vector<log::Outcome> one;
      one.push_back(std::move(page));
      hand_out(std::move(one), log_busy_until_us_ + world_.up_to(3 * world_.plan.log_us));
    }
  });
}

void Shard::hand_out(std::vector<log::Outcome>&& outcomes, std::int64_t at_us) {
  auto done = std::make_shared<std::vector<log::Outcome>>(std::move(outcomes));
  world_.schedule.at(at_us, [this, done] {
    in_turn([this, done] {
      in_home_ = true;
      for (log::Outcome& outcome : *done) {
        watch_log(outcome);
        home_.handle(std::move(outcome), world_.schedule.now());
        watch_answers();
      }
      in_home_ = false;
    });
  });
}

void Shard::carry_out(log::Operation&& operation) {
  const bool fails = world_.plan.log_failures > 0 && !world_.quiet &&
                     world_.below(1000) < static_cast<std::uint64_t>(world_.plan.log_failures);
  const auto fail = [&](const auto& what, log::Failed::What kind, std::uint64_t number) {
    Handle channel;
    if constexpr (requires { what.channel; }) channel = what.channel;
    world_.journal.note(world_.now_us(), "log {}: {} of {} fails", self_, static_cast<int>(kind),
                        channel ? log_names_.at(channel.bits()) : "all");
    world_.disks[self_]->fail(
        {.channel = channel,
         .what = kind,
         .number = number,
         .error = tidewire::fail(ErrorCode::unavailable, "the simulated log fails").error()});
  };
  using What = log::Failed::What;
  if (const auto* append = std::get_if<log::Append>(&operation); fails && append != nullptr)
    fail(*append, What::append, append->number);
  else if (const auto* read = std::get_if<log::Read>(&operation); fails && read != nullptr)
    fail(*read, What::read, read->number);
  else if (const auto* open = std::get_if<log::Open>(&operation); fails && open != nullptr)
    fail(*open, What::open, 0);
  else if (const auto* list = std::get_if<log::List>(&operation); fails && list != nullptr)
    fail(*list, What::list, list->number);
  else
    world_.disks[self_]->carry_out(std::move(operation), world_.schedule.now().unix_ms);
}

void Shard::watch_log(const log::Outcome& outcome) {
  const auto name = [&](Handle channel) { return log_names_.at(channel.bits()); };
  if (const auto* opened = std::get_if<log::Opened>(&outcome)) {
    world_.journal.note(world_.now_us(), "log {}: {} is open at {}", self_, name(opened->channel),
                        opened->last_seq);
    world_.model.opened(name(opened->channel), rules_of(name(opened->channel)), *opened, world_.now_us());
  } else if (const auto* committed = std::get_if<log::Committed>(&outcome)) {
    world_.model.committed(name(committed->channel), committed->last_seq, world_.now_us());
  }
}

void Shard::die() {
  dead_ = true;
  std::vector<log::Operation> under_way;
  for (const auto& batch : log_queue_) std::ranges::move(*batch, std::back_inserter(under_way));
  std::ranges::move(operations_, std::back_inserter(under_way));
  const auto dice = world_.below(3);
  const std::size_t done = dice == 0 ? 0 : dice == 1 ? under_way.size() : world_.below(under_way.size() + 1);
  Disk& disk = *world_.disks[self_];
  for (std::size_t i = 0; i < done; ++i)
    disk.carry_out(std::move(under_way[i]), world_.schedule.now().unix_ms);
  disk.take_outcomes();
  world_.journal.note(world_.now_us(), "shard {} ends; {} of {} operations were done", self_, done,
                      under_way.size());
  for (const auto& [name, opened] : disk.contents(world_.schedule.now().unix_ms)) {
    const std::string channel = name.substr(name.find('/') + 1);
    world_.model.found_on_disk(channel, rules_of(channel), opened, world_.now_us());
  }
}

// ---- hub::Outbound ----

void Shard::touch(Connection& connection, Handle handle) {
  if (connection.touched) return;
  connection.touched = true;
  touched_.push_back(handle);
}

void Shard::send(Handle handle, std::string_view json) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr || connection->closing) return;
  connection->queued_bytes += json.size();
  (connection->stalled ? connection->replies : connection->begun).push_back({{}, std::string(json)});
  touch(*connection, handle);
}

bool Shard::push(Handle handle, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
                 Lane lane) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr || connection->closing) return true;
  require(first < last && last <= batch.size(), "an empty batch");
  if (connection->queued_bytes >= world_.plan.budget_bytes) return false;
  auto& kept = connection->lanes[static_cast<std::size_t>(lane.priority)];
  const bool all_empty =
      std::ranges::all_of(connection->lanes, [](const auto& frames) { return frames.empty(); });
  const bool copied = !connection->stalled && all_empty && !world_.chance(10);
  std::size_t bytes = 0;
  for (std::size_t i = first; i < last; ++i) {
    bytes += batch.json(i).size();
    (copied ? connection->begun : kept).push_back({lane.channel, std::string(batch.json(i))});
  }
  connection->batch_max = std::max(connection->batch_max, bytes);
  connection->frames_max = std::max(connection->frames_max, last - first);
  connection->queued_bytes += bytes;
  touch(*connection, handle);
  return true;
}

void Shard::drop(Handle handle, Lane lane) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  std::erase_if(connection->lanes[static_cast<std::size_t>(lane.priority)],
                [&](const Connection::Frame& frame) {
                  if (frame.channel != lane.channel) return false;
                  connection->queued_bytes -= frame.text.size();
                  return true;
                });
}

void Shard::hurry(Handle handle, Lane lane) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  auto& waiting = connection->lanes[static_cast<std::size_t>(lane.priority)];
  std::deque<Connection::Frame> others;
  for (Connection::Frame& frame : waiting) {
    if (frame.channel != lane.channel) {
      others.push_back(std::move(frame));
      continue;
    }
    (connection->stalled ? connection->replies : connection->begun).push_back(std::move(frame));
    ++connection->frames_max;
  }
  waiting = std::move(others);
}

void Shard::notify_when_drained(Handle handle) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  connection->notify_drained = true;
  touch(*connection, handle);
}

void Shard::close(Handle handle, std::uint16_t code, std::string_view reason) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr || connection->closing) return;
  for (auto& lane : connection->lanes) {
    for (const Connection::Frame& frame : lane) connection->queued_bytes -= frame.text.size();
    lane.clear();
  }
  connection->closing = true;
  connection->close_code = code;
  connection->close_reason = reason;
  ended_.push_back(handle);
  touch(*connection, handle);
}

void Shard::deadline_changed(Handle handle) {
  const std::int64_t at_ms = sessions_.next_deadline_ms(handle, world_.schedule.now());
  if (at_ms == std::numeric_limits<std::int64_t>::max()) return;
  world_.schedule.at(std::max(Schedule::moment_of_mono_ms(at_ms), world_.now_us() + 1000), [this, handle] {
    in_turn([this, handle] {
      if (connections_.get(handle) == nullptr) return;
      const Time now = world_.schedule.now();
      if (sessions_.next_deadline_ms(handle, now) <= now.mono_ms()) {
        sessions_.on_timer(handle, now);
        deadline_changed(handle);
      }
    });
  });
}

// ---- the socket ----

void Shard::write(Connection& connection, Handle handle) {
  require(connection.replies.size() + connection.begun.size() <=
              hub::Sessions::kPendingRepliesMax + 500 + connection.frames_max,
          "{} replies wait for one connection", connection.replies.size());
  std::size_t deliveries = 0;
  for (const auto& lane : connection.lanes)
    for (const Connection::Frame& frame : lane) deliveries += frame.text.size();
  require(deliveries <= world_.plan.budget_bytes + connection.batch_max,
          "{} bytes of deliveries wait for one connection, whose budget is {}", deliveries,
          world_.plan.budget_bytes);
  const auto move = [&](std::deque<Connection::Frame>& frames) {
    while (!frames.empty() && connection.window_bytes > 0) {
      Connection::Frame frame = std::move(frames.front());
      frames.pop_front();
      connection.queued_bytes -= frame.text.size();
      connection.window_bytes -= static_cast<std::int64_t>(frame.text.size());
      if (connection.client != nullptr)
        connection.client->on_way(connection.link, std::move(frame.text), world_.now_us());
    }
  };
  move(connection.begun);
  move(connection.replies);
  for (auto& lane : connection.lanes) move(lane);
  connection.stalled = connection.queued_bytes > 0;
  if (connection.queued_bytes <= world_.plan.budget_bytes / 2) {
    if (connection.notify_drained) {
      connection.notify_drained = false;
      drained_.push_back(handle);
      wake();
    }
    if (!connection.input.empty() || sessions_.has_rest(handle)) wake();
  }
  if (connection.closing && connection.queued_bytes == 0) {
    if (connection.client != nullptr)
      connection.client->on_closed(connection.link, connection.close_code, connection.close_reason);
    gone_.push_back(handle);
  }
}

}  // namespace tidewire::sim
