#include "kinds/inbox.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/check.h"
#include "protocol/fields.h"
#include "protocol/message_writer.h"

namespace tidewire::kinds {

namespace {

using protocol::JsonType;
using protocol::JsonValue;

constexpr std::int64_t kSeqMax = (std::int64_t{1} << 53) - 1;
constexpr std::int64_t kTimeMax = std::int64_t{1} << 60;
// More than any message may have (`limits.json_depth` goes up to 512), with room for what is around it.
constexpr int kDepthMax = 600;

// Priority and seq in one number, whose order is the order of delivery.
using Place = std::uint64_t;
constexpr int kSeqBits = 56;
constexpr Place kSeqMask = (Place{1} << kSeqBits) - 1;

Place place_of(std::size_t lane, std::uint64_t seq) {
  return (Place{lane} << kSeqBits) | std::min(seq, kSeqMask);
}
std::size_t lane_of(Priority priority) { return static_cast<std::size_t>(priority); }
std::size_t lane_of(Place place) { return static_cast<std::size_t>(place >> kSeqBits); }
std::uint64_t seq_of(Place place) { return place & kSeqMask; }

struct Entry {
  std::int64_t expires_ms = 0;
  SharedBytes body;
  bool expired(std::int64_t now_ms) const { return expires_ms <= now_ms; }
};

// When an entry ends. A heap of these has the next one on top.
struct End {
  std::int64_t expires_ms = 0;
  Place place = 0;
  friend bool operator>(const End& a, const End& b) { return a.expires_ms > b.expires_ms; }
};

std::optional<std::int64_t> integer_in(JsonValue value, std::int64_t min, std::int64_t max) {
  const auto number = protocol::integer_of(value);
  return number && *number >= min && *number <= max ? number : std::nullopt;
}

// `{"seqs":[…]}`; nullopt for any other shape.
std::optional<std::vector<std::uint64_t>> seqs_of(std::string_view payload) {
  const auto value = protocol::scan_json(payload, kDepthMax);
  if (!value || value->type != JsonType::object) return std::nullopt;
  const protocol::Fields fields(*value);
  const JsonValue* list = fields.find("seqs");
  if (list == nullptr || list->type != JsonType::array) return std::nullopt;
  std::vector<std::uint64_t> seqs;
  for (const JsonValue& item : protocol::split_array(*list)) {
    const auto seq = integer_in(item, 1, kSeqMax);
    if (!seq) return std::nullopt;
    seqs.push_back(static_cast<std::uint64_t>(*seq));
  }
  return seqs;
}

void sort_uniquely(std::vector<std::uint64_t>& seqs) {
  std::ranges::sort(seqs);
  const auto repeats = std::ranges::unique(seqs);
  seqs.erase(repeats.begin(), repeats.end());
}

}  // namespace

// Invariant: every entry has its end in the heap, and the end on top is that of an entry; others may
// have outlived theirs, but never by more than they are.
struct Inbox::Entries {
  using ByPlace = std::map<Place, Entry>;
  ByPlace by_place;
  std::vector<End> ends;
  std::array<std::size_t, protocol::kPriorities> counts{};

  void add(Place place, Entry entry) {
    const std::int64_t expires_ms = entry.expires_ms;
    if (!by_place.try_emplace(place, std::move(entry)).second) return;
    ++counts[lane_of(place)];
    ends.push_back({expires_ms, place});
    std::ranges::push_heap(ends, std::greater());
  }

  ByPlace::const_iterator find(std::uint64_t seq) const {
    for (std::size_t lane = 0; lane < counts.size(); ++lane) {
      if (counts[lane] == 0) continue;
      if (const auto found = by_place.find(place_of(lane, seq)); found != by_place.end()) return found;
    }
    return by_place.end();
  }

  // Leaves the end in the heap; see settle().
  void remove(ByPlace::const_iterator entry) {
    --counts[lane_of(entry->first)];
    by_place.erase(entry);
  }

  void remove_expired(std::int64_t now_ms) {
    while (!ends.empty() && ends.front().expires_ms <= now_ms) {
      if (const auto entry = by_place.find(ends.front().place); entry != by_place.end()) remove(entry);
      pop_end();
    }
  }

  // The oldest of the lowest priority.
  void remove_least() {
    TIDEWIRE_CHECK(!by_place.empty());
    remove(by_place.lower_bound(place_of(lane_of(by_place.rbegin()->first), 0)));
  }

  // Lets go of ends without an entry. O(log n) for each entry that was removed, taken together.
  void settle() {
    while (!ends.empty() && !by_place.contains(ends.front().place)) pop_end();
    if (ends.size() <= 2 * by_place.size() + 16) return;
    std::erase_if(ends, [&](const End& end) { return !by_place.contains(end.place); });
    std::ranges::make_heap(ends, std::greater());
  }

  bool any_expired(std::int64_t now_ms) const { return !ends.empty() && ends.front().expires_ms <= now_ms; }

  // Entries of higher priorities than this lane's that have not expired.
  std::size_t pending_above(std::size_t lane, std::int64_t now_ms) const {
    std::size_t count = 0;
    if (any_expired(now_ms)) {
      for (auto at = by_place.begin(); at != by_place.end() && lane_of(at->first) < lane; ++at)
        count += at->second.expired(now_ms) ? 0 : 1;
    } else {
      for (std::size_t above = 0; above < lane; ++above) count += counts[above];
    }
    return count;
  }

 private:
  void pop_end() {
    std::ranges::pop_heap(ends, std::greater());
    ends.pop_back();
  }
};

Inbox::Inbox(std::string_view user_id, std::shared_ptr<const InboxOptions> options)
    : user_id_(user_id), options_(std::move(options)) {}

Inbox::~Inbox() = default;

std::vector<Inbox::Pending> Inbox::backlog(Cursor after, std::uint64_t up_to, std::size_t messages_max,
                                           std::size_t bytes_max, std::int64_t now_ms) const {
  std::vector<Pending> out;
  if (!entries_) return out;
  const auto& by_place = entries_->by_place;
  std::size_t bytes = 0;
  auto at = by_place.upper_bound(place_of(lane_of(after.priority), after.seq));
  while (at != by_place.end()) {
    const auto& [place, entry] = *at;
    if (seq_of(place) > up_to) {
      at = by_place.lower_bound(place_of(lane_of(place) + 1, 0));
      continue;
    }
    ++at;
    if (entry.expired(now_ms)) continue;
    bytes += entry.body.size();
    if (!out.empty() && (out.size() >= messages_max || bytes > bytes_max)) break;
    out.push_back({static_cast<Priority>(lane_of(place)), seq_of(place), entry.expires_ms, entry.body});
  }
  return out;
}

std::vector<std::uint64_t> Inbox::pending_among(std::span<const std::uint64_t> seqs,
                                                std::int64_t now_ms) const {
  std::vector<std::uint64_t> out;
  if (!entries_) return out;
  for (const std::uint64_t seq : seqs) {
    const auto found = entries_->find(seq);
    if (found != entries_->by_place.end() && !found->second.expired(now_ms)) out.push_back(seq);
  }
  sort_uniquely(out);
  return out;
}

std::vector<std::uint64_t> Inbox::pending_up_to(std::uint64_t seq, std::int64_t now_ms) const {
  std::vector<std::uint64_t> out;
  if (!entries_) return out;
  for (std::size_t lane = 0; lane < protocol::kPriorities; ++lane) {
    const auto end = entries_->by_place.upper_bound(place_of(lane, seq));
    for (auto at = entries_->by_place.lower_bound(place_of(lane, 0)); at != end; ++at)
      if (!at->second.expired(now_ms)) out.push_back(seq_of(at->first));
  }
  std::ranges::sort(out);
  return out;
}

std::size_t Inbox::size(std::int64_t now_ms) const {
  return entries_ ? entries_->pending_above(protocol::kPriorities, now_ms) : 0;
}

std::uint64_t Inbox::oldest_seq() const {
  std::uint64_t oldest = 0;
  if (!entries_) return oldest;
  for (std::size_t lane = 0; lane < protocol::kPriorities; ++lane) {
    if (entries_->counts[lane] == 0) continue;
    const std::uint64_t seq = seq_of(entries_->by_place.lower_bound(place_of(lane, 0))->first);
    oldest = oldest == 0 ? seq : std::min(oldest, seq);
  }
  return oldest;
}

bool Inbox::owned_by(std::string_view user_id) const { return !user_id.empty() && user_id == user_id_; }

Result<void> Inbox::admit(const Event&, const Asker& asker) const {
  if (asker.may_publish) return {};
  return fail(ErrorCode::forbidden, "only the server and those it has granted it publish to an inbox");
}

Result<Taken> Inbox::take(const Event& event, const Asker&) {
  if (event.form != Event::Form::data) return fail(ErrorCode::invalid_event, "an inbox takes `data` only");
  if (event.seq == 0) return fail(ErrorCode::invalid_event, "an inbox takes no ephemeral events");
  if (event.name == "ack") {
    const auto seqs = seqs_of(event.payload);
    if (!seqs) return fail(ErrorCode::invalid_event, "the data of an `ack` is {\"seqs\":[n,...]}");
    fold_ack(*seqs, event.timestamp_ms);
    return Taken{};
  }
  if (pushed_out_at_once(event)) return Taken{.dropped = true};
  fold_entry(event);
  return Taken{};
}

void Inbox::replay(const Event& event) {
  if (event.form != Event::Form::data || event.seq == 0) return;
  if (event.name != "ack") return fold_entry(event);
  if (const auto seqs = seqs_of(event.payload)) fold_ack(*seqs, event.timestamp_ms);
}

// When the entries above it fill the inbox, whatever else goes first.
bool Inbox::pushed_out_at_once(const Event& event) const {
  const std::size_t above =
      entries_ ? entries_->pending_above(lane_of(priority_of(event)), event.timestamp_ms) : 0;
  return above >= options_->entries_max;
}

void Inbox::fold_entry(const Event& event) {
  if (!entries_) entries_ = std::make_unique<Entries>();
  entries_->remove_expired(event.timestamp_ms);
  const std::int64_t expires_ms =
      event.expires_ms != 0 ? event.expires_ms : event.timestamp_ms + options_->ttl_ms;
  entries_->add(place_of(lane_of(priority_of(event)), event.seq), {expires_ms, event.body});
  trim();
}

void Inbox::fold_ack(const std::vector<std::uint64_t>& seqs, std::int64_t timestamp_ms) {
  if (!entries_) return;
  entries_->remove_expired(timestamp_ms);
  for (const std::uint64_t seq : seqs)
    if (const auto found = entries_->find(seq); found != entries_->by_place.end()) entries_->remove(found);
  trim();
}

void Inbox::trim() {
  while (entries_->by_place.size() > options_->entries_max) entries_->remove_least();
  entries_->settle();
  if (entries_->by_place.empty()) entries_.reset();
}

std::string Inbox::snapshot(std::int64_t now_ms) const {
  std::array<std::size_t, protocol::kPriorities> counts{};
  std::vector<SharedBytes> bodies;
  if (entries_) {
    for (const auto& [place, entry] : entries_->by_place) {
      if (entry.expired(now_ms)) continue;
      ++counts[lane_of(place)];
      bodies.push_back(entry.body);
    }
  }
  protocol::MessageWriter by_priority;
  for (std::size_t lane = 0; lane < counts.size(); ++lane)
    by_priority.number(protocol::name_of(static_cast<Priority>(lane)), std::uint64_t{counts[lane]});
  protocol::MessageWriter out;
  return out.json("pending", protocol::messages_array(bodies)).json("counts", by_priority.finish()).finish();
}

// {"v":1,"pending":[[priority,seq,expires_ms,{body],…]}
std::string Inbox::save() const {
  std::string out = R"({"v":1,"pending":[)";
  if (entries_) {
    for (const auto& [place, entry] : entries_->by_place) {
      if (out.back() == ']') out += ',';
      fmt::format_to(std::back_inserter(out), "[{},{},{},{{", lane_of(place), seq_of(place),
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
  const auto value = protocol::scan_json(saved, kDepthMax);
  if (!value || value->type != JsonType::object) return false;
  protocol::Fields fields(*value);
  const JsonValue* pending = fields.find("pending");
  if (fields.integer("v", 1, 1) != 1 || pending == nullptr || pending->type != JsonType::array) return false;

  auto entries = std::make_unique<Entries>();
  for (const JsonValue& item : protocol::split_array(*pending)) {
    if (item.type != JsonType::array) return false;
    const auto parts = protocol::split_array(item);
    if (parts.size() != 4 || parts[3].type != JsonType::object) return false;
    const auto lane = integer_in(parts[0], 0, static_cast<std::int64_t>(protocol::kPriorities) - 1);
    const auto seq = integer_in(parts[1], 1, kSeqMax);
    const auto expires_ms = integer_in(parts[2], -kTimeMax, kTimeMax);
    if (!lane || !seq || !expires_ms) return false;
    entries->add(place_of(static_cast<std::size_t>(*lane), static_cast<std::uint64_t>(*seq)),
                 {*expires_ms, SharedBytes(parts[3].text.substr(1))});
  }
  if (!entries->by_place.empty()) entries_ = std::move(entries);
  return true;
}

}  // namespace tidewire::kinds
