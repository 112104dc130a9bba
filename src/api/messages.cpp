// Publishing: one message, many, and one to everybody (protocol §8).

#include <fmt/format.h>

#include "api/answers.h"
#include "api/router.h"
#include "protocol/decode.h"
#include "protocol/fields.h"
#include "protocol/json_scanner.h"

namespace tidewire::api {

namespace {

constexpr int kBatchEnvelopeDepth = 2;  // the object and the array around an entry

// The answer to one publish, from what is left of it once it is on its way.
struct Receipt {
  SharedName channel;
  bool ephemeral = false;

  protocol::MessageWriter writer(const hub::Published& published) const {
    protocol::MessageWriter writer;
    writer.text("channel", channel);
    if (ephemeral) return std::move(writer.boolean("ephemeral", true));
    writer.text("epoch", published.epoch);
    if (published.dropped) return std::move(writer.boolean("dropped", true));
    return std::move(writer.number("seq", published.seq).boolean("duplicate", published.duplicate));
  }
  std::string json(const hub::Published& published) const { return writer(published).finish(); }
};

Error too_large(std::size_t bytes_max) {
  return fail(ErrorCode::too_large, fmt::format("a message may have {} bytes", bytes_max)).error();
}

// What a call is about does not exist, which says nothing of who calls.
wire::HttpAnswer publish_problem(const Error& error) {
  return error.code == ErrorCode::user_not_found ? no_such_user() : problem_answer(error);
}

// Results of a batch, in the order of its entries, which need not be the order of their answers.
struct BatchResults {
  std::vector<std::string> results;
  std::size_t missing = 0;
  Router::Respond respond;

  void set(std::size_t place, std::string json) {
    results[place] = std::move(json);
    if (--missing == 0) finish();
  }
  void finish() {
    std::string list = "[";
    for (const std::string& result : results) {
      if (list.size() > 1) list += ',';
      list += result;
    }
    list += ']';
    respond(json_answer(protocol::MessageWriter().json("results", list).finish()));
  }
};

}  // namespace

void Router::publish(Call& call) {
  const hub::TenantLimits& limits = limits_of(call);
  if (call.request.body.size() > limits.message_bytes)
    return call.respond(problem_answer(too_large(limits.message_bytes)));
  auto request = protocol::decode_publish(call.request.body, limits.json_depth);
  if (!request) return call.respond(problem_answer(request.error()));
  sessions_.note_publishes(call.caller.tenant, 1);
  if (call.watched) {
    call.watched->channel = request->channel;
    call.watched->publishes = !request->ephemeral;
  }
  if (!pass_rate(call)) return;
  Receipt receipt{.channel = request->channel, .ephemeral = request->ephemeral};
  calls_.publish(
      origin_of(call.caller), std::move(*request), call.now,
      [receipt = std::move(receipt), respond = std::move(call.respond)](Result<hub::Published> result) {
        respond(result ? json_answer(receipt.json(*result)) : publish_problem(result.error()));
      });
}

// To a user's inbox; the answer says how many connections will get it at once.
void Router::notify(Call& call) {
  const hub::TenantLimits& limits = limits_of(call);
  const std::string id = std::move(call.segments.front());
  if (!auth::valid_user_id(id)) return call.respond(problem_answer(ErrorCode::invalid_message, kUserIdRule));
  if (call.request.body.size() > limits.message_bytes)
    return call.respond(problem_answer(too_large(limits.message_bytes)));
  const SharedName channel = auth::UserId(id).inbox();
  auto request = protocol::decode_publish(call.request.body, limits.json_depth, channel);
  if (!request) return call.respond(problem_answer(request.error()));
  sessions_.note_publishes(call.caller.tenant, 1);
  Receipt receipt{.channel = channel, .ephemeral = false};
  calls_.publish(origin_of(call.caller), std::move(*request), call.now,
                 [this, id, tenant = call.caller.tenant, receipt = std::move(receipt),
                  respond = std::move(call.respond)](Result<hub::Published> result) {
                   if (!result) return respond(publish_problem(result.error()));
                   calls_.ask_all(
                       hub::UserQuery{.tenant = tenant, .user_id = id},
                       [respond, writer = receipt.writer(*result)](const hub::AnswerPart& answer) mutable {
                         writer.number("online", static_cast<std::uint64_t>(answer.connections.size()));
                         respond(json_answer(writer.finish()));
                       });
                 });
}

void Router::batch(Call& call) {
  const hub::TenantLimits& limits = limits_of(call);
  if (call.request.body.size() > options_.batch_bytes)
    return call.respond(
        problem_answer(ErrorCode::too_large, fmt::format("a batch may have {} bytes", options_.batch_bytes)));
  auto entries = protocol::decode_batch(call.request.body, limits.json_depth + kBatchEnvelopeDepth,
                                        options_.batch_entries);
  if (!entries) return call.respond(problem_answer(entries.error()));

  auto results = std::make_shared<BatchResults>();
  results->results.resize(entries->size());
  results->missing = entries->size();
  results->respond = std::move(call.respond);
  if (entries->empty()) return results->finish();

  sessions_.note_publishes(call.caller.tenant, entries->size());
  const hub::CallOrigin origin = origin_of(call.caller);
  for (std::size_t place = 0; place < entries->size(); ++place) {
    auto& request = (*entries)[place];
    if (!request) {
      results->set(place, error_entry(request.error()));
      continue;
    }
    if (request->data.size() + request->merge.size() + request->patch.size() > limits.message_bytes) {
      results->set(place, error_entry(too_large(limits.message_bytes)));
      continue;
    }
    Receipt receipt{.channel = request->channel, .ephemeral = request->ephemeral};
    calls_.publish(origin, std::move(*request), call.now,
                   [results, place, receipt = std::move(receipt)](Result<hub::Published> result) {
                     results->set(place, result ? receipt.json(*result) : error_entry(result.error()));
                   });
  }
}

void Router::broadcast(Call& call) {
  const hub::TenantLimits& limits = limits_of(call);
  const std::string& body = call.request.body;
  if (body.size() > limits.message_bytes)
    return call.respond(problem_answer(too_large(limits.message_bytes)));
  const auto object = protocol::scan_json(body, limits.json_depth);
  if (!object) return call.respond(problem_answer(ErrorCode::invalid_json));
  if (object->type != protocol::JsonType::object)
    return call.respond(problem_answer(ErrorCode::invalid_message, "the body is a JSON object"));
  protocol::Fields fields(*object);
  fields.refuse_doubled();
  const std::string event =
      fields.string("event", protocol::kEventCharactersMax, protocol::Fields::LoneSurrogates::refused);
  if (fields.has("event") && event.empty()) fields.refuse("`event` must not be empty");
  if (!fields.ok()) return call.respond(problem_answer(ErrorCode::invalid_message, fields.problem()));
  sessions_.note_publishes(call.caller.tenant, 1);

  protocol::MessageWriter message("message");
  message.text("channel", "$all").number("timestamp", call.now.unix_ms);
  if (!event.empty()) message.text("event", event);
  message.json("data", fields.has("data") ? fields.raw("data") : "null");
  calls_.ask_all(
      hub::BroadcastAll{.tenant = call.caller.tenant, .json = SharedBytes(message.finish())},
      [respond = std::move(call.respond)](const hub::AnswerPart& answer) {
        respond(json_answer(protocol::MessageWriter().number("connections", answer.count).finish()));
      });
}

}  // namespace tidewire::api
