// Subscriptions, messages, and how mistakes are answered (protocol §3 to §6).

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/base64url.h"
#include "check/suite.h"

namespace tidewire::check {

namespace {

constexpr int kInOrder = 20;
// Spelled so that a server which reads and writes it anew shows itself.
constexpr std::string_view kPayload = R"({"b":1.0,"a":[1e2,12345678901234567890],"text":"grün \u00e9 ☂"})";

Json subscribe(const std::string& channel) { return {{"type", "subscribe"}, {"channel", channel}}; }
Json publish(const std::string& channel, Json data) {
  return {{"type", "publish"}, {"channel", channel}, {"data", std::move(data)}};
}

}  // namespace

void Suite::subscriptions() {
  check("subscriptions.subscribe", "a channel can be followed, again and no more", [&]() -> Verdict {
    if (!connects_) return skipped("there is no connection");
    auto session = open();
    if (!session) return failed(session.error());
    const std::string name = channel("subscribe");
    auto reply = session->request(subscribe(name));
    if (!reply || text_of(*reply, "type") != "subscribed") {
      if (!has_identity() && reply) return skipped("nobody may without a token: " + text_of(*reply, "code"));
      return failed(instead(reply));
    }
    if (text_of(*reply, "channel") != name || text_of(*reply, "epoch").empty() ||
        !(*reply)["messages"].is_array())
      return failed("`subscribed` lacks channel, epoch or messages");
    reply = session->request(subscribe(name));
    if (!reply || text_of(*reply, "type") != "subscribed") return failed("a second time: " + instead(reply));
    reply = session->request({{"type", "unsubscribe"}, {"channel", name}});
    if (!reply || text_of(*reply, "type") != "unsubscribed") return failed(instead(reply));
    return passed();
  });
  check("subscriptions.many", "several channels in one request are answered one by one", [&]() -> Verdict {
    if (!connects_) return skipped("there is no connection");
    auto session = open();
    if (!session) return failed(session.error());
    const std::vector<std::string> names{channel("one"), channel("two"), channel("three")};
    const std::string id = session->send({{"type", "subscribe"}, {"channels", names}});
    for (const std::string& name : names) {
      const auto reply = session->reply_to(id);
      if (!has_identity() && reply && text_of(*reply, "type") == "error")
        return skipped("nobody may without a token: " + text_of(*reply, "code"));
      if (!reply || text_of(*reply, "type") != "subscribed" || text_of(*reply, "channel") != name)
        return failed(instead(reply));
    }
    return passed();
  });
}

void Suite::messages() {
  check("messages.delivered", "a message reaches another connection as it was sent", [&]() -> Verdict {
    if (!connects_) return skipped("there is no connection");
    auto reader = open(1), writer = open(0);
    if (!reader || !writer) return failed(reader ? writer.error() : reader.error());
    const std::string name = channel("delivered");
    if (const auto reply = reader->request(subscribe(name));
        !reply || text_of(*reply, "type") != "subscribed")
      return has_identity() ? failed(instead(reply))
                            : skipped("nobody may without a token; give --token or --secret");
    // Written by hand, so that the payload is these bytes.
    writer->send_text(
        fmt::format(R"({{"type":"publish","id":"p","channel":"{}","data":{}}})", name, kPayload));
    const auto reply = writer->reply_to("p");
    if (!reply || text_of(*reply, "type") != "published" || number_of(*reply, "seq") == 0)
      return has_identity() ? failed(instead(reply)) : skipped("nobody may publish without a token");
    const auto delivery = reader->delivery(name);
    if (!delivery) return failed("it was not delivered in time");
    if (number_of(*delivery, "seq") != number_of(*reply, "seq")) return failed("it came under another seq");
    if (reader->last_text().find(fmt::format("\"data\":{}", kPayload)) == std::string::npos)
      return failed("the payload was changed on the way");
    delivers_ = true;
    return passed();
  });
  const auto delivering = [&](const Check& then) -> Check {
    return [this, then] { return delivers_ ? then() : skipped("messages are not delivered"); };
  };
  check("messages.ordered", "messages come in their order, each once", delivering([&]() -> Verdict {
          auto reader = open(1), writer = open(0);
          if (!reader || !writer) return failed(reader ? writer.error() : reader.error());
          const std::string name = channel("ordered");
          reader->request(subscribe(name));
          std::vector<std::string> ids;
          const int count =
              std::min(kInOrder, std::max(3, static_cast<int>(number_of(hello_["limits"], "burst")) / 2));
          for (int i = 1; i <= count; ++i) ids.push_back(writer->send(publish(name, i)));
          for (const std::string& id : ids)
            if (const auto reply = writer->reply_to(id); !reply || text_of(*reply, "type") != "published")
              return failed(instead(reply));
          std::uint64_t last = 0;
          for (int i = 1; i <= count; ++i) {
            const auto delivery = reader->delivery(name);
            if (!delivery) return failed(fmt::format("message {} of {} did not come", i, count));
            const std::uint64_t seq = number_of(*delivery, "seq");
            if ((*delivery)["data"] != i || (last != 0 && seq != last + 1))
              return failed(fmt::format("in place of message {} came {}, with seq {} after {}", i,
                                        (*delivery)["data"].dump(), seq, last));
            last = seq;
          }
          return passed(fmt::format("{} messages", count));
        }));
  check("messages.once", "a publish repeated with its key is one message", delivering([&]() -> Verdict {
          auto session = open();
          if (!session) return failed(session.error());
          Json request = publish(channel("once"), 1);
          request["key"] = "check-" + tag_;
          const auto first = session->request(request), second = session->request(request);
          if (!first || !second || number_of(*first, "seq") == 0) return failed(instead(second));
          if (number_of(*first, "seq") != number_of(*second, "seq") || !second->value("duplicate", false))
            return failed("it was taken twice");
          return passed();
        }));
  check("messages.history", "what was published can be read again", delivering([&]() -> Verdict {
          auto session = open();
          if (!session) return failed(session.error());
          const auto reply = session->request({{"type", "history"}, {"channel", channel("ordered")}});
          if (!reply || text_of(*reply, "type") != "history") return failed(instead(reply));
          const std::size_t count = (*reply)["messages"].size();
          return count > 0 ? passed(fmt::format("{} messages", count))
                           : warned("this namespace keeps no history");
        }));
}

void Suite::errors() {
  struct Mistake {
    std::string_view id, title, text, code;
    bool binary = false;
  };
  static constexpr Mistake kMistakes[] = {
      {"errors.json", "broken JSON is answered with invalid_json", R"({"type":)", "invalid_json"},
      {"errors.type", "an unknown request is answered with unknown_type", R"({"type":"dance","id":"e"})",
       "unknown_type"},
      {"errors.field", "a field of the wrong type is answered with invalid_message",
       R"({"type":"history","channel":7,"id":"e"})", "invalid_message"},
      {"errors.channel", "a bad channel name is answered with invalid_channel",
       R"({"type":"unsubscribe","channel":"a b","id":"e"})", "invalid_channel"},
      {"errors.binary", "a binary message is answered with invalid_message", "\1\2\3", "invalid_message",
       true},
  };
  for (const Mistake& mistake : kMistakes) {
    check(mistake.id, mistake.title, [&]() -> Verdict {
      if (!connects_) return skipped("there is no connection");
      auto session = open();
      if (!session) return failed(session.error());
      session->send_text(mistake.text, mistake.binary);
      const auto reply = session->next_of_type("error");
      const std::string code = reply ? text_of(*reply, "code") : std::string();
      if (code == "unauthorized" && !has_identity()) return skipped("nobody may without a token");
      if (code != mistake.code) return failed(instead(reply));
      return session->alive() ? passed() : failed("the connection did not go on");
    });
  }
  check("errors.token", "a token that nobody has signed is refused",
        [&] { return connects_ ? refuses_unsigned() : skipped("there is no connection"); });
}

// The only failed attempt to authenticate that a run makes, and its last act: the server counts them, and
// soon turns the address away. A token without a signature finds a server that looks at none, and one that
// takes the algorithm `none`; otherwise it says what the user's token does.
Verdict Suite::refuses_unsigned() {
  const std::string token = token_of(0);
  const std::size_t first = token.find('.'), second = token.rfind('.');
  const std::string claims = first == second ? base64url_encode(R"({"sub":"tidewire-check"})")
                                             : token.substr(first + 1, second - first - 1);
  const std::string unsigned_token = base64url_encode(R"({"alg":"none","typ":"JWT"})") + '.' + claims + '.';
  auto socket = network_.open("/ws?inbox=manual", authorization(unsigned_token));
  if (!socket) {
    if (socket.error().status == 401) return passed("with HTTP 401");
    return failed(explained(socket.error().reason));
  }
  Session session(network_, *std::move(socket), pacer_);
  const auto hello = session.hello();
  if (hello && text_of(*hello, "type") == "connected") return failed("it was let in");
  network_.wait([&] { return session.socket().ended; });
  const Socket& ended = session.socket();
  if (!hello && ended.close_code != 0)
    return failed(explained(fmt::format("closed with {} {}", ended.close_code, ended.close_reason)));
  if (!hello || text_of(*hello, "type") != "auth_error") return failed(instead(hello));
  if (ended.close_code != 1008)
    return failed(fmt::format("closed with {} in place of 1008", ended.close_code));
  return passed(text_of(*hello, "code"));
}

}  // namespace tidewire::check
