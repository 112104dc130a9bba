// Any bytes as a message: what is taken agrees with another JSON parser, payload lies inside the
// message, and the same envelope written anew is read as the same.

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json_text.h"
#include "protocol/decode.h"
#include "protocol/json_scanner.h"
#include "wire/utf8.h"

namespace tidewire::protocol {
namespace {

using Json = nlohmann::json;
constexpr int kDepth = 20;

int depth_of(const Json& value) {
  if (!value.is_structured()) return 0;
  int inner = 0;
  for (const Json& child : value) inner = std::max(inner, depth_of(child));
  return inner + 1;
}

void lies_in(std::string_view slice, std::string_view text) {
  if (slice.empty()) return;
  TIDEWIRE_CHECK(slice.data() >= text.data() && slice.data() + slice.size() <= text.data() + text.size());
  TIDEWIRE_CHECK(scan_json(slice, kDepth));
}

// The members of the envelope, each as it stands, in the form in which we would write them.
std::string written_anew(std::string_view text) {
  std::vector<JsonMember> members;
  split_object(*scan_json(text, kDepth), members);
  std::string out = " {";
  for (const JsonMember& member : members) {
    if (out.size() > 2) out += " ,\n";
    append_json_string(out, member.key);
    out += " : ";
    out += member.value.text;
  }
  return out + "\t}";
}

void compare(std::string_view text, bool taken) {
  try {
    const Json oracle = Json::parse(text);
    TIDEWIRE_CHECK(taken == (depth_of(oracle) <= kDepth));
  } catch (const Json::out_of_range&) {
    // A number beyond a double may stand in payload, and the other parser refuses it.
  } catch (const Json::parse_error& error) {
    // So may a lone surrogate.
    if (std::string_view(error.what()).find("surrogate") == std::string_view::npos) TIDEWIRE_CHECK(!taken);
  }
}

void check(std::string_view text) {
  const auto scanned = scan_json(text, kDepth);
  // The other parser skips a byte order mark, and takes a zero byte for the end.
  if (!text.starts_with("\xef\xbb\xbf") && text.find('\0') == std::string_view::npos)
    compare(text, scanned.has_value());

  const auto request = decode(text, kDepth);
  TIDEWIRE_CHECK(scanned || (!request && request.error().error.code == ErrorCode::invalid_json));
  if (!request) {
    TIDEWIRE_CHECK(wire::is_valid_utf8(request.error().error.message));
    return;
  }
  if (const auto* publish = std::get_if<PublishRequest>(&request->body)) {
    lies_in(publish->data, text);
    lies_in(publish->merge, text);
    lies_in(publish->patch, text);
  } else if (const auto* ping = std::get_if<PingRequest>(&request->body)) {
    lies_in(ping->data, text);
  } else if (const auto* presence = std::get_if<PresenceRequest>(&request->body)) {
    lies_in(presence->data, text);
  }
  const std::string again = written_anew(text);
  const auto same = decode(again, kDepth);
  TIDEWIRE_CHECK(same.has_value() && same->id == request->id && same->type == request->type);
  TIDEWIRE_CHECK(channel_of(*same) == channel_of(*request));
  TIDEWIRE_CHECK(same->body.index() == request->body.index());
  if (const auto* publish = std::get_if<PublishRequest>(&request->body)) {
    const auto& other = std::get<PublishRequest>(same->body);
    TIDEWIRE_CHECK(publish->data == other.data && publish->key == other.key &&
                   publish->event == other.event && publish->ttl_ms == other.ttl_ms &&
                   publish->echo == other.echo);
  }
}

}  // namespace
}  // namespace tidewire::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!tidewire::wire::is_valid_utf8(text)) return 0;
  tidewire::protocol::check(text);
  (void)tidewire::protocol::decode_batch(text, 20, 10);
  (void)tidewire::protocol::decode_publish(text, 20);
  return 0;
}
