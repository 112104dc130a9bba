// A session channel as the log keeps it:
//   {"v":1,"last_seq":n,"founded":b,"members":[[id,read,unread],…],"left":[[id,read,seq],…],
//    "authors":[id|null,…],"messages":[…]}
// Members stand in the order of joining. `left` are those who have left lately, with the seq of the `leave`;
// it stands where there are some, and older versions neither wrote nor read it. `messages` goes through the
// index by seq: a number of an author is a message of the next seq, and -k says that the k seqs before the
// next one are none.
#include <algorithm>
#include <unordered_map>

#include "base/json_text.h"
#include "kinds/session.h"
#include "protocol/fields.h"

namespace tidewire::kinds {

namespace {

using protocol::JsonType;
using protocol::JsonValue;

constexpr int kVersion = 1;

std::optional<std::vector<JsonValue>> elements_of(const JsonValue* value) {
  if (value == nullptr || value->type != JsonType::array) return std::nullopt;
  return protocol::split_array(*value);
}

std::optional<std::uint64_t> count_in(JsonValue value, std::uint64_t max) {
  const auto number = protocol::integer_of(value);
  if (!number || *number < 0 || static_cast<std::uint64_t>(*number) > max) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

}  // namespace

std::string SessionChannel::save() const {
  std::string out;
  fmt::format_to(std::back_inserter(out), R"({{"v":{},"last_seq":{},"founded":{},"members":[)", kVersion,
                 last_seq_, founded_);
  for (const Member& member : members_) {
    if (out.back() == ']') out += ',';
    fmt::format_to(std::back_inserter(out), "[{},{},{}]", member.user_json, member.read, member.unread);
  }

  std::string left;
  for (const Leaver& leaver : leavers_) {
    left += left.empty() ? R"(],"left":[[)" : ",[";
    append_json_string(left, leaver.user_id);
    fmt::format_to(std::back_inserter(left), ",{},{}]", leaver.read, leaver.left);
  }
  out += left;

  std::string authors, messages;
  std::unordered_map<const People::value_type*, std::size_t> number_of;
  std::uint64_t next = 1;
  for (const Message& message : messages_) {
    const auto [number, is_new] = number_of.try_emplace(message.author, number_of.size());
    if (is_new) {
      if (!authors.empty()) authors += ',';
      if (message.author == nullptr)
        authors += "null";
      else
        append_json_string(authors, message.author->first);
    }
    if (!messages.empty()) messages += ',';
    if (message.seq > next) fmt::format_to(std::back_inserter(messages), "-{},", message.seq - next);
    append_json_int(messages, number->second);
    next = message.seq + 1;
  }
  fmt::format_to(std::back_inserter(out), R"(],"authors":[{}],"messages":[{}]}})", authors, messages);
  return out;
}

bool SessionChannel::restore(std::string_view saved) {
  const auto forget = [this] {
    last_seq_ = 0;
    founded_ = false;
    members_.clear();
    messages_.clear();
    people_.clear();
    leavers_.clear();
  };
  forget();
  if (read_saved(saved)) return true;
  forget();
  return false;
}

bool SessionChannel::read_saved(std::string_view saved) {
  const auto value = protocol::scan_json(saved, kPayloadDepthMax);
  if (!value || value->type != JsonType::object) return false;
  protocol::Fields fields(*value);
  const auto last_seq = fields.integer("last_seq", 0, kJsonIntegerMax);
  const auto members = elements_of(fields.find("members"));
  const auto authors = elements_of(fields.find("authors"));
  const auto messages = elements_of(fields.find("messages"));
  if (fields.integer("v", kVersion, kVersion) != kVersion || !last_seq) return false;
  if (!members || !authors || !messages) return false;
  last_seq_ = static_cast<std::uint64_t>(*last_seq);
  founded_ = fields.boolean("founded", false);

  for (const JsonValue& item : *members) {
    const auto parts = elements_of(&item);
    if (!parts || parts->size() != 3) return false;
    const auto user = user_named((*parts)[0]);
    const auto read = count_in((*parts)[1], last_seq_);
    const auto unread = count_in((*parts)[2], messages->size());
    if (!user || !read || !unread || owned_by(user->id)) return false;
    add_member(*user, *read);
    members_.back().unread = *unread;
  }
  if (!read_leavers(fields.find("left"))) return false;

  std::vector<People::value_type*> people;
  for (const JsonValue& id : *authors) {
    const bool nobody = id.type == JsonType::null;
    const auto author = user_named(id);
    if (!nobody && !author) return false;
    people.push_back(nobody ? nullptr : &*people_.try_emplace(author->id).first);
  }
  std::uint64_t next = 1;
  for (const JsonValue& item : *messages) {
    const auto number = protocol::integer_of(item);
    if (!number || *number < -kJsonIntegerMax || *number >= static_cast<std::int64_t>(people.size()))
      return false;
    if (*number < 0) {
      next += static_cast<std::uint64_t>(-*number);
      continue;
    }
    if (next > last_seq_) return false;
    People::value_type* author = people[static_cast<std::size_t>(*number)];
    messages_.push_back({.seq = next++, .author = author});
    if (author != nullptr) ++author->second.messages;
  }
  // An author without a message has no place here.
  return std::ranges::none_of(
      people, [](const auto* person) { return person != nullptr && person->second.messages == 0; });
}

// Null: as an older version has saved it.
bool SessionChannel::read_leavers(const JsonValue* saved) {
  if (saved == nullptr) return true;
  const auto leavers = elements_of(saved);
  if (!leavers) return false;
  for (const JsonValue& item : *leavers) {
    const auto parts = elements_of(&item);
    if (!parts || parts->size() != 3) return false;
    const auto user = user_named((*parts)[0]);
    const auto left = count_in((*parts)[2], last_seq_);
    const auto read = count_in((*parts)[1], left.value_or(0));
    if (!user || !read || !left || (!leavers_.empty() && *left <= leavers_.back().left)) return false;
    leavers_.push_back({.user_id = user->id, .read = *read, .left = *left});
  }
  return true;
}

}  // namespace tidewire::kinds
