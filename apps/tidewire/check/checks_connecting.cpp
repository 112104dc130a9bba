// WebSockets, and every way in which a token may come (protocol §2).

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "check/suite.h"

namespace tidewire::check {

namespace {
constexpr int kPings = 10;
constexpr int kAtOnce = 10;
constexpr std::size_t kLargeText = 8192;
}  // namespace

void Suite::connecting() {
  check("connections.hello", "a WebSocket opens, and `connected` comes first", [&]() -> Verdict {
    auto session = open();
    if (!session) return failed(session.error());
    connects_ = true;
    if (session->socket().subprotocol != "tidewire.v1")
      return failed("the subprotocol tidewire.v1 was not chosen");
    if (number_of(hello_, "protocol") != 1 || text_of(hello_, "connection_id").empty() ||
        !hello_["limits"].is_object())
      return failed("`connected` lacks protocol, connection_id or limits");
    return passed();
  });
  const auto connected = [&](const Check& then) -> Check {
    return [this, then] { return connects_ ? then() : skipped("there is no connection"); };
  };
  check("connections.ping", "pings are answered, with what they brought", connected([&]() -> Verdict {
          auto session = open();
          if (!session) return failed(session.error());
          std::vector<double> took;
          for (int i = 0; i < kPings; ++i) {
            const auto began = Clock::now();
            if (!session->alive()) return failed("a ping was not answered with its data");
            took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
          }
          session->socket().ping();
          if (!network_.wait([&] { return session->socket().pongs > 0 || session->socket().ended; }) ||
              session->socket().pongs == 0)
            return failed("the WebSocket's own ping was not answered");
          std::ranges::sort(took);
          return passed(
              fmt::format("round trip {:.1f} ms, at most {:.1f} ms", took[took.size() / 2], took.back()));
        }));
  check("connections.compression", "permessage-deflate is agreed, and works", connected([&]() -> Verdict {
          auto session = open(0, true);
          if (!session) return failed(session.error());
          const std::string text(kLargeText, 'x');
          const auto pong = session->request({{"type", "ping"}, {"data", text}});
          if (!pong || text_of(*pong, "data") != text) return failed("8 KiB did not come back as they were");
          return session->socket().deflate ? passed()
                                           : warned("the server, or a proxy, turns compression down");
        }));
  check("connections.several", "ten connections at once stand each alone", connected([&]() -> Verdict {
          std::vector<Session> sessions;
          std::set<std::string> ids;
          for (int i = 0; i < kAtOnce; ++i) {
            auto session = open();
            if (!session) return failed(fmt::format("the connection number {}: {}", i + 1, session.error()));
            ids.insert(text_of(hello_, "connection_id"));
            sessions.push_back(*std::move(session));
          }
          if (ids.size() != kAtOnce) return failed("two connections have the same connection_id");
          sessions.front().socket().drop();
          for (std::size_t i = 1; i < sessions.size(); ++i)
            if (!sessions[i].alive()) return failed("one that ends takes others along");
          return passed();
        }));
  check("connections.close", "a close is answered", connected([&]() -> Verdict {
          auto session = open();
          if (!session) return failed(session.error());
          session->socket().close();
          return session->socket().close_code == 1000 ? passed() : failed("no close frame came back");
        }));
}

void Suite::authentication() {
  const auto with_token = [&](const Check& then) -> Check {
    return [this, then] {
      if (!has_identity()) return skipped("give --token or --secret");
      return connects_ ? then() : skipped("there is no connection");
    };
  };
  const std::string token = has_identity() ? token_of(0) : std::string();
  // The user that a connection is told to be; nothing where it is nobody.
  const auto judge = [&](std::string_view path, const Headers& headers) -> Verdict {
    const auto session = connect(path, headers);
    if (!session) return failed(session.error());
    if (hello_.value("authenticated", false) == false) return failed("the token was not seen");
    const Json& id = hello_["user"]["id"];
    return passed("as " + (id.is_string() ? id.get<std::string>() : id.dump()));
  };

  check("auth.header", "a token in the header Authorization is accepted",
        with_token([&] { return judge("/ws?inbox=manual", authorization(token)); }));
  check("auth.subprotocol", "a token as a subprotocol is accepted", with_token([&] {
          return judge("/ws?inbox=manual",
                       {{"Sec-WebSocket-Protocol", "tidewire.v1, tidewire.token." + token}});
        }));
  check("auth.query", "a token in the address is accepted",
        with_token([&] { return judge("/ws?inbox=manual&token=" + token, {}); }));
  check("auth.message", "a token in an `auth` message is accepted", with_token([&]() -> Verdict {
          auto session = connect("/ws?inbox=manual", {});
          if (!session) return failed(session.error());
          if (hello_.value("authenticated", true)) return failed(instead(hello_));
          const auto reply = session->request({{"type", "auth"}, {"token", token}});
          return reply && text_of(*reply, "type") == "auth_success" ? passed() : failed(instead(reply));
        }));
}

}  // namespace tidewire::check
