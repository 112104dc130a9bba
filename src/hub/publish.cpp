#include "hub/publish.h"

#include "base/json_text.h"
#include "hub/session.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

Result<PublishCommand> prepare_publish(TenantId tenant, const Namespace& ns,
                                       std::shared_ptr<const Author> author,
                                       protocol::PublishRequest&& request) {
  if (!request.merge.empty() || !request.patch.empty() || request.if_seq)
    return fail(ErrorCode::invalid_event, "`merge`, `patch` and `if_seq` are for documents");

  PublishCommand command;
  command.channel = {tenant, std::move(request.channel)};
  command.key = std::move(request.key);
  command.ttl_ms = static_cast<std::int64_t>(request.ttl_ms);
  command.ephemeral = request.ephemeral;

  std::string& tail = command.tail;
  tail.reserve(request.data.size() + author->from_json.size() + request.event.size() + 64);
  if (!request.event.empty()) {
    tail += "\"event\":";
    append_json_string(tail, request.event);
    tail += ',';
  }
  if (!author->from_json.empty()) {
    tail += "\"from\":";
    tail += author->from_json;
    tail += ',';
  }
  if (request.priority && *request.priority != ns.priority) {
    tail += "\"priority\":\"";
    tail += protocol::name_of(*request.priority);
    tail += "\",";
  }
  tail += "\"data\":";
  if (request.data.empty())
    tail += "null";
  else
    tail += request.data;
  tail += '}';
  command.author = std::move(author);
  return command;
}

std::shared_ptr<const Author> make_author(const auth::Identity* identity, std::uint64_t connection) {
  auto author = std::make_shared<Author>();
  author->connection = connection;
  if (identity != nullptr) {
    author->user_id = identity->user_id;
    protocol::MessageWriter user;
    std::string id;
    auth::append_user_id_json(id, *identity);
    author->user_json = user.json("id", id).text("type", identity->type).finish();
    author->scope = "u" + identity->user_id;
  } else {
    author->user_json = "null";
    author->scope = "c" + connection_name(connection);
  }
  protocol::MessageWriter from;
  from.json("user", author->user_json);
  if (connection != 0) from.text("connection", connection_name(connection));
  author->from_json = from.finish();
  return author;
}

std::shared_ptr<const Author> server_author() {
  static const auto author = [] {
    auto server = std::make_shared<Author>();
    server->user_json = "null";
    server->scope = "s";
    return std::shared_ptr<const Author>(server);
  }();
  return author;
}

}  // namespace tidewire::hub
