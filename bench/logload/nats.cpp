// NATS with JetStream: one stream `bench` over the subjects `log.*`, a publish with a reply subject is
// acknowledged when the stream has it, a reader is a push consumer with flow control (what the official
// clients call an ordered consumer).
#include <utility>

#include "dialect.h"

namespace logload {

namespace {

class Nats : public Dialect {
 public:
  Nats(const Options& options, unsigned index)
      : payload_(options.size),
        inbox_("_INBOX." + std::to_string(index)),
        create_(options.create && index == 0) {}

  void greet() override {
    out_ += R"(CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"headers":true,"lang":"c++",)"
            R"("version":"1","protocol":1})"
            "\r\nSUB " +
            inbox_ + ".* 1\r\nPING\r\n";
  }

  void publish(unsigned channel, std::uint64_t number, std::uint64_t id) override {
    const std::string_view payload = payload_.with(number);
    out_ += "PUB log.bench-" + std::to_string(channel) + ' ' + inbox_ + '.' + std::to_string(id) + ' ' +
            std::to_string(payload.size()) + "\r\n";
    out_ += payload;
    out_ += "\r\n";
  }

  void follow(unsigned channel, std::string_view position) override {
    out_ += "SUB " + inbox_ + ".to.follow 2\r\n";
    const std::string start = position.empty() ? R"("deliver_policy":"new")"
                                               : R"("deliver_policy":"by_start_sequence","opt_start_seq":)" +
                                                     std::to_string(number_at(position) + 1);
    request(
        "$JS.API.CONSUMER.CREATE.bench",
        R"({"stream_name":"bench","config":{"deliver_subject":")" + inbox_ + R"(.to.follow",)" + start +
            R"(,"filter_subject":"log.bench-)" + std::to_string(channel) +
            R"(","ack_policy":"none","max_deliver":1,"mem_storage":true,"num_replicas":1,"flow_control":true,"idle_heartbeat":5000000000}})");
  }

  std::size_t read(std::string_view in, Events& events) override {
    std::size_t eaten = 0;
    while (true) {
      const std::string_view rest = in.substr(eaten);
      const auto end = rest.find("\r\n");
      if (end == std::string_view::npos) return eaten;
      const std::string_view line = rest.substr(0, end);
      std::size_t body = 0;
      if (line.starts_with("MSG ") || line.starts_with("HMSG ")) {
        body = number_at(line.substr(line.rfind(' ') + 1)) + 2;
        if (rest.size() - end - 2 < body) return eaten;
        read_message(line, rest.substr(end + 2, body - 2), events);
      } else {
        read_line(line, events);
      }
      eaten += end + 2 + body;
    }
  }

 private:
  void request(const std::string& subject, const std::string& body) {
    out_ += "PUB " + subject + ' ' + inbox_ + ".api " + std::to_string(body.size()) + "\r\n" + body + "\r\n";
  }

  void read_line(std::string_view line, Events& events) {
    if (line.starts_with("PING")) {
      out_ += "PONG\r\n";
    } else if (line.starts_with("-ERR")) {
      events.refused(line);
    } else if (line.starts_with("PONG")) {
      if (!create_) return events.ready();
      request(
          "$JS.API.STREAM.CREATE.bench",
          R"({"name":"bench","subjects":["log.*"],"storage":"file","retention":"limits","max_msgs_per_subject":100000})");
    }
  }

  // `line` is (H)MSG subject sid [reply] [header bytes] bytes.
  void read_message(std::string_view line, std::string_view body, Events& events) {
    const std::string_view subject = after(line, "MSG ").substr(0, after(line, "MSG ").find(' '));
    if (subject.starts_with("log.")) return entries_in(body, events);
    if (!subject.starts_with(inbox_)) return events.refused(line);
    const std::string_view leaf = subject.substr(inbox_.size() + 1);
    if (leaf == "to.follow") return read_status(line, body);
    if (body.find(R"("error":)") != std::string_view::npos || line.starts_with("HMSG"))
      return events.refused(body.substr(0, 200));
    if (leaf == "api") {
      if (!std::exchange(create_, false)) return;
      return events.ready();
    }
    const std::string position = std::to_string(number_at(after(body, R"("seq":)")));
    events.published(number_at(leaf), position);
  }

  // What the consumer says between messages: asks for a sign of life where it paces itself.
  void read_status(std::string_view line, std::string_view body) {
    std::string_view answer_to;
    if (body.find("FlowControl") != std::string_view::npos) {
      answer_to = after(line, "to.follow 2 ");
      answer_to = answer_to.substr(0, answer_to.find(' '));
    } else if (const auto stalled = after(body, "Nats-Consumer-Stalled: "); !stalled.empty()) {
      answer_to = stalled.substr(0, stalled.find('\r'));
    }
    if (!answer_to.empty()) out_ += "PUB " + std::string(answer_to) + " 0\r\n\r\n";
  }

  Payload payload_;
  std::string inbox_;
  bool create_;
};

}  // namespace

std::unique_ptr<Dialect> nats_dialect(const Options& options, unsigned index) {
  return std::make_unique<Nats>(options, index);
}

}  // namespace logload
