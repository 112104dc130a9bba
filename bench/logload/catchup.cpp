// catchup: readers start far behind while a publisher goes on at a fixed rate and a witness listens live.
// Says how fast the readers come forward, and whether publisher and witness feel it: their latencies count
// from when a message was due, before the readers come (`calm_`) and while they catch up.
#include <algorithm>
#include <cstdio>

#include "modes.h"

namespace logload {

namespace {

constexpr std::uint64_t kTickNs = 5'000'000;  // of readers that take so many bytes a second
constexpr int kSlowReceiveBuffer = 16 * 1024;
constexpr double kCalmSeconds = 1;
constexpr double kLiveSeconds = 0.5;
constexpr double kFillSeconds = 3;  // until the buffers on the way to slow readers are full

class CatchUp : public Mode {
 public:
  explicit CatchUp(const Options& options)
      : options_(options),
        position_(positions_of(options)[0]),
        first_(options.messages + 1ULL),
        links_(options.links + 2ULL),
        readers_(options.links),
        slow_(options.read_rate > 0) {
    if (options.rate <= 0) die("catchup needs --rate");
    for (Reader& reader : readers_) reader.order.next = options.skip + 1;
    witness_.next = first_;
  }

  void ready(Link&) override {}

  void published(Link&, std::uint64_t number, std::string_view) override {
    acknowledged_ = std::max(acknowledged_, number);
    record(acknowledging_, number);
  }

  void entry(Link& link, std::uint64_t number) override {
    if (&link == &witness()) {
      witness_.see(number);
      return record(arriving_, number);
    }
    Reader& reader = readers_[link.index];
    reader.order.see(number);
    if (reader.live) return;
    ++entries_;
    if (number < acknowledged_) return;
    reader.live = true;
    ++live_;
    last_live_ns_ = loop_->arrival_ns();
  }

  int run() {
    Loop loop(options_, *this);
    loop_ = &loop;
    if (slow_)
      for (unsigned i = 0; i < options_.links; ++i) links_[i].receive_buffer = kSlowReceiveBuffer;
    loop.connect_all(links_);
    witness().dialect->follow(0, "");
    loop.flush(witness());
    turn_until(loop, now_ns() + seconds(kLiveSeconds));

    next_due_ns_ = now_ns();
    publish_until(now_ns() + seconds(options_.warm_seconds), false);
    measuring_ = true;
    const Cpu calm = cpu_now(options_);
    publish_until(now_ns() + seconds(kCalmSeconds), false);
    const Cpu calm_after = cpu_now(options_);
    Json json;
    json.add("mode", "catchup");
    json.add_latencies("calm_", acknowledging_);
    json.add_latencies("calm_live_", arriving_);
    acknowledging_.clear();
    arriving_.clear();

    const Memory before = memory_now(options_);
    forget_peak(options_);
    Cpu cpu = cpu_now(options_);
    last_live_ns_ = cpu.at_ns;
    for (unsigned i = 0; i < options_.links; ++i) {
      links_[i].dialect->follow(0, position_);
      loop.flush(links_[i]);
    }
    publish_until(cpu.at_ns + seconds(slow_ ? options_.seconds : options_.limit_seconds), true);
    const Cpu cpu_after = cpu_now(options_);
    const Memory after = memory_now(options_);
    measuring_ = false;
    const std::uint64_t entries = entries_;
    const double wall = static_cast<double>((slow_ ? cpu_after.at_ns : last_live_ns_) - cpu.at_ns) * 1e-9;
    if (!slow_ && live_ < options_.links)
      std::fprintf(stderr, "logload: %u of %u readers were live in time\n", live_, options_.links);
    publish_until(now_ns() + seconds(kLiveSeconds), false);
    drain();

    json.add("readers", options_.links);
    json.add("messages", static_cast<double>(entries));
    json.add("catchup_s", wall);
    json.add("msgs_per_s", static_cast<double>(entries) / wall);
    json.add_cost(options_, cpu, cpu_after, entries);
    // What the readers cost by themselves: without what the publisher and the witness cost before they came.
    const double calm_share = (calm_after.server - calm.server) / seconds_between(calm, calm_after);
    const double readers_cpu = cpu_after.server - cpu.server - calm_share * seconds_between(cpu, cpu_after);
    json.add("calm_cpu_pct", calm_share * 100);
    if (entries > 0) json.add("reader_cpu_us", readers_cpu / static_cast<double>(entries) * 1e6);
    json.add_latencies("", acknowledging_);
    json.add_latencies("live_", arriving_);
    json.add("rss0_kib", before.resident_kib);
    json.add("peak_kib", after.peak_kib);
    json.add("peak_per_reader", (after.peak_kib - before.resident_kib) * 1024 / options_.links);
    return judge(json);
  }

 private:
  struct Reader {
    Order order;
    bool live = false;
    double allowed_bytes = 0;
    std::uint64_t counted_bytes = 0;
  };

  static double seconds_between(const Cpu& from, const Cpu& to) {
    return static_cast<double>(to.at_ns - from.at_ns) * 1e-9;
  }

  Link& witness() { return links_[options_.links]; }
  Link& publisher() { return links_[options_.links + 1ULL]; }

  void record(Latencies& latencies, std::uint64_t number) {
    if (measuring_ && number >= first_ && number - first_ < due_ns_.size())
      latencies.record(loop_->arrival_ns() - due_ns_[number - first_]);
  }

  // Publishes what is due and turns; with `catching_up` only until every reader is live.
  void publish_until(std::uint64_t end_ns, bool catching_up) {
    const std::uint64_t step_ns = seconds(1 / options_.rate);
    for (std::uint64_t now = now_ns(); now < end_ns; now = now_ns()) {
      if (catching_up && !slow_ && live_ == options_.links) return;
      for (; next_due_ns_ <= now; next_due_ns_ += step_ns) {
        due_ns_.push_back(next_due_ns_);
        const std::uint64_t number = options_.messages + due_ns_.size();
        publisher().dialect->publish(0, number, number);
      }
      loop_->flush(publisher());
      if (slow_) pace(now);
      loop_->turn(std::min({next_due_ns_ - now, end_ns - now, kTickNs}));
    }
  }

  // A reader that has had its share of bytes leaves the rest in its socket until the next tick.
  void pace(std::uint64_t now) {
    if (now < next_tick_ns_) return;
    next_tick_ns_ = now + kTickNs;
    for (unsigned i = 0; i < options_.links; ++i) {
      Reader& reader = readers_[i];
      const auto taken = static_cast<double>(links_[i].received_bytes - reader.counted_bytes);
      reader.counted_bytes = links_[i].received_bytes;
      const double share = options_.read_rate * static_cast<double>(kTickNs) * 1e-9;
      reader.allowed_bytes = std::min(share, reader.allowed_bytes + share - taken);
      loop_->set_reading(links_[i], reader.allowed_bytes > 0);
    }
  }

  // Everything that was published must arrive, at the slow readers only as far as they are.
  void drain() {
    const std::uint64_t last = options_.messages + due_ns_.size();
    const auto done = [&] {
      return acknowledged_ == last && witness_.next > last &&
             (slow_ || std::ranges::all_of(readers_, [&](const Reader& r) { return r.order.next > last; }));
    };
    for (const auto end = now_ns() + seconds(options_.drain_seconds); !done() && now_ns() < end;)
      loop_->turn(kTickNs);
  }

  int judge(Json& json) {
    const std::uint64_t last = options_.messages + due_ns_.size();
    std::uint64_t lost = witness_.lost + (last + 1 - witness_.next) + (last - acknowledged_);
    std::uint64_t repeated = witness_.repeated;
    for (const Reader& reader : readers_) {
      lost += reader.order.lost + (slow_ ? 0 : last + 1 - reader.order.next);
      repeated += reader.order.repeated;
    }
    json.add("lost", static_cast<double>(lost));
    json.add("dup", static_cast<double>(repeated));
    return finish(*loop_, json, lost + repeated > 0);
  }

  const Options& options_;
  const std::string position_;
  const std::uint64_t first_;  // number of the first message that is published here
  std::vector<Link> links_;    // the readers, the witness, the publisher
  std::vector<Reader> readers_;
  const bool slow_;
  Loop* loop_ = nullptr;
  Order witness_;
  Latencies acknowledging_;
  Latencies arriving_;
  std::vector<std::uint64_t> due_ns_;
  std::uint64_t next_due_ns_ = 0;
  std::uint64_t next_tick_ns_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t last_live_ns_ = 0;
  unsigned live_ = 0;
  bool measuring_ = false;
};

}  // namespace

int run_catchup(const Options& options) { return CatchUp(options).run(); }

}  // namespace logload
