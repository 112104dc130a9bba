// Redis Streams in RESP2: XADD, answered when the append-only file has it as `appendfsync` says, and
// XREAD, page after page and then blocking.
#include <deque>
#include <optional>

#include "dialect.h"

namespace logload {

namespace {

constexpr const char* kPage = "500";

class Redis : public Dialect {
 public:
  explicit Redis(const Options& options) : payload_(options.size) {}

  void greet() override {
    command({"PING"});
    waiting_.push_back({});
  }

  void publish(unsigned channel, std::uint64_t number, std::uint64_t id) override {
    command({"XADD", key_of(channel), "MAXLEN", "~", "100000", "*", "d", payload_.with(number)});
    waiting_.push_back({.id = id, .page = false});
  }

  void follow(unsigned channel, std::string_view position) override {
    key_ = key_of(channel);
    last_ = position.empty() ? "$" : std::string(position);
    next_page();
  }

  std::size_t read(std::string_view in, Events& events) override {
    std::size_t eaten = 0;
    while (const std::size_t length = length_of(in.substr(eaten))) {
      read_reply(in.substr(eaten, length), events);
      eaten += length;
    }
    return eaten;
  }

 private:
  struct Waiting {
    std::optional<std::uint64_t> id;
    bool page = false;
  };

  static std::string key_of(unsigned channel) { return "log:bench-" + std::to_string(channel); }

  void command(std::initializer_list<std::string_view> words) {
    out_ += '*' + std::to_string(words.size()) + "\r\n";
    for (const std::string_view word : words) {
      out_ += '$' + std::to_string(word.size()) + "\r\n";
      out_ += word;
      out_ += "\r\n";
    }
  }

  void next_page() {
    command({"XREAD", "COUNT", kPage, "BLOCK", "0", "STREAMS", key_, last_});
    waiting_.push_back({.id = {}, .page = true});
  }

  // Of one whole reply with all that is nested in it; 0 when it is not all there.
  static std::size_t length_of(std::string_view in) {
    std::size_t at = 0;
    for (std::uint64_t left = 1; left > 0; --left) {
      const auto end = in.find("\r\n", at);
      if (end == std::string_view::npos) return 0;
      const char kind = in[at];
      const std::uint64_t size = number_at(in.substr(at + 1, end - at - 1));  // of a null, -1: 0
      const bool null = in[at + 1] == '-';
      at = end + 2;
      if (kind == '*') left += size;
      if (kind == '$' && !null) at += size + 2;
      if (at > in.size()) return 0;
    }
    return at;
  }

  void read_reply(std::string_view reply, Events& events) {
    if (waiting_.empty()) return events.refused(reply.substr(0, 200));
    const Waiting waiting = waiting_.front();
    waiting_.pop_front();
    if (reply.starts_with('-')) return events.refused(reply.substr(0, 200));
    if (waiting.page) {
      // The last entry's id is the last text that looks like one: *2 $15 1700000000000-0 *2 $1 d ...
      const auto entry = reply.rfind("\r\n*2\r\n$1\r\nd\r\n");
      if (entry != std::string_view::npos) {
        const auto begin = reply.rfind('\n', entry) + 1;
        last_ = reply.substr(begin, entry - begin);
      }
      next_page();
      entries_in(reply, events);
    } else if (waiting.id) {
      const auto begin = reply.find('\n') + 1;
      events.published(*waiting.id, reply.substr(begin, reply.size() - begin - 2));
    } else {
      events.ready();
    }
  }

  Payload payload_;
  std::deque<Waiting> waiting_;
  std::string key_;
  std::string last_;
};

}  // namespace

std::unique_ptr<Dialect> redis_dialect(const Options& options, unsigned) {
  return std::make_unique<Redis>(options);
}

}  // namespace logload
