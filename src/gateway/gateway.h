// A shard's connections, and the one place that carries out what the hub decides for them.
//
// Within a turn everything for a connection is collected; at its end each touched connection is written
// to once (ARCHITECTURE.md, idea 3). Owned by the shard's thread.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "gateway/connection.h"
#include "hub/sessions.h"
#include "net/loop.h"
#include "wire/handshake.h"
#include "wire/http_answer.h"
#include "wire/http_request.h"

namespace tidewire::gateway {

struct GatewayOptions {
  bool echo = false;              // serve /echo
  bool reject_with_http = false;  // auth.reject = "http"
  bool auth_required = false;
  wire::DeflateMode compression = wire::DeflateMode::shared;
  std::size_t compression_min_bytes = 256;
  std::uint32_t fragments = 1024;
  std::size_t outbound_bytes = 1 << 20;
  std::int64_t message_timeout_ms = 30'000;
  std::int64_t heartbeat_ms = 30'000;
  std::int64_t write_timeout_ms = 60'000;
  std::int64_t send_failures = 5;  // seconds in a row that open a sending side's circuit
  std::int64_t close_timeout_ms = 5'000;
  std::int64_t header_timeout_ms = 10'000;
  std::int64_t idle_timeout_ms = 60'000;
  std::vector<std::string> allowed_origins;
  std::vector<IpPrefix> trusted_proxies;
  std::size_t http_body_bytes = std::size_t{16} << 20;
};

struct GatewayCounts {
  std::uint64_t messages_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t send_circuits_open = 0, send_circuits_opened = 0;  // now; ever
};

class Gateway final : public hub::Outbound {
 public:
  // Answers a request that is no upgrade, through respond(), at once or later.
  using OnRequest = std::function<void(Handle, const wire::HttpRequest&, const IpAddress& client)>;
  // A request that can only be refused, judged by its head while its body is still to come.
  using OnHead =
      std::function<std::optional<wire::HttpAnswer>(const wire::HttpRequest&, const IpAddress& client)>;
  // Has been answered by the gateway itself; neither of the above has seen it.
  using OnAnswer = std::function<void(const wire::HttpRequest&, int status)>;
  // The tenant of an upgrade by its Host, or by the tenant that its token names.
  using FindTenant = std::function<hub::TenantId(std::string_view host, std::string_view token)>;
  using FetchKeys = std::function<void(hub::TenantId)>;
  // Asks the user directory; user_answered() must follow, whatever comes of it.
  using AskUser = std::function<void(hub::TenantId, const std::string& user_id)>;

  Gateway(GatewayOptions options, net::Loop& loop, hub::Tenants& tenants, hub::Sessions::Shared shared,
          std::uint64_t seed);
  ~Gateway();

  // Once, before connections come.
  void connect(hub::Sessions& sessions, OnRequest on_request, OnHead on_head, OnAnswer on_answer,
               FindTenant find_tenant, FetchKeys fetch_keys, AskUser ask_user);

  void accept(net::Stream stream, const IpAddress& peer);
  void respond(Handle connection, const wire::HttpAnswer& answer);
  // The tenant's key set has come, or its fetch has failed: what waited for it goes on.
  void keys_changed(hub::TenantId tenant);
  // The directory has answered: who waited for it goes on.
  void user_answered(const guard::LimitKey& user, guard::UserState state);
  // End of turn: deliveries out, one write per touched connection, ended connections gone.
  void end_turn();

  // From now on new requests are answered 503 (but for probes), those under way as ever, and all connections
  // close within `within_ms`.
  void drain(std::int64_t within_ms);
  bool draining() const { return drain_by_ms_ != 0; }
  std::size_t size() const { return connections_.size(); }
  // For reload: holds for what comes from now on.
  void set_options(GatewayOptions options);

  // What belongs to no tenant, such as HTTP calls; and what belongs to each.
  const GatewayCounts& counts() const { return counts_; }
  const std::vector<GatewayCounts>& tenant_counts() const { return tenant_counts_; }

  // hub::Outbound
  void send(Handle connection, std::string_view json) override;
  bool push(Handle connection, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
            Lane lane) override;
  void drop(Handle connection, Lane lane) override;
  void hurry(Handle connection, Lane lane) override;
  void notify_when_drained(Handle connection) override;
  void close(Handle connection, std::uint16_t code, std::string_view reason) override;
  void deadline_changed(Handle connection) override;
  IpAddress address_of(Handle connection) const override;
  std::int64_t ping_waiting_us(Handle connection) const override;
  void set_pace(Handle connection, guard::HealthStatus health) override;
  void fetch_keys(hub::TenantId tenant, std::string_view kid) override;
  void ask_user(Handle connection, hub::TenantId tenant, const std::string& user_id) override;
  void note_refused_token(const IpAddress& client, const Error& error) override;
  void note_turned_away(const IpAddress& client, std::int64_t for_ms) override;

 private:
  friend class Connection;
  enum class Progress : std::uint8_t { go_on, stop };
  static constexpr wire::HttpProblem kDraining{.status = 503,
                                               .code = "unavailable",
                                               .detail = "the server is draining",
                                               .retry_after_ms = kRetryAfterMs};

  // connection_input.cpp: from bytes to requests and messages
  void on_readable(Connection& connection);
  static bool has_more_to_say(const Connection& connection);
  bool answers_pile_up(const Connection& connection) const;
  void on_bytes(Connection& connection, std::span<char> bytes);
  Progress take_http(Connection& connection, std::span<char>& chunk);
  bool refuse_by_head(Connection& connection);
  // Answers what never gets to a route, or no longer.
  void refuse_request(Connection& connection, const wire::HttpProblem& problem);
  bool is_upgrade_path(std::string_view path) const;
  bool is_too_late(const Connection& connection, const wire::HttpRequest& request) const;
  void take_messages(Connection& connection, std::span<char>& chunk);
  Progress on_message(Connection& connection, const wire::MessageReader::Event& event);
  void take_echo(Connection& connection, std::span<char>& chunk);
  void write_now(Connection& connection, std::string_view bytes);
  void hold(Connection& connection, std::span<char> rest);
  void resume(Connection& connection);
  wire::Inflater* inflater_of(Connection& connection);
  wire::Deflater& deflater_of(Connection& connection);  // where something was negotiated

  // True when the request was one that makes the connection something else, or asked for it in vain.
  bool change_over(Connection& connection, const wire::HttpRequest& request, const hub::Awaited& awaited);
  // A token can't be judged yet: the request is handed in again when what it waits for has come.
  void wait_for(Connection& connection, hub::TenantId tenant, const hub::Refusal& refusal);
  // Hands an `auth` in; true when it has to wait.
  bool hand_in(Connection& connection, std::string_view message, const hub::Awaited& awaited);

  // upgrade.cpp: from a request to a WebSocket
  void upgrade(Connection& connection, const wire::HttpRequest& request, const hub::Awaited& awaited);
  // Why nobody is let in, the same for a WebSocket and a stream.
  struct RefusedAsker {
    wire::HttpProblem problem;
    // With which a WebSocket ends that was made to say so; empty: none is made.
    std::string_view reason = {};
    std::optional<Error> token = {};  // what is wrong with it
    // `problem` with the token's own sentence; for as long as this is there.
    wire::HttpProblem answer() const;
  };
  void refuse_upgrade(Connection& connection, const wire::UpgradeRequest& asked, const RefusedAsker& refused);
  // Who asks; nothing while that waits for keys, or for what the directory says of the user. The connection's
  // id is still to come.
  std::expected<std::optional<hub::Opening>, RefusedAsker> judge(
      Connection& connection, const wire::HttpRequest& request,
      std::span<const std::string_view> subprotocols, const hub::Awaited& awaited);
  RefusedAsker refused_token(hub::TenantId tenant, const IpAddress& client, Error&& error);
  void become_websocket(Connection& connection, const wire::UpgradeRequest& asked);
  void become_echo(Connection& connection, const wire::UpgradeRequest& asked);
  void use_deflate(Connection& connection, const wire::DeflateAgreement& agreement);
  // Counts the connection; or answers why it may not be.
  std::optional<wire::HttpProblem> admit(Connection& connection, const IpAddress& client,
                                         const hub::Tenant& tenant);
  void release(Connection& connection);
  IpAddress client_of(const Connection& connection, const wire::HttpRequest& request) const;
  // Whether the client speaks TLS, with us or with a trusted proxy that says so.
  bool is_over_tls(const Connection& connection, const wire::HttpRequest& request) const;

  // sse_open.cpp: from a request to an event stream
  void open_stream(Connection& connection, const wire::HttpRequest& request, const hub::Awaited& awaited);
  std::expected<std::optional<hub::Opening>, RefusedAsker> judge_stream(Connection& connection,
                                                                        const wire::HttpRequest& request,
                                                                        const hub::Awaited& awaited);
  std::optional<wire::HttpProblem> count_stream(Connection& connection, const hub::Opening& opening);
  void start_stream(Connection& connection, hub::Opening&& opening, std::unique_ptr<SseStream> stream);

  // sse_output.cpp: what a stream does otherwise than a WebSocket
  void follow_more(Connection& connection);
  void send_event(Connection& connection, std::string_view json);
  void send_lines(Connection& connection, std::string_view lines);
  void send_rendered(Connection& connection);
  bool push_events(Connection& connection, protocol::DeliveryBatch& batch, std::size_t first,
                   std::size_t last, Lane lane);
  net::IoStatus flush_stream(Connection& connection, std::size_t& written);

  // pace.cpp: deliveries in bursts. Whether the connection is between two of them for this lane.
  bool in_pause(Connection& connection, Lane lane);

  // connection_life.cpp: time, closing, flushing
  void on_timer(Connection& connection);
  void beat(Connection& connection);
  std::int64_t request_due_ms(const Connection& connection) const;
  void leave_http(Connection& connection);
  void reschedule(Connection& connection);
  void touch(Connection& connection);
  Outbox& outbox_of(Connection& connection);
  void send_frame(Connection& connection, wire::Opcode opcode, std::string_view payload,
                  bool compressed = false);
  void push_brotli(Connection& connection, protocol::DeliveryBatch& batch, std::size_t first,
                   std::size_t last, Lane lane);
  static bool has_send_circuit(const Connection& connection);
  static bool has_acknowledged(Connection& connection, const net::Stream::Progress& progress);
  bool is_on_the_way(Connection& connection);
  void note_ping_end(Connection& connection);
  bool has_vanished(Connection& connection);
  bool takes_deliveries(Connection& connection);
  bool has_room(Connection& connection);
  void close_send_circuit(Connection& connection);
  void flush(Connection& connection);
  void after_flush(Connection& connection, net::IoStatus status, std::size_t written);
  void note_stall(Connection& connection, std::size_t written);
  void look_at_stall(Connection& connection);
  void start_close(Connection& connection, std::uint16_t code, std::string_view reason);
  void fail_connection(Connection& connection, std::uint16_t code, std::string_view reason);
  void finish_close(Connection& connection);
  void lose(Connection& connection);  // the bytes are at an end
  void end_session(Connection& connection);
  void end_request(Connection& connection);
  void end_overdue(Connection& connection);
  void end_late(Connection& connection);  // HTTP at the end of a drain

  std::int64_t now_ms() const { return loop_.now().mono_ms(); }

  GatewayOptions options_;
  net::Loop& loop_;
  hub::Tenants& tenants_;
  hub::Sessions::Shared shared_;
  hub::Sessions* sessions_ = nullptr;
  OnRequest on_request_;
  OnHead on_head_;
  OnAnswer on_answer_;
  FindTenant find_tenant_;
  FetchKeys fetch_keys_;
  AskUser ask_user_;
  Random random_;
  Slab<Connection> connections_;
  GatewayCounts counts_;
  std::vector<GatewayCounts> tenant_counts_;
  GatewayCounts& counts_of(const Connection& connection) {
    return connection.admitted ? tenant_counts_[connection.tenant] : counts_;
  }
  std::vector<wire::ReaderLimits> reader_limits_;  // by tenant; readers point at them
  wire::ReaderLimits echo_limits_;
  wire::HttpLimits http_limits_;
  wire::Inflater shared_inflater_;
  wire::Deflater shared_deflater_;
  std::string deflated_;
  std::string rendered_;  // events on their way into an outbox
  // What one read may bring. An echo takes and answers as much at a time as the buffer holds.
  static constexpr std::size_t kBufferBytes = 512 * 1024;
  std::unique_ptr<char[]> buffer_;
  std::vector<Handle> touched_;
  std::vector<Handle> gone_;     // to be erased at the end of the turn
  std::vector<Handle> drained_;  // the hub is told of at the end of the turn
  std::vector<Handle> ended_;    // the hub asked to close these in this turn
  std::vector<Handle> holding_;  // input may go on
  struct WaitingAuth {
    hub::TenantId tenant = 0;
    hub::Wait what = hub::Wait::keys;
    std::string message;
  };
  struct UserHash {
    std::size_t operator()(const guard::LimitKey& key) const { return key.low; }
  };
  std::vector<std::pair<hub::TenantId, Handle>> waiting_upgrades_;  // for keys
  std::unordered_map<std::uint64_t, WaitingAuth> waiting_auth_;     // likewise, or for a user
  // Upgrades and `auth`s that wait for what the directory says of a user.
  std::unordered_multimap<guard::LimitKey, Handle, UserHash> waiting_users_;
  std::vector<std::unique_ptr<HttpStage>> retired_http_;  // of this turn's upgrades
  std::vector<std::unique_ptr<Outbox>> spare_outboxes_;
  bool write_through_ = false;  // deliveries go straight to the socket: nothing else is to come this turn
  std::int64_t drain_by_ms_ = 0;
};

}  // namespace tidewire::gateway
