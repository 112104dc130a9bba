#include "shard.h"

#include <algorithm>

#include "client.h"
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
  limits.channels = 8;
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
          {.idempotency_window_ms = kIdempotencyMs, .presence_grace_ms = kGraceMs, .hash_seed = kHashSeed},
          world.namespaces, world.below(1u << 30),
          [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); },
          [this](log::Operation&& operation) { submit(std::move(operation)); }),
      sessions_(
          {.self = self, .shards = world.plan.shards, .hash_seed = kHashSeed, .anonymous_capabilities = {}},
          world.namespaces, tenants_,
          {.limits = world.limits, .attempts = world.attempts, .keys = guard::LimitKeys(1)}, *this,
          [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); }),
      calls_(world.plan.shards, kHashSeed, world.namespaces,
             [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); }),
      log_([this](log::Outcome&& outcome) { outcomes_.push_back(std::move(outcome)); }),
      outgoing_(world.plan.shards) {}

// ---- from outside ----

void Shard::in_turn(std::function<void()> what) {
  events_.push_back(std::move(what));
  wake();
}

void Shard::wake() {
  if (awake_) return;
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
  in_home_ = false;
}

// ---- a turn ----

void Shard::turn() {
  awake_ = false;
  const auto events = std::exchange(events_, {});
  for (const auto& event : events) event();
  end_turn();
}

void Shard::take_input(Connection& connection, Handle handle) {
  while (!connection.input.empty() && !connection.closing && sessions_.can_take(handle) &&
         connection.queued_bytes < 2 * world_.plan.budget_bytes) {
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
  if (!local_.empty() || !operations_.empty()) wake();
}

void Shard::dispatch_local() {
  while (!local_.empty()) {
    for (hub::Message& message : std::exchange(local_, {})) dispatch(self_, std::move(message));
  }
  if (!operations_.empty()) log_works(std::exchange(operations_, {}));
}

void Shard::dispatch(hub::ShardId from, hub::Message&& message) {
  const Time now = world_.schedule.now();
  std::visit(
      [&](auto&& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, hub::Ask>) {
          answer(from, std::move(body));
        } else if constexpr (std::is_same_v<Body, hub::Answer> ||
                             std::is_same_v<Body, hub::ChannelInfoResult>) {
          const hub::ReplyTo to = body.reply;
          calls_.handle(to, std::move(body));
        } else if constexpr (requires { home_.handle(from, std::move(body), now); }) {
          if constexpr (std::is_same_v<Body, hub::PublishCommand>) remember(from, body);
          in_home_ = true;
          home_.handle(from, std::move(body), now);
          in_home_ = false;
        } else if constexpr (requires { body.reply; }) {
          const hub::ReplyTo to = body.reply;
          if (to.kind == hub::ReplyTo::Kind::call)
            calls_.handle(to, std::move(body));
          else
            sessions_.handle(std::move(body), now);
        } else {
          sessions_.handle(std::move(body), now);
        }
      },
      std::move(message));
}

void Shard::answer(hub::ShardId from, hub::Ask&& ask) {
  hub::AnswerPart part = sessions_.answer(ask.question, world_.schedule.now());
  if (const auto* list = std::get_if<hub::ListChannels>(&ask.question)) part.channels = home_.list(*list);
  post(from, hub::Answer{.reply = ask.reply, .part = std::move(part)});
}

void Shard::post(hub::ShardId to, hub::Message&& message) {
  if (in_home_) watch_home(to, message);
  if (to == self_)
    local_.push_back(std::move(message));
  else
    outgoing_[to].push_back(std::move(message));
}

// ---- what homes do is the truth that clients are checked against ----

void Shard::remember(hub::ShardId from, const hub::PublishCommand& command) {
  const Asker asker{from, static_cast<std::uint8_t>(command.reply.kind), command.reply.target.bits(),
                    command.reply.slot};
  Model::Asked asked{.channel = command.channel.name,
                     .scope = command.author->scope,
                     .key = command.key,
                     .tail = command.tail,
                     .ns = world_.namespaces.find(protocol::namespace_of(command.channel.name)),
                     .ephemeral = command.ephemeral,
                     .ttl_ms = command.ttl_ms,
                     .not_for = command.skip ? command.author->connection : 0};
  require(asked_.emplace(asker, std::move(asked)).second, "two publishes ask for their answers at one place");
}

void Shard::watch_home(hub::ShardId to, const hub::Message& message) {
  if (const auto* result = std::get_if<hub::PublishResult>(&message)) {
    const Asker asker{to, static_cast<std::uint8_t>(result->reply.kind), result->reply.target.bits(),
                      result->reply.slot};
    const auto asked = asked_.extract(asker);
    require(!asked.empty(), "a publish to {} was answered twice", result->channel.name);
    world_.model.published(asked.mapped(), result->result, world_.now_us());
    if (result->result)
      world_.journal.note(world_.now_us(), "home {}: {} {}{} {}", self_, result->channel.name,
                          result->result->seq, result->result->duplicate ? " (again)" : "",
                          asked.mapped().tail);
  } else if (const auto* subscribed = std::get_if<hub::SubscribeResult>(&message)) {
    if (subscribed->result)
      world_.model.seen_epoch(subscribed->channel.name,
                              *world_.namespaces.find(protocol::namespace_of(subscribed->channel.name)),
                              subscribed->result->epoch, world_.now_us());
  }
}

// ---- the log ----

void Shard::submit(log::Operation&& operation) {
  if (const auto* open = std::get_if<log::Open>(&operation)) {
    log_names_[open->channel.bits()] =
        open->name.substr(open->name.find_first_of(std::string_view("\0:/ ", 4)) + 1);
  } else if (const auto* append = std::get_if<log::Append>(&operation)) {
    for (const log::Entry& entry : append->entries)
      world_.model.appended(log_names_.at(append->channel.bits()), entry);
  }
  operations_.push_back(std::move(operation));
}

// Carried out after a while, answered after another, in order; some fail.
void Shard::log_works(std::vector<log::Operation>&& operations) {
  auto shared = std::make_shared<std::vector<log::Operation>>(std::move(operations));
  log_busy_until_us_ = std::max(log_busy_until_us_, world_.now_us() + 1 + world_.up_to(world_.plan.log_us));
  world_.schedule.at(log_busy_until_us_, [this, shared] {
    for (log::Operation& operation : *shared) {
      const bool fails = world_.plan.log_failures > 0 && !world_.quiet &&
                         world_.below(1000) < static_cast<std::uint64_t>(world_.plan.log_failures);
      const Error error = tidewire::fail(ErrorCode::unavailable, "the simulated log fails").error();
      using What = log::Failed::What;
      if (const auto* append = std::get_if<log::Append>(&operation); fails && append != nullptr)
        outcomes_.push_back(log::Failed{
            .channel = append->channel, .what = What::append, .number = append->number, .error = error});
      else if (const auto* read = std::get_if<log::Read>(&operation); fails && read != nullptr)
        outcomes_.push_back(log::Failed{
            .channel = read->channel, .what = What::read, .number = read->number, .error = error});
      else
        log_.submit(
            self_,
            [&] {
              std::vector<log::Operation> one;
              one.push_back(std::move(operation));
              return one;
            }(),
            world_.schedule.now().unix_ms);
    }
    auto done = std::make_shared<std::vector<log::Outcome>>(std::exchange(outcomes_, {}));
    log_busy_until_us_ = std::max(log_busy_until_us_, world_.now_us() + 1 + world_.up_to(world_.plan.log_us));
    world_.schedule.at(log_busy_until_us_, [this, done] {
      in_turn([this, done] {
        in_home_ = true;
        for (log::Outcome& outcome : *done) home_.handle(std::move(outcome), world_.schedule.now());
        in_home_ = false;
      });
    });
  });
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
    if (!connection.input.empty()) wake();
  }
  if (connection.closing && connection.queued_bytes == 0) {
    if (connection.client != nullptr)
      connection.client->on_closed(connection.link, connection.close_code, connection.close_reason);
    gone_.push_back(handle);
  }
}

}  // namespace tidewire::sim
