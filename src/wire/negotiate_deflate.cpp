#include <algorithm>
#include <utility>
#include <vector>

#include "wire/characters.h"
#include "wire/permessage_deflate.h"

namespace tidewire::wire {
namespace {

struct Parameter {
  std::string_view name;
  std::optional<std::string> value;
};

struct Offer {
  std::string_view extension;
  std::vector<Parameter> parameters;
};

// The grammar of Sec-WebSocket-Extensions (RFC 6455 §9.1), one offer at a time.
class Offers {
 public:
  explicit Offers(std::string_view text) : rest_(text) {}

  // Nothing at the end, and where the grammar is broken.
  std::optional<Offer> next() {
    do skip_space();
    while (take(','));
    Offer offer{.extension = token(), .parameters = {}};
    if (offer.extension.empty()) return rest_.empty() ? std::nullopt : broken();
    skip_space();
    while (take(';')) {
      skip_space();
      Parameter parameter{.name = token(), .value = {}};
      if (parameter.name.empty()) return broken();
      skip_space();
      if (take('=')) {
        skip_space();
        parameter.value = rest_.starts_with('"') ? quoted() : std::string(token());
        if (!is_token(*parameter.value)) return broken();
        skip_space();
      }
      offer.parameters.push_back(std::move(parameter));
    }
    if (!rest_.empty() && rest_.front() != ',') return broken();
    return offer;
  }
  bool is_broken() const { return broken_; }

 private:
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view token() {
    std::size_t size = 0;
    while (size < rest_.size() && is_token_char(rest_[size])) ++size;
    return take_front(size);
  }
  std::string_view take_front(std::size_t size) {
    const std::string_view front = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return front;
  }
  // Empty when the closing quote is missing; an empty value is no token anyway.
  std::string quoted() {
    std::string out;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return out;
      }
      if (rest_[i] == '\\' && ++i == rest_.size()) break;
      out += rest_[i];
    }
    return {};
  }

  std::optional<Offer> broken() {
    broken_ = true;
    return std::nullopt;
  }

  std::string_view rest_;
  bool broken_ = false;
};

// "8" to "15", no leading zeros (RFC 7692 §7.1.2).
std::optional<std::uint8_t> window_bits(std::string_view value) {
  if (value == "8" || value == "9") return static_cast<std::uint8_t>(value[0] - '0');
  if (value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5')
    return static_cast<std::uint8_t>(10 + value[1] - '0');
  return std::nullopt;
}

std::optional<DeflateNegotiation> accept(const Offer& offer, DeflateMode mode) {
  bool server_no_context = false;
  bool client_no_context = false;
  bool client_bits_offered = false;
  std::optional<std::uint8_t> server_bits;
  std::optional<std::uint8_t> client_bits;
  for (const Parameter& parameter : offer.parameters) {
    if (parameter.name == "server_no_context_takeover") {
      if (parameter.value || std::exchange(server_no_context, true)) return std::nullopt;
    } else if (parameter.name == "client_no_context_takeover") {
      if (parameter.value || std::exchange(client_no_context, true)) return std::nullopt;
    } else if (parameter.name == "server_max_window_bits") {
      if (!parameter.value || server_bits) return std::nullopt;
      server_bits = window_bits(*parameter.value);
      // zlib refuses a raw deflate window of 8, and with 9 it would write distances the client cannot
      // follow.
      if (!server_bits || *server_bits < 9) return std::nullopt;
    } else if (parameter.name == "client_max_window_bits") {
      if (std::exchange(client_bits_offered, true)) return std::nullopt;
      if (parameter.value && !(client_bits = window_bits(*parameter.value))) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }

  const bool shared = mode == DeflateMode::shared;
  DeflateNegotiation result{.agreement = {.server_no_context_takeover = shared || server_no_context,
                                          .client_no_context_takeover = shared || client_no_context,
                                          .server_max_window_bits = server_bits.value_or(15)},
                            .response = "permessage-deflate"};
  if (result.agreement.server_no_context_takeover) result.response += "; server_no_context_takeover";
  if (result.agreement.client_no_context_takeover) result.response += "; client_no_context_takeover";
  if (server_bits) result.response += "; server_max_window_bits=" + std::to_string(*server_bits);
  // A shared inflater has the largest window anyway; a dedicated one gets smaller by it.
  if (!shared && client_bits) {
    result.agreement.client_max_window_bits = *client_bits;
    result.response += "; client_max_window_bits=" + std::to_string(*client_bits);
  }
  return result;
}

}  // namespace

bool are_extensions(std::string_view extensions) {
  Offers offers(extensions);
  while (offers.next()) {
  }
  return !offers.is_broken();
}

std::optional<DeflateNegotiation> negotiate_deflate(std::string_view extensions, DeflateMode mode) {
  if (mode == DeflateMode::off) return std::nullopt;
  Offers offers(extensions);
  while (const auto offer = offers.next()) {
    if (offer->extension != "permessage-deflate") continue;
    if (auto accepted = accept(*offer, mode)) return accepted;
  }
  return std::nullopt;
}

}  // namespace tidewire::wire
