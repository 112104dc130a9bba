#include "kind_state.h"

#include <algorithm>
#include <limits>

#include "journal.h"

namespace tidewire::sim {

namespace {

using Json = nlohmann::json;
using hub::Kind;

std::string author_in(const Json& event) {
  const auto from = event.find("from");
  if (from == event.end() || from->at("user").is_null()) return {};
  return user_text(from->at("user").at("id"));
}

// Where both are known.
bool same(const Json& one, const Json& other) { return one.is_null() || other.is_null() || one == other; }

// JSON Patch as far as the simulator's clients use it: members of the document itself.
Json patched(Json document, const Json& patch) {
  for (const Json& step : patch) {
    const std::string operation = step.at("op"), key = step.at("path").get<std::string>().substr(1);
    if (!document.is_object()) throw Inapplicable("it has no members");
    if (operation != "add" && !document.contains(key)) throw Inapplicable("there is no " + key);
    if (operation == "test" && document[key] != step.at("value")) throw Inapplicable("another " + key);
    if (operation == "remove") document.erase(key);
    if (operation == "add" || operation == "replace") document[key] = step.at("value");
  }
  return document;
}

std::string status_after(const std::string& event, const char* running) {
  if (event == "complete") return "complete";
  if (event == "fail") return "failed";
  return event == "cancel" ? "cancelled" : running;
}

}  // namespace

std::string user_text(const Json& id) { return id.is_string() ? id.get<std::string>() : id.dump(); }

int priority_of(const Json& event) {
  static constexpr const char* kNames[] = {"critical", "high", "medium", "low"};
  const std::string name = event.value("priority", "medium");
  return static_cast<int>(std::ranges::find(kNames, name) - kNames);
}

KindState::KindState(Kind kind) : kind_(kind) {
  if (kind == Kind::session) value_ = Json::array();
  if (kind == Kind::upload) value_ = {{"status", "pending"}, {"bytes", 0}, {"total", nullptr}};
  if (kind == Kind::agent)
    value_ = {{"status", "pending"}, {"text", ""},          {"tools", Json::array()},
              {"usage", nullptr},    {"ended_at", nullptr}, {"detail", nullptr}};
}

KindState KindState::of_snapshot(Kind kind, std::uint64_t seq, const Json& data) {
  KindState state(kind);
  state.seq_ = state.complete_from_ = seq;
  if (kind == Kind::document) state.value_ = data;
  if (kind == Kind::session) state.value_ = data.at("members");
  if (kind == Kind::upload || kind == Kind::agent)
    for (auto& [key, value] : state.value_.items())
      if (data.contains(key)) value = data.at(key);
  return state;
}

void KindState::apply(const Json& event, std::int64_t expires_ms) {
  if (kind_ == Kind::document) apply_document(event);
  if (kind_ == Kind::session) apply_session(event);
  if (kind_ == Kind::inbox) apply_inbox(event, expires_ms);
  if (kind_ == Kind::upload || kind_ == Kind::agent) apply_run(event);
  seq_ = event.at("seq").get<std::uint64_t>();
}

void KindState::apply_document(const Json& event) {
  require(event.contains("data") + event.contains("merge") + event.contains("patch") == 1,
          "an event of a document says {}", event.dump());
  if (event.contains("data")) value_ = event.at("data");
  if (event.contains("merge")) value_.merge_patch(event.at("merge"));
  if (event.contains("patch")) value_ = patched(value_, event.at("patch"));
}

// ---- session ----

void KindState::apply_session(const Json& event) {
  const std::string name = event.value("event", "message"), author = author_in(event);
  const Json& data = event.at("data");
  const auto seq = event.at("seq").get<std::uint64_t>();
  const auto named = [&] {
    return data.is_object() && data.contains("user") ? data.at("user") : event.at("from").at("user").at("id");
  };
  if (name == "message") {
    messages_[seq] = author;
    for (Json& member : value_)
      if (user_text(member.at("user")) != author && !member.at("unread").is_null())
        member["unread"] = member.at("unread").get<std::uint64_t>() + 1;
  } else if (name == "delete") {
    const auto gone = data.at("seq").get<std::uint64_t>();
    const auto known = messages_.find(gone);
    for (Json& member : value_) {
      if (member.at("read").get<std::uint64_t>() >= gone || member.at("unread").is_null()) continue;
      if (known == messages_.end())
        member["unread"] = nullptr;
      else if (known->second != user_text(member.at("user")))
        member["unread"] = member.at("unread").get<std::uint64_t>() - 1;
    }
    if (known != messages_.end()) messages_.erase(known);
  } else if (name == "read") {
    const auto up_to = data.at("seq").get<std::uint64_t>();
    for (Json& member : value_) {
      if (user_text(member.at("user")) != author) continue;
      member["read"] = up_to;
      std::uint64_t unread = 0;
      for (auto at = messages_.upper_bound(up_to); at != messages_.end(); ++at)
        unread += at->second != author;
      member["unread"] = up_to >= complete_from_ ? Json(unread) : Json();
    }
  } else if (name == "join") {
    const Json user = named();
    if (is_member(user_text(user))) return;
    value_.push_back(
        {{"user", user}, {"role", value_.empty() ? "owner" : "member"}, {"read", seq}, {"unread", 0}});
  } else if (name == "leave") {
    const std::string user = user_text(named());
    for (std::size_t i = 0; i < value_.size(); ++i)
      if (user_text(value_[i].at("user")) == user) {
        value_.erase(i);
        break;
      }
    if (!value_.empty()) value_[0]["role"] = "owner";
  }
}

bool KindState::is_member(const std::string& user) const {
  return std::ranges::any_of(value_,
                             [&](const Json& member) { return user_text(member.at("user")) == user; });
}

std::string KindState::owner() const { return value_.empty() ? "" : user_text(value_[0].at("user")); }

std::string KindState::author_of(std::uint64_t message) const {
  const auto found = messages_.find(message);
  return found == messages_.end() ? "" : found->second;
}

std::vector<std::string> KindState::members() const {
  std::vector<std::string> users;
  for (const Json& member : value_) users.push_back(user_text(member.at("user")));
  return users;
}

// ---- inbox ----

void KindState::apply_inbox(const Json& event, std::int64_t expires_ms) {
  const auto at_ms = event.at("timestamp").get<std::int64_t>();
  const auto seq = event.at("seq").get<std::uint64_t>();
  std::erase_if(pending_, [&](const InboxEntry& entry) { return entry.expires_ms <= at_ms; });
  if (event.value("event", "") == "ack") {
    const Json& seqs = event.at("data").at("seqs");
    std::erase_if(pending_, [&](const InboxEntry& entry) {
      return std::ranges::find(seqs, Json(entry.seq)) != seqs.end();
    });
    return;
  }
  pending_.insert({priority_of(event), seq, expires_ms != 0 ? expires_ms : at_ms + kInboxTtlMs});
  if (pending_.size() > kInboxEntries) {
    const int least = pending_.rbegin()->priority;
    pending_.erase(pending_.lower_bound({least, 0, 0}));
  }
}

// ---- runs ----

bool KindState::ended() const {
  const std::string status = value_.at("status");
  return status == "complete" || status == "failed" || status == "cancelled";
}

void KindState::apply_run(const Json& event) {
  const std::string name = event.value("event", "");
  const Json& data = event.at("data");
  require(!ended(), "a run has ended and goes on with {}", event.dump());
  if (creator_.empty()) creator_ = author_in(event);
  value_["status"] = status_after(name, kind_ == Kind::upload ? "active" : "running");
  if (kind_ == Kind::upload) {
    if (name == "progress") {
      value_["bytes"] = data.at("bytes");
      if (data.contains("total") && !data.at("total").is_null()) value_["total"] = data.at("total");
    }
    if (name == "complete" && !value_["total"].is_null()) value_["bytes"] = value_["total"];
    return;
  }
  if (name == "delta")
    value_["text"] = value_["text"].get<std::string>() + data.at("text").get<std::string>();
  if (name == "status") value_["detail"] = data;
  if (name == "tool_call") value_["tools"].push_back(data);
  if (name == "tool_result") {
    Json& tools = value_["tools"];
    for (std::size_t i = tools.size(); i > 0; --i) {
      Json& tool = tools[i - 1];
      if (tool.contains("result") || tool.at("id") != data.at("id")) continue;
      tool["result"] = data.at("result");
      break;
    }
  }
  if (name == "complete" && data.is_object() && data.contains("usage")) value_["usage"] = data.at("usage");
  if (ended()) value_["ended_at"] = event.at("timestamp");
}

// ---- comparing ----

std::string KindState::differs(const Json& snapshot, std::int64_t from_ms, std::int64_t to_ms) const {
  if (kind_ != Kind::inbox) {
    if (kind_ == Kind::session && snapshot.at("last_seq") != seq_)
      return fmt::format("last_seq is {}", snapshot.dump());
    return differs(of_snapshot(kind_, seq_, snapshot));
  }
  // Some may have expired meanwhile.
  std::set<std::uint64_t> there;
  std::vector<std::uint64_t> counts(4);
  InboxEntry last{-1, 0, 0};
  for (const Json& entry : snapshot.at("pending")) {
    const InboxEntry now{priority_of(entry), entry.at("seq").get<std::uint64_t>(), 0};
    if (now <= last) return fmt::format("{} is out of order", entry.dump());
    last = now;
    ++counts[static_cast<std::size_t>(now.priority)];
    there.insert(now.seq);
  }
  static constexpr const char* kNames[] = {"critical", "high", "medium", "low"};
  for (std::size_t i = 0; i < 4; ++i)
    if (snapshot.at("counts").at(kNames[i]) != counts[i]) return "its counts are wrong: " + snapshot.dump();
  for (const InboxEntry& entry : pending_) {
    const bool has_it = there.erase(entry.seq) > 0;
    if (!has_it && entry.expires_ms > to_ms) return fmt::format("{} is not there", entry.seq);
    if (has_it && entry.expires_ms <= from_ms) return fmt::format("{} has expired", entry.seq);
  }
  return there.empty() ? "" : fmt::format("{} is not pending", *there.begin());
}

std::string KindState::differs(const KindState& copy) const {
  if (kind_ == Kind::inbox) return {};
  const auto told = [&](const std::string& what) {
    return fmt::format("{}: it is {}, and this says {}", what, value_.dump(), copy.value_.dump());
  };
  if (kind_ == Kind::document) return value_ == copy.value_ ? "" : told("the document");
  if (kind_ == Kind::session) {
    if (value_.size() != copy.value_.size()) return told("the members");
    for (std::size_t i = 0; i < value_.size(); ++i)
      for (const char* key : {"user", "role", "read", "unread"})
        if (!same(value_[i].at(key), copy.value_[i].at(key))) return told(key);
    return {};
  }
  for (const auto& [key, value] : value_.items())
    if (value != copy.value_.at(key)) return told(key);
  return {};
}

}  // namespace tidewire::sim
