// publish: how many acknowledged messages a second, and how long each waits for its acknowledgement.
// fill: so many messages into so many channels, and where the first few of each end.
#include <cstdio>
#include <fstream>
#include <utility>

#include "figures.h"
#include "modes.h"

namespace logload {

namespace {

// Every link keeps `depth` messages in flight. A message's id is its place in the link's ring of send
// times, so a repeated or unknown acknowledgement is seen.
class Publish : public Mode {
 public:
  explicit Publish(const Options& options) : options_(options), rings_(options.links) {
    for (Ring& ring : rings_) ring.sent_ns.resize(options.depth);
  }

  void ready(Link&) override {}

  void published(Link& link, std::uint64_t id, std::string_view) override {
    Ring& ring = rings_[link.index];
    if (id >= ring.sent_ns.size() || ring.sent_ns[id] == 0) {
      ++unknown_;
      return;
    }
    const std::uint64_t sent_ns = std::exchange(ring.sent_ns[id], 0);
    ++acknowledged_;
    if (measuring_) {
      ++measured_;
      latencies_.record(loop_->arrival_ns() - sent_ns);
    }
    if (sending_) send(link, id);
  }

  int run() {
    Loop loop(options_, *this);
    loop_ = &loop;
    std::vector<Link> links(options_.links);
    loop.connect_all(links);
    for (Link& link : links) {
      for (std::uint64_t id = 0; id < options_.depth; ++id) send(link, id);
      loop.flush(link);
    }
    turn_until(loop, now_ns() + seconds(options_.warm_seconds));
    measuring_ = true;
    const Memory disk_before = memory_now(options_);
    const Cpu before = cpu_now(options_);
    turn_until(loop, before.at_ns + seconds(options_.seconds));
    const Cpu after = cpu_now(options_);
    const Memory memory = memory_now(options_);
    measuring_ = sending_ = false;
    for (const auto end = now_ns() + seconds(options_.drain_seconds);
         acknowledged_ < sent_ && now_ns() < end;)
      loop.turn(5'000'000);

    const double wall = static_cast<double>(after.at_ns - before.at_ns) * 1e-9;
    Json json;
    json.add("mode", "publish");
    json.add("messages", static_cast<double>(measured_));
    json.add("msgs_per_s", static_cast<double>(measured_) / wall);
    json.add_cost(options_, before, after, measured_);
    json.add_latencies("", latencies_);
    json.add("rss_kib", memory.resident_kib);
    json.add("peak_kib", memory.peak_kib);
    if (measured_ > 0)
      json.add("disk_bytes_per_message",
               (memory.written_bytes - disk_before.written_bytes) / static_cast<double>(measured_));
    json.add("lost", static_cast<double>(sent_ - acknowledged_));
    json.add("dup", static_cast<double>(unknown_));
    return finish(loop, json, sent_ != acknowledged_ || unknown_ > 0);
  }

 private:
  struct Ring {
    std::vector<std::uint64_t> sent_ns;
  };

  void send(Link& link, std::uint64_t id) {
    rings_[link.index].sent_ns[id] = now_ns();
    link.dialect->publish(link.index % options_.channels, ++sent_, id);
  }

  const Options& options_;
  Loop* loop_ = nullptr;
  std::vector<Ring> rings_;
  Latencies latencies_;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t measured_ = 0;
  std::uint64_t unknown_ = 0;
  bool measuring_ = false;
  bool sending_ = true;
};

// A channel belongs to one link, so that its messages keep their order.
class Fill : public Mode {
 public:
  explicit Fill(const Options& options)
      : options_(options), next_(options.links), positions_(options.channels) {}

  void ready(Link&) override {}

  void published(Link& link, std::uint64_t id, std::string_view position) override {
    ++acknowledged_;
    if (id / options_.channels + 1 == options_.skip) positions_[id % options_.channels] = position;
    send(link);
  }

  int run() {
    Loop loop(options_, *this);
    std::vector<Link> links(options_.links);
    loop.connect_all(links);
    const std::uint64_t begun_ns = now_ns();
    for (Link& link : links) {
      for (unsigned i = 0; i < options_.depth; ++i) send(link);
      loop.flush(link);
    }
    const std::uint64_t all = static_cast<std::uint64_t>(options_.channels) * options_.messages;
    const auto end = begun_ns + seconds(options_.limit_seconds);
    while (acknowledged_ < all && loop.refusals() == 0 && now_ns() < end) loop.turn(10'000'000);
    if (!options_.positions.empty()) {
      std::ofstream file(options_.positions);
      for (const std::string& position : positions_) file << position << '\n';
    }
    const double wall = static_cast<double>(now_ns() - begun_ns) * 1e-9;
    const Memory memory = memory_now(options_);
    Json json;
    json.add("mode", "fill");
    json.add("messages", static_cast<double>(acknowledged_));
    json.add("msgs_per_s", static_cast<double>(acknowledged_) / wall);
    json.add("rss_kib", memory.resident_kib);
    json.add("lost", static_cast<double>(all - acknowledged_));
    return finish(loop, json, acknowledged_ != all);
  }

 private:
  // A link's channels are those whose number is its own, modulo the links; it goes around them.
  void send(Link& link) {
    std::uint64_t& turn = next_[link.index];
    const std::uint64_t own = (options_.channels - link.index + options_.links - 1) / options_.links;
    if (link.index >= options_.channels || turn >= own * options_.messages) return;
    const std::uint64_t channel = turn % own * options_.links + link.index;
    const std::uint64_t message = turn / own;
    ++turn;
    link.dialect->publish(static_cast<unsigned>(channel), message + 1, message * options_.channels + channel);
  }

  const Options& options_;
  std::vector<std::uint64_t> next_;
  std::vector<std::string> positions_;
  std::uint64_t acknowledged_ = 0;
};

}  // namespace

int run_publish(const Options& options) { return Publish(options).run(); }
int run_fill(const Options& options) { return Fill(options).run(); }

}  // namespace logload
