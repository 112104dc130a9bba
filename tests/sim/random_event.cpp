#include "random_event.h"

#include "protocol/channel_name.h"
#include "world.h"

namespace tidewire::sim {

namespace {

using Json = nlohmann::json;
using hub::Kind;

Json random_value(World& world, int depth) {
  const auto dice = world.below(depth > 2 ? 3 : 5);
  if (dice == 0) return world.next_number();
  if (dice == 1) return fmt::format("text {}", world.below(100));
  if (dice == 2) return world.chance(50);
  if (dice == 3) return Json::array({world.below(9), random_value(world, depth + 1)});
  return {{fmt::format("k{}", world.below(3)), random_value(world, depth + 1)}};
}

std::string random_key(World& world) { return fmt::format("k{}", world.below(5)); }

Json document_event(World& world, std::uint64_t latest) {
  Json event;
  const auto dice = world.below(100);
  if (dice < 12) {
    event["data"] =
        world.chance(80) ? Json{{random_key(world), random_value(world, 0)}} : random_value(world, 0);
  } else if (dice < 75) {
    event["merge"] = Json::object();
    for (std::uint64_t i = world.below(3) + 1; i > 0; --i)
      event["merge"][random_key(world)] = world.chance(25) ? Json() : random_value(world, 0);
    if (world.chance(20)) event["merge"][random_key(world)] = {{"a", nullptr}, {"b", world.below(5)}};
  } else {
    static constexpr const char* kOperations[] = {"add", "add", "replace", "remove", "test"};
    event["patch"] = Json::array();
    for (std::uint64_t i = world.below(2) + 1; i > 0; --i) {
      Json step{{"op", kOperations[world.below(5)]}, {"path", "/" + random_key(world)}};
      if (step["op"] != "remove") step["value"] = random_value(world, 1);
      event["patch"].push_back(std::move(step));
    }
  }
  if (world.chance(15)) event["if_seq"] = world.chance(70) ? latest : world.below(latest + 2);
  return event;
}

Json session_event(World& world, std::uint64_t latest) {
  const auto dice = world.below(100);
  // Each event is another one, so that what a client sent is known by its text.
  const Json some{{"seq", 1 + world.below(latest + 2)}, {"n", world.next_number()}};
  const Json none{{"n", world.next_number()}};
  if (dice < 40) return {{"data", {{"text", world.next_number()}}}};
  if (dice < 55) return {{"event", "read"}, {"data", some}};
  if (dice < 62) return {{"event", "edit"}, {"data", some}};
  if (dice < 70) return {{"event", "delete"}, {"data", some}};
  if (dice < 87) {
    if (world.chance(40)) return {{"event", "join"}, {"data", none}};
    return {{"event", "join"}, {"data", {{"user", 1 + world.below(4)}, {"n", world.next_number()}}}};
  }
  if (dice < 91) return {{"event", "leave"}, {"data", none}};
  if (dice < 93)
    return {{"event", "leave"}, {"data", {{"user", 1 + world.below(4)}, {"n", world.next_number()}}}};
  if (dice < 97) return {{"event", "typing"}, {"ephemeral", true}, {"data", none}};
  return {{"event", "note"}, {"data", world.next_number()}};
}

Json inbox_event(World& world) {
  static constexpr const char* kPriorities[] = {"critical", "high", "medium", "low", "low", "medium"};
  Json event{{"data", {{"n", world.next_number()}}}};
  if (world.chance(60)) event["priority"] = kPriorities[world.below(6)];
  if (world.chance(30)) event["ttl_ms"] = 1 + world.up_to(8000);
  if (world.chance(20)) event["event"] = "news";
  return event;
}

Json upload_event(World& world, std::uint64_t latest) {
  const auto dice = world.below(100);
  if (dice < 4) return {{"event", "complete"}, {"data", {{"n", world.next_number()}}}};
  if (dice < 6) return {{"event", "fail"}, {"data", {{"reason", "no"}}}};
  if (dice < 8) return {{"event", "cancel"}, {"data", nullptr}};
  Json data{{"bytes", latest * 50 + world.below(60)}};
  if (world.chance(25)) data["total"] = 100'000;
  return {{"event", "progress"}, {"data", std::move(data)}};
}

Json agent_event(World& world) {
  const auto dice = world.below(100);
  if (dice < 6) return {{"event", "start"}, {"data", nullptr}};
  if (dice < 66) return {{"event", "delta"}, {"data", {{"text", fmt::format("{} ", world.next_number())}}}};
  if (dice < 74)
    return {{"event", "tool_call"}, {"data", {{"id", fmt::format("t{}", world.below(4))}, {"name", "look"}}}};
  if (dice < 82)
    return {{"event", "tool_result"},
            {"data", {{"id", fmt::format("t{}", world.below(4))}, {"result", world.next_number()}}}};
  if (dice < 90) return {{"event", "status"}, {"data", {{"step", world.next_number()}}}};
  if (dice < 95) return {{"event", "thought"}, {"data", world.next_number()}};
  if (dice < 97) return {{"event", "complete"}, {"data", {{"usage", {{"tokens", world.next_number()}}}}}};
  return {{"event", world.chance(50) ? "fail" : "cancel"}, {"data", nullptr}};
}

}  // namespace

Json random_event(World& world, const std::string& channel) {
  const hub::Namespace* ns = world.namespaces.find(protocol::namespace_of(channel));
  const Life* life = world.model.current(channel);
  const std::uint64_t latest = life == nullptr ? 0 : life->latest();
  switch (ns->kind) {
    case Kind::document:
      return document_event(world, latest);
    case Kind::session:
      return session_event(world, latest);
    case Kind::inbox:
      return inbox_event(world);
    case Kind::upload:
      return upload_event(world, latest);
    case Kind::agent:
      return agent_event(world);
    case Kind::stream:
      break;
  }
  return {{"data", {{"n", world.next_number()}}}};
}

Json last_event(World& world, const std::string& channel) {
  const hub::Namespace* ns = world.namespaces.find(protocol::namespace_of(channel));
  if (ns->kind == Kind::upload) return {{"event", "progress"}, {"data", {{"bytes", 90'000}}}};
  if (ns->kind == Kind::agent) return {{"event", "status"}, {"data", "last"}};
  return {{"data", "last"}};
}

}  // namespace tidewire::sim
