// resume: many clients come back at once, each with an old position in one channel, and each is done when
// it has had every message that it missed. Times count from the moment the first of them dials.

#include <cstdio>

#include "modes.h"

namespace logload {

namespace {

constexpr double kSettleSeconds = 2;

class Resume : public Mode {
 public:
  explicit Resume(const Options& options)
      : options_(options),
        positions_(positions_of(options)),
        orders_(options.links, Order{.next = options.skip + 1}) {}

  void ready(Link& link) override {
    const auto channel = static_cast<unsigned>(link.index % positions_.size());
    link.dialect->follow(channel, positions_[channel]);
  }

  void entry(Link& link, std::uint64_t number) override {
    ++entries_;
    Order& order = orders_[link.index];
    order.see(number);
    if (order.next != options_.skip + options_.messages + 1) return;
    ++done_;
    last_ns_ = loop_->arrival_ns();
    latencies_.record(last_ns_ - begun_ns_);
  }

  int run() {
    Loop loop(options_, *this);
    loop_ = &loop;
    std::vector<Link> links(options_.links);
    const Memory before = memory_now(options_);
    forget_peak(options_);
    const Cpu cpu = cpu_now(options_);
    begun_ns_ = last_ns_ = cpu.at_ns;
    const std::uint64_t end = begun_ns_ + seconds(options_.limit_seconds);
    const auto stalled = [&](std::uint64_t now) {
      return now > std::max(begun_ns_, loop.arrival_ns()) + seconds(options_.drain_seconds);
    };
    for (std::uint64_t now = begun_ns_; done_ < links.size() && now < end && !stalled(now); now = now_ns()) {
      loop.connect_some(links);
      loop.turn(1'000'000);
    }
    const Cpu cpu_after = cpu_now(options_);
    if (done_ < links.size())
      std::fprintf(stderr, "logload: %lu of %zu clients have everything in time\n", done_, links.size());
    turn_until(loop, now_ns() + seconds(0.3));  // so that a repeated message would be seen
    const Memory full = memory_now(options_);
    loop.hang_up(links);
    turn_until(loop, now_ns() + seconds(kSettleSeconds));
    const Memory after = memory_now(options_);

    Order all{.next = 0};
    for (const Order& order : orders_) {
      all.lost += order.lost + (options_.skip + options_.messages + 1 - order.next);
      all.repeated += order.repeated;
    }
    const double storm = static_cast<double>(last_ns_ - begun_ns_) * 1e-9;
    Json json;
    json.add("mode", "resume");
    json.add("conns", static_cast<double>(links.size()));
    json.add("messages", static_cast<double>(entries_));
    json.add("storm_s", storm);
    json.add("clients_per_s", static_cast<double>(done_) / storm);
    json.add("msgs_per_s", static_cast<double>(entries_) / storm);
    json.add_cost(options_, cpu, cpu_after, entries_);
    json.add_latencies("", latencies_);
    json.add("rss0_kib", before.resident_kib);
    json.add("peak_kib", full.peak_kib);
    json.add("rss_kib", full.resident_kib);
    json.add("rss_left_kib", after.resident_kib);
    json.add("rss_per_conn",
             (full.resident_kib - before.resident_kib) * 1024 / static_cast<double>(links.size()));
    json.add("lost", static_cast<double>(all.lost));
    json.add("dup", static_cast<double>(all.repeated));
    return finish(loop, json, all.lost + all.repeated > 0);
  }

 private:
  const Options& options_;
  Loop* loop_ = nullptr;
  std::vector<std::string> positions_;
  std::vector<Order> orders_;
  Latencies latencies_;
  std::uint64_t begun_ns_ = 0;
  std::uint64_t last_ns_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

int run_resume(const Options& options) { return Resume(options).run(); }

}  // namespace logload
