#include "kinds/owned_run.h"

#include <fmt/format.h>

#include <limits>

#include "base/json_text.h"

namespace tidewire::kinds {

Result<void> OwnedRun::admit(const Event&, const Asker& asker) const {
  if (asker.server || asker.may_publish || owned_by(asker.user_id)) return {};
  if (asker.user_id.empty()) return fail(ErrorCode::unauthorized);
  if (creator().empty()) return {};
  return fail(ErrorCode::forbidden, "only the creator, who published first, may publish here");
}

OwnedRun::Status OwnedRun::status_after(std::string_view event_name) {
  if (event_name == "complete") return Status::complete;
  if (event_name == "fail") return Status::failed;
  if (event_name == "cancel") return Status::cancelled;
  return Status::running;
}

Result<void> OwnedRun::check(const Event& event) const {
  if (event.form != Event::Form::data)
    return fail(ErrorCode::invalid_event, "`merge` and `patch` are for documents");
  if (event.name.empty()) return fail(ErrorCode::invalid_event, "`event` is missing");
  if (ended()) return fail(ErrorCode::invalid_event, "it has ended, and nothing comes after");
  return {};
}

void OwnedRun::note(const Event& event) {
  if (creator_.empty()) creator_ = event.user_id;
  last_event_ms_ = event.timestamp_ms;
  status_ = status_after(event.name);
}

void OwnedRun::save_run(std::string& out) const {
  out += "\"creator\":";
  append_json_string(out, creator_);
  out += ",\"status\":";
  append_json_int(out, static_cast<int>(status_));
  out += ",\"last_event_ms\":";
  append_json_int(out, last_event_ms_);
  out += ',';
}

bool OwnedRun::restore_run(protocol::Fields& saved) {
  std::string creator = saved.required_string("creator");
  const auto status = saved.integer("status", 0, static_cast<int>(Status::cancelled));
  const auto last_event_ms = saved.integer("last_event_ms", 0, std::numeric_limits<std::int64_t>::max());
  if (!saved.ok() || !status || !last_event_ms) return false;
  creator_ = std::move(creator);
  status_ = static_cast<Status>(*status);
  last_event_ms_ = *last_event_ms;
  return true;
}

}  // namespace tidewire::kinds
