#include "kinds/inbox.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/json_text.h"
#include "kinds/inbox_entries.h"
#include "kinds/payload.h"
#include "protocol/fields.h"
#include "protocol/message_writer.h"

namespace tidewire::kinds {

namespace {

using protocol::JsonType;
using protocol::JsonValue;

constexpr Priority kAllPriorities[] = {Priority::critical, Priority::high, Priority::medium, Priority::low};

std::optional<std::int64_t> integer_in(JsonValue value, std::int64_t min, std::int64_t max) {
  const auto number = protocol::integer_of(value);
  return number && *number >= min && *number <= max ? number : std::nullopt;
}

// `{"seqs":[…]}`; nullopt for any other shape.
std::optional<std::vector<std::uint64_t>> seqs_of(std::string_view payload) {
  const auto value = protocol::scan_json(payload, kPayloadDepthMax);
  if (!value || value->type != JsonType::object) return std::nullopt;
  const std::vector<protocol::JsonMember> members = members_of(*value);
  const JsonValue* list = last_named(members, "seqs");
  if (list == nullptr || list->type != JsonType::array) return std::nullopt;
  std::vector<std::uint64_t> seqs;
  for (const JsonValue& item : protocol::split_array(*list)) {
    const auto seq = integer_in(item, 1, kJsonIntegerMax);
    if (!seq) return std::nullopt;
    seqs.push_back(static_cast<std::uint64_t>(*seq));
  }
  return seqs;
}

}  // namespace

Inbox::Inbox(std::string_view user_id, std::shared_ptr<const InboxOptions> options)
    : user_id_(user_id), options_(std::move(options)) {}

Inbox::~Inbox() = default;

std::vector<Inbox::Pending> Inbox::backlog(Cursor after, std::uint64_t up_to, std::size_t messages_max,
                                           std::size_t bytes_max, std::int64_t now_ms) const {
  std::vector<Pending> out;
  if (!entries_) return out;
  const auto& all = entries_->all();
  std::size_t bytes = 0;
  auto at = all.upper_bound({after.priority, after.seq});
  while (at != all.end()) {
    const auto& [place, entry] = *at;
    if (place.seq() > up_to) {
      at = all.upper_bound({place.priority(), ~std::uint64_t{0}});
      continue;
    }
    ++at;
    if (entry.expired(now_ms)) continue;
    bytes += entry.body.size();
    if (!out.empty() && (out.size() >= messages_max || bytes > bytes_max)) break;
    out.push_back({place.priority(), place.seq(), entry.expires_ms, entry.body});
  }
  return out;
}

std::vector<std::uint64_t> Inbox::pending_among(std::span<const std::uint64_t> seqs,
                                                std::int64_t now_ms) const {
  std::vector<std::uint64_t> out;
  if (!entries_) return out;
  for (const std::uint64_t seq : seqs) {
    const auto found = entries_->find(seq);
    if (found != entries_->all().end() && !found->second.expired(now_ms)) out.push_back(found->first.seq());
  }
  std::ranges::sort(out);
  const auto repeats = std::ranges::unique(out);
  out.erase(repeats.begin(), repeats.end());
  return out;
}

std::vector<std::uint64_t> Inbox::pending_up_to(std::uint64_t seq, std::int64_t now_ms) const {
  std::vector<std::uint64_t> out;
  if (!entries_) return out;
  for (const Priority priority : kAllPriorities) {
    const auto end = entries_->all().upper_bound({priority, seq});
    for (auto at = entries_->all().lower_bound({priority, 0}); at != end; ++at)
      if (!at->second.expired(now_ms)) out.push_back(at->first.seq());
  }
  std::ranges::sort(out);
  return out;
}

std::size_t Inbox::size(std::int64_t now_ms) const { return entries_ ? entries_->pending(now_ms) : 0; }

std::uint64_t Inbox::oldest_seq() const { return entries_ ? entries_->oldest_seq() : 0; }

std::size_t Inbox::bytes() const { return entries_ ? entries_->bytes() : 0; }

bool Inbox::owned_by(std::string_view user_id) const { return !user_id.empty() && user_id == user_id_; }

Result<void> Inbox::admit(const Event&, const Asker& asker) const {
  if (asker.may_publish) return {};
  return fail(ErrorCode::forbidden, "only the server and those it has granted it publish to an inbox");
}

Result<Taken> Inbox::take(const Event& event, const Asker& asker) {
  const auto judged = judge(event, asker);
  if (!judged || judged->dropped) return judged;
  if (event.name == "ack")
    fold_ack(*seqs_of(event.payload), event.timestamp_ms);
  else
    fold_entry(event);
  return judged;
}

Result<Taken> Inbox::judge(const Event& event, const Asker&) const {
  if (event.form != Event::Form::data) return fail(ErrorCode::invalid_event, "an inbox takes `data` only");
  if (event.seq == 0) return fail(ErrorCode::invalid_event, "an inbox takes no ephemeral events");
  if (event.name == "ack") {
    const auto seqs = seqs_of(event.payload);
    if (!seqs) return fail(ErrorCode::invalid_event, "the data of an `ack` is {\"seqs\":[n,...]}");
    return Taken{};
  }
  return Taken{.dropped = pushed_out_at_once(event)};
}

void Inbox::replay(const Event& event) {
  if (event.form != Event::Form::data || event.seq == 0) return;
  if (event.name != "ack") return fold_entry(event);
  if (const auto seqs = seqs_of(event.payload)) fold_ack(*seqs, event.timestamp_ms);
}

// When the entries above it leave it no room, whatever else goes first.
bool Inbox::pushed_out_at_once(const Event& event) const {
  InboxEntries::Amount above;
  if (entries_) above = entries_->pending_above(priority_of(event), event.timestamp_ms);
  return above.count >= options_->entries_max ||
         (above.count > 0 && above.bytes + event.body.size() > options_->bytes_max);
}

void Inbox::fold_entry(const Event& event) {
  if (!entries_) entries_ = std::make_unique<InboxEntries>();
  entries_->remove_expired(event.timestamp_ms);
  const std::int64_t expires_ms =
      event.expires_ms != 0 ? event.expires_ms : event.timestamp_ms + options_->ttl_ms;
  entries_->add({priority_of(event), event.seq}, {.expires_ms = expires_ms, .body = event.body});
  trim();
}

void Inbox::fold_ack(const std::vector<std::uint64_t>& seqs, std::int64_t timestamp_ms) {
  if (!entries_) return;
  entries_->remove_expired(timestamp_ms);
  for (const std::uint64_t seq : seqs)
    if (const auto found = entries_->find(seq); found != entries_->all().end()) entries_->remove(found);
  trim();
}

void Inbox::trim() {
  while (entries_->size() > options_->entries_max ||
         (entries_->bytes() > options_->bytes_max && entries_->size() > 1))
    entries_->remove_least();
  if (entries_->empty()) entries_.reset();
}

std::string Inbox::snapshot(std::int64_t now_ms) const {
  std::array<std::uint64_t, protocol::kPriorities> counts{};
  std::vector<SharedBytes> bodies;
  if (entries_) {
    for (const auto& [place, entry] : entries_->all()) {
      if (entry.expired(now_ms)) continue;
      ++counts[static_cast<std::size_t>(place.priority())];
      bodies.push_back(entry.body);
    }
  }
  protocol::MessageWriter by_priority;
  for (const Priority priority : kAllPriorities)
    by_priority.number(protocol::name_of(priority), counts[static_cast<std::size_t>(priority)]);
  protocol::MessageWriter out;
  return out.json("pending", protocol::messages_array(bodies)).json("counts", by_priority.finish()).finish();
}

// {"v":1,"pending":[[priority,seq,expires_ms,{…}],…]}, where a body has its opening brace back.
std::string Inbox::save() const {
  std::string out = R"({"v":1,"pending":[)";
  if (entries_) {
    for (const auto& [place, entry] : entries_->all()) {
      if (out.back() == ']') out += ',';
      fmt::format_to(std::back_inserter(out), "[{},{},{},{{", static_cast<int>(place.priority()), place.seq(),
                     entry.expires_ms);
      out += entry.body.view();
      out += ']';
    }
  }
  out += "]}";
  return out;
}

bool Inbox::restore(std::string_view saved) {
  entries_.reset();
  const auto value = protocol::scan_json(saved, kPayloadDepthMax);
  if (!value || value->type != JsonType::object) return false;
  protocol::Fields fields(*value);
  const JsonValue* pending = fields.find("pending");
  if (fields.integer("v", 1, 1) != 1 || pending == nullptr || pending->type != JsonType::array) return false;

  auto entries = std::make_unique<InboxEntries>();
  for (const JsonValue& item : protocol::split_array(*pending)) {
    if (item.type != JsonType::array) return false;
    const auto parts = protocol::split_array(item);
    if (parts.size() != 4 || parts[3].type != JsonType::object) return false;
    const auto priority = integer_in(parts[0], 0, static_cast<std::int64_t>(protocol::kPriorities) - 1);
    const auto seq = integer_in(parts[1], 1, kJsonIntegerMax);
    const auto expires_ms = integer_in(parts[2], -kSavedTimeMax, kSavedTimeMax);
    if (!priority || !seq || !expires_ms) return false;
    entries->add({static_cast<Priority>(*priority), static_cast<std::uint64_t>(*seq)},
                 {.expires_ms = *expires_ms, .body = SharedBytes(parts[3].text.substr(1))});
  }
  if (!entries->empty()) entries_ = std::move(entries);
  return true;
}

}  // namespace tidewire::kinds
