// One connection's side of a server's protocol: writes requests, reads what comes, and says what it
// meant in words that are the same for every server. Owns no socket.
//
// Every message carries its number in its channel, from 1 on, so that whoever reads can tell a lost,
// repeated or reordered one whatever the server's own numbers look like.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "options.h"

namespace logload {

class Dialect;

// What came in on one connection.
class Events {
 public:
  virtual ~Events() = default;
  // Logged in: may publish and follow now.
  virtual void ready() = 0;
  // The server has `id` safe, as safe as it promises. `position` is where the message stands, in the
  // server's own words; good until the call returns.
  virtual void published(std::uint64_t id, std::string_view position) = 0;
  virtual void entry(std::uint64_t number) = 0;
  virtual void refused(std::string_view why) = 0;
};

class Dialect {
 public:
  virtual ~Dialect() = default;
  // The connection is up.
  virtual void greet() = 0;
  virtual void publish(unsigned channel, std::uint64_t number, std::uint64_t id) = 0;
  // Reads the channel from after `position` on, and then what comes live; an empty position: live only.
  virtual void follow(unsigned channel, std::string_view position) = 0;
  // Eats whole units from the front of `in` and returns their length.
  virtual std::size_t read(std::string_view in, Events& events) = 0;

  std::string& out() { return out_; }

 protected:
  std::string out_;  // bytes for the server, which the owner takes away
};

std::unique_ptr<Dialect> tidewire_dialect(const Options& options, unsigned index);
std::unique_ptr<Dialect> nats_dialect(const Options& options, unsigned index);
std::unique_ptr<Dialect> redis_dialect(const Options& options, unsigned index);
std::unique_ptr<Dialect> dialect_for(const Options& options, unsigned index);

// The payload of a message: a mark, its number, and filling; plain ASCII, safe inside JSON.
inline constexpr std::string_view kMark = "#=#";
inline constexpr std::size_t kNumberDigits = 12;
class Payload {
 public:
  explicit Payload(std::size_t size);
  // Good until the next call.
  std::string_view with(std::uint64_t number);

 private:
  std::string text_;
};

// Calls `events.entry` for each payload that begins in `text`.
void entries_in(std::string_view text, Events& events);

// The unsigned number at the front of `text`, 0 when there is none.
std::uint64_t number_at(std::string_view text);
// What stands in `text` behind the first `key`; empty when it is not there.
std::string_view after(std::string_view text, std::string_view key);

}  // namespace logload
