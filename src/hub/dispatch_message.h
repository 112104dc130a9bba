// Hands a message that has reached a shard to the part of it that it is for.
//
// The parts are those of the hub, or what stands in for them: the simulator watches its homes.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "base/time.h"
#include "hub/messages.h"

namespace tidewire::hub {

// `answer(from, Ask&&)` answers a question that goes to all shards.
template <class Home, class Sessions, class Calls, class AnswerQuestion>
void dispatch_message(Home& home, Sessions& sessions, Calls& calls, AnswerQuestion&& answer, ShardId from,
                      Message&& message, const Time& now) {
  std::visit(
      [&](auto&& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, Ask>) {
          answer(from, std::move(body));
        } else if constexpr (std::is_same_v<Body, Answer> || std::is_same_v<Body, PublishResult>) {
          const ReplyTo to = body.reply;
          if (to.kind == ReplyTo::Kind::home)
            home.handle(from, std::move(body), now);
          else if (to.kind == ReplyTo::Kind::call)
            calls.handle(to, std::move(body));
          else if constexpr (requires { sessions.handle(std::move(body), now); })
            sessions.handle(std::move(body), now);
        } else if constexpr (requires { home.handle(from, std::move(body), now); }) {
          home.handle(from, std::move(body), now);
        } else if constexpr (!requires { sessions.handle(std::move(body), now); }) {
          const ReplyTo to = body.reply;
          calls.handle(to, std::move(body));
        } else if constexpr (requires { body.reply; }) {
          const ReplyTo to = body.reply;
          if (to.kind == ReplyTo::Kind::call)
            calls.handle(to, std::move(body));
          else
            sessions.handle(std::move(body), now);
        } else {
          sessions.handle(std::move(body), now);
        }
      },
      std::move(message));
}

}  // namespace tidewire::hub
