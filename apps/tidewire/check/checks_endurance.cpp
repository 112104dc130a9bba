// Coming back without missing anything, and a load that stays within the limits (protocol §5).

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "check/suite.h"

namespace tidewire::check {

namespace {

constexpr int kMissed = 3;
constexpr int kLoadMessages = 20;
constexpr double kSlowMs = 500;

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

}  // namespace

void Suite::resume() {
  check("resume.position", "a client that comes back gets what it missed, in order", [&]() -> Verdict {
    if (!delivers_) return skipped("messages are not delivered");
    const std::string name = channel("resume");
    auto writer = open(0), reader = open(1);
    if (!writer || !reader) return failed(reader ? writer.error() : reader.error());
    const auto first = reader->request({{"type", "subscribe"}, {"channel", name}});
    if (!first || text_of(*first, "type") != "subscribed") return failed(instead(first));
    reader->socket().drop();
    for (int i = 1; i <= kMissed; ++i) {
      const auto reply = writer->request({{"type", "publish"}, {"channel", name}, {"data", i}});
      if (!reply || text_of(*reply, "type") != "published") return failed(instead(reply));
    }
    auto back = open(1);
    if (!back) return failed(back.error());
    const Json position{{"epoch", text_of(*first, "epoch")}, {"seq", number_of(*first, "seq")}};
    const auto reply = back->request({{"type", "subscribe"}, {"channel", name}, {"since", position}});
    if (!reply || text_of(*reply, "type") != "subscribed") return failed(instead(reply));
    if (!reply->value("recovered", false))
      return warned(
          fmt::format("not recovered ({}): does the namespace keep a history?", text_of(*reply, "reason")));
    const Json& messages = (*reply)["messages"];
    for (int i = 1; i <= kMissed; ++i) {
      const auto place = static_cast<std::size_t>(i - 1);
      const auto delivery =
          messages.size() > place ? std::optional<Json>(messages[place]) : back->delivery(name);
      if (!delivery || (*delivery)["data"] != i)
        return failed(fmt::format("missed message {}: {}", i, instead(delivery)));
    }
    const auto live = writer->request({{"type", "publish"}, {"channel", name}, {"data", "live"}});
    const auto delivery = back->delivery(name);
    if (!live || !delivery || (*delivery)["data"] != "live")
      return failed("what follows did not come: " + instead(delivery));
    return passed();
  });
  check("resume.epoch", "a position of another epoch is not taken for a good one", [&]() -> Verdict {
    if (!delivers_) return skipped("messages are not delivered");
    auto session = open();
    if (!session) return failed(session.error());
    const Json position{{"epoch", "no-such-epoch"}, {"seq", 1}};
    const auto reply =
        session->request({{"type", "subscribe"}, {"channel", channel("resume")}, {"since", position}});
    if (!reply || text_of(*reply, "type") != "subscribed") return failed(instead(reply));
    if (reply->value("recovered", true)) return failed("it was called recovered");
    return passed(text_of(*reply, "reason"));
  });
}

void Suite::load() {
  check("load.fanout", "every one of many readers gets every message soon", [&]() -> Verdict {
    if (!delivers_) return skipped("messages are not delivered");
    const std::string name = channel("load");
    std::vector<Session> readers;
    std::string ended;
    for (int i = 0; i < options_.connections; ++i) {
      auto reader = open(options_.secret.empty() ? 0 : i / 4);
      if (!reader) {
        ended = fmt::format("; connection {} was refused: {}", i + 1, reader.error());
        break;
      }
      const auto reply = reader->request({{"type", "subscribe"}, {"channel", name}});
      if (!reply || text_of(*reply, "type") != "subscribed") return failed(instead(reply));
      readers.push_back(*std::move(reader));
    }
    if (readers.empty()) return failed("no reader could connect" + ended);
    auto writer = open(0);
    if (!writer) return failed(writer.error());
    const int burst = static_cast<int>(number_of(hello_["limits"], "burst"));
    const int count = std::min(kLoadMessages, std::max(3, burst / 2));
    std::vector<double> took;
    for (int i = 1; i <= count; ++i) {
      const auto began = Clock::now();
      const std::string id = writer->send({{"type", "publish"}, {"channel", name}, {"data", i}});
      for (Session& reader : readers) {
        Clock::time_point at;
        const auto delivery = reader.delivery(name, &at);
        if (!delivery || (*delivery)["data"] != i)
          return failed(fmt::format("message {}: {}", i, instead(delivery)));
        took.push_back(std::max(0.0, std::chrono::duration<double, std::milli>(at - began).count()));
      }
      if (const auto reply = writer->reply_to(id); !reply || text_of(*reply, "type") != "published")
        return failed(instead(reply));
    }
    std::ranges::sort(took);
    const std::string detail = fmt::format(
        "{} messages to {} readers: p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms{}", count, readers.size(),
        percentile(took, 0.5), percentile(took, 0.95), percentile(took, 0.99), ended);
    return !ended.empty() || percentile(took, 0.99) > kSlowMs ? warned(detail) : passed(detail);
  });
}

}  // namespace tidewire::check
