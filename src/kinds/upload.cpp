#include "kinds/upload.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <ranges>

#include "base/json_text.h"
#include "kinds/merged_run.h"
#include "kinds/payload.h"

namespace tidewire::kinds {

namespace {

constexpr std::int64_t kIntegerMax = std::int64_t{1} << 53;
constexpr double kTimeConstantMs = 5000;

void append_or_null(std::string& out, std::optional<std::int64_t> value) {
  if (value)
    append_json_int(out, *value);
  else
    out += "null";
}

std::int64_t as_integer(double value) {
  return value < static_cast<double>(kIntegerMax) ? std::llround(value) : kIntegerMax;
}

// Cut, not rounded: 100 means all.
std::string percent_of(std::int64_t bytes, std::int64_t total) {
  const std::int64_t tenths = total == 0 ? 1000 : bytes * 1000 / total;
  std::string out = std::to_string(tenths / 10);
  if (tenths % 10 != 0) {
    out += '.';
    out += std::to_string(tenths % 10);
  }
  return out;
}

void append_double(std::string& out, double value) {
  char digits[40];
  out.append(digits, std::to_chars(digits, std::end(digits), value).ptr);
}

// What append_double wrote, exactly; nullopt for anything but a finite number from 0 on.
std::optional<double> double_of(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || !(value >= 0) || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

Result<Upload::Progress> Upload::progress_of(const Event& event) {
  const protocol::JsonValue data = value_of(event.payload);
  if (data.type != protocol::JsonType::object)
    return fail(ErrorCode::invalid_event, "`progress` needs `data` with `bytes`");
  protocol::Fields fields(data);
  const auto bytes = fields.integer("bytes", 0, kIntegerMax);
  const protocol::JsonValue* total_value = fields.find("total");
  std::optional<std::int64_t> total;
  if (total_value != nullptr && total_value->type != protocol::JsonType::null)
    total = fields.integer("total", 0, kIntegerMax);
  if (!bytes) fields.refuse("`bytes` is missing");
  fields.refuse_doubled();
  if (!fields.ok()) return fail(ErrorCode::invalid_event, fields.problem());
  return Progress{.bytes = *bytes, .total = total};
}

std::optional<Upload::Progress> Upload::progress_in(const Event& event) {
  if (event.name != "progress") return std::nullopt;
  const auto said = progress_of(event);
  return said ? std::optional(*said) : std::nullopt;
}

// What is known after the event.
Result<Upload::Progress> Upload::checked(const Event& event) const {
  if (auto open = check(event); !open) return std::unexpected(open.error());
  const Status after = status_after(event.name);
  Progress next = progress_;
  if (after == Status::complete) {
    next.bytes = next.total.value_or(next.bytes);
  } else if (after == Status::running) {
    if (event.name != "progress")
      return fail(ErrorCode::invalid_event, "an upload knows `progress`, `complete`, `fail` and `cancel`");
    auto said = progress_of(event);
    if (!said) return said;
    if (said->bytes < progress_.bytes) return fail(ErrorCode::invalid_event, "`bytes` never decreases");
    next = {.bytes = said->bytes, .total = said->total ? said->total : progress_.total};
    if (next.total && next.bytes > *next.total)
      return fail(ErrorCode::invalid_event, "`bytes` never passes `total`");
  }
  return next;
}

Result<Taken> Upload::judge(const Event& event, const Asker&) const {
  if (event.seq == 0) return fail(ErrorCode::invalid_event, "an upload has no ephemeral events");
  if (const auto next = checked(event); !next) return std::unexpected(next.error());
  return Taken{};
}

Result<Taken> Upload::take(const Event& event, const Asker&) {
  if (event.seq == 0) return fail(ErrorCode::invalid_event, "an upload has no ephemeral events");
  const auto next = checked(event);
  if (!next) return std::unexpected(next.error());
  fold(event, *next);
  return Taken{};
}

void Upload::replay(const Event& event) {
  if (event.seq == 0) return;
  if (const auto next = checked(event)) fold(event, *next);
}

void Upload::fold(const Event& event, const Progress& next) {
  if (status_after(event.name) == Status::running) {
    if (last_progress_ms_ != 0) {
      const auto elapsed_ms =
          static_cast<double>(std::max<std::int64_t>(event.timestamp_ms - last_progress_ms_, 0));
      const double weight = std::exp(-elapsed_ms / kTimeConstantMs);
      weighted_bytes_ = weighted_bytes_ * weight + static_cast<double>(next.bytes - progress_.bytes);
      weighted_ms_ = weighted_ms_ * weight + elapsed_ms;
    }
    last_progress_ms_ = std::max(last_progress_ms_, event.timestamp_ms);
  }
  progress_ = next;
  note(event);
}

std::optional<double> Upload::rate_bps() const {
  if (weighted_ms_ <= 0) return std::nullopt;
  return weighted_bytes_ * 1000 / weighted_ms_;
}

std::string Upload::snapshot(std::int64_t) const {
  static constexpr std::string_view kStatusNames[] = {"pending", "active", "complete", "failed", "cancelled"};
  const auto& [bytes, total] = progress_;
  const std::optional<double> rate = rate_bps();
  std::optional<std::int64_t> eta_ms;
  if (status() == Status::complete)
    eta_ms = 0;
  else if (!ended() && total && rate && (*rate > 0 || bytes == *total))
    eta_ms = bytes == *total ? 0 : as_integer(static_cast<double>(*total - bytes) * 1000 / *rate);

  std::string out = "{\"status\":\"";
  out += kStatusNames[static_cast<std::size_t>(status())];
  out += "\",\"bytes\":";
  append_json_int(out, bytes);
  out += ",\"total\":";
  append_or_null(out, total);
  out += ",\"percent\":";
  out += total ? percent_of(bytes, *total) : "null";
  out += ",\"rate_bps\":";
  append_or_null(out, rate.transform(as_integer));
  out += ",\"eta_ms\":";
  append_or_null(out, eta_ms);
  out += '}';
  return out;
}

std::string Upload::save() const {
  std::string out = "{";
  save_run(out);
  out += "\"bytes\":";
  append_json_int(out, progress_.bytes);
  if (progress_.total) {
    out += ",\"total\":";
    append_json_int(out, *progress_.total);
  }
  out += ",\"last_progress_ms\":";
  append_json_int(out, last_progress_ms_);
  out += ",\"weighted_bytes\":";
  append_double(out, weighted_bytes_);
  out += ",\"weighted_ms\":";
  append_double(out, weighted_ms_);
  out += '}';
  return out;
}

bool Upload::restore(std::string_view saved) {
  *this = Upload();
  const auto object = protocol::scan_json(saved, kPayloadDepthMax);
  if (!object || object->type != protocol::JsonType::object) return false;
  protocol::Fields fields(*object);
  Upload read;
  const auto bytes = fields.integer("bytes", 0, kIntegerMax);
  read.progress_.total = fields.integer("total", 0, kIntegerMax);
  const auto last_progress_ms =
      fields.integer("last_progress_ms", 0, std::numeric_limits<std::int64_t>::max());
  const auto weighted_bytes = double_of(fields.raw("weighted_bytes"));
  const auto weighted_ms = double_of(fields.raw("weighted_ms"));
  if (!read.restore_run(fields) || !bytes || !last_progress_ms || !weighted_bytes || !weighted_ms)
    return false;
  if (read.progress_.total && *bytes > *read.progress_.total) return false;
  read.progress_.bytes = *bytes;
  read.last_progress_ms_ = *last_progress_ms;
  read.weighted_bytes_ = *weighted_bytes;
  read.weighted_ms_ = *weighted_ms;
  *this = std::move(read);
  return true;
}

std::optional<std::vector<Run>> Upload::conflate(std::vector<Run>&& runs) const {
  if (runs.size() < 2) return std::move(runs);
  // An end does not say how far the upload had come: the progress before it goes along.
  if (!progress_in(event_of(runs.back().body, 0))) {
    Run end = std::move(runs.back());
    runs.pop_back();
    auto progress = conflate(std::move(runs));
    progress->push_back(std::move(end));
    return progress;
  }
  const Event last = event_of(runs.back().body, 0);
  std::string data(last.payload);
  if (const auto said = progress_in(last); said && !said->total) {
    for (const Run& run : runs | std::views::reverse | std::views::drop(1)) {
      const auto earlier = progress_in(event_of(run.body, 0));
      if (!earlier || !earlier->total) continue;
      data = "{" + members_without(members_of(value_of(last.payload)), "total");
      data += "\"total\":" + std::to_string(*earlier->total) + "}";
      break;
    }
  }
  std::vector<Run> one;
  one.push_back(merged_run(runs, "data", data));
  return one;
}

}  // namespace tidewire::kinds
