// What the hub needs of whoever moves bytes: the gateway in the server, clients in the simulator.
//
// None of these calls changes anything in the hub, though it may ask (Sessions::first_missing); what they
// cause is carried out after the turn.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/ip_address.h"
#include "base/slab.h"
#include "guard/connection_health.h"
#include "hub/types.h"
#include "protocol/delivery_batch.h"

namespace tidewire::hub {

class Outbound {
 public:
  // A reply or notice, in order with the others of the connection, ahead of its deliveries.
  virtual void send(Handle connection, std::string_view json) = 0;

  // Where a delivery goes: the lane of its namespace's priority, and whose it is.
  struct Lane {
    Priority priority = Priority::medium;
    Handle channel;  // the replica; null for what belongs to no channel
  };
  // Deliveries first..last-1 of a batch. False: the connection is over its outbound budget
  // (`limits.outbound_bytes`) and nothing was taken. A connection that is gone takes all.
  virtual bool push(Handle connection, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
                    Lane lane) = 0;

  // Forgets what waits in the lane: the channel's subscription has ended.
  virtual void drop(Handle connection, Lane lane) = 0;

  // What waits in the lane goes out before whatever is sent from now on.
  virtual void hurry(Handle connection, Lane lane) = 0;

  // Call Sessions::on_drained() once the connection has room for more.
  virtual void notify_when_drained(Handle connection) = 0;

  // Ends the connection after what has been sent: a close frame with code and reason.
  virtual void close(Handle connection, std::uint16_t code, std::string_view reason) = 0;

  // The session's deadlines have changed: ask Sessions::next_deadline_ms() again.
  virtual void deadline_changed(Handle connection) = 0;

  // Its client's address, as long as the connection has a session.
  virtual IpAddress address_of(Handle) const { return {}; }

  // For how long a ping has been without an answer, in microseconds; -1: none is.
  virtual std::int64_t ping_waiting_us(Handle) const { return -1; }

  // A connection that is not healthy gets its deliveries in bursts with pauses between them, in which
  // its subscriptions are behind: push() answers false meanwhile.
  virtual void set_pace(Handle, guard::HealthStatus) {}

  // A token named a key that is not known: fetch the tenant's JWKS.
  virtual void fetch_keys(TenantId tenant, std::string_view kid) = 0;

  // An `auth` waits for what the user directory says of its user.
  virtual void ask_user(Handle, TenantId, const std::string&) {}

  // A token was refused, however it was shown. Never said of an address that is turned away already.
  virtual void note_refused_token(const IpAddress&, const Error&) {}

  // So many were refused that the address is turned away from now on.
  virtual void note_turned_away(const IpAddress&, std::int64_t /*for_ms*/) {}

 protected:
  ~Outbound() = default;
};

}  // namespace tidewire::hub
