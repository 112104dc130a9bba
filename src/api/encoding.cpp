#include "api/encoding.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "wire/brotli.h"

namespace tidewire::api {

namespace {

constexpr int kGzipLevel = 5;
// A body above this would hold up its shard, so it is compressed at the fastest setting.
constexpr std::size_t kLargeBytes = 256 * 1024;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The weight of an element such as `br;q=0.5`, in thousandths; what is badly written counts as refused.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view parameter = trimmed(parameters.substr(0, end));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
    const std::string_view text = parameter.substr(2);
    double q = 0;
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + text.size(), q, std::chars_format::fixed);
    if (error != std::errc() || stop != text.data() + text.size() || !(q >= 0 && q <= 1)) return 0;
    return static_cast<int>(q * 1000);
  }
  return 1000;
}

std::string gzip(std::string_view body) {
  constexpr int kGzipFormat = 15 + 16;  // the largest window, with gzip's header
  const int level = body.size() > kLargeBytes ? 1 : kGzipLevel;
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipFormat, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(result == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace

Coding choose_coding(const wire::HttpHeaders& headers) {
  struct Named {
    int weight = 0;
    std::size_t place = 0;  // in the list
  };
  std::optional<Named> br, gzip, identity, other;
  std::size_t place = 0;
  for (const std::string_view element : headers.elements("Accept-Encoding")) {
    const std::size_t end = std::min(element.find(';'), element.size());
    const std::string_view name = trimmed(element.substr(0, end));
    const Named named{.weight = weight_of(element.substr(end)), .place = place++};
    if (wire::equal_ignoring_case(name, "br")) br = named;
    if (wire::equal_ignoring_case(name, "gzip") || wire::equal_ignoring_case(name, "x-gzip")) gzip = named;
    if (wire::equal_ignoring_case(name, "identity")) identity = named;
    if (name == "*") other = named;
  }
  const Named at_br = br.value_or(other.value_or(Named()));
  const Named at_gzip = gzip.value_or(other.value_or(Named()));
  const bool likes_br = at_br.weight >= at_gzip.weight;
  const Named best = likes_br ? at_br : at_gzip;
  if (best.weight == 0) return Coding::identity;
  if (identity &&
      (identity->weight > best.weight || (identity->weight == best.weight && identity->place < best.place)))
    return Coding::identity;
  return likes_br ? Coding::br : Coding::gzip;
}

std::string compress(Coding coding, std::string_view body) {
  switch (coding) {
    case Coding::identity:
      break;
    case Coding::gzip:
      return gzip(body);
    case Coding::br:
      return wire::brotli_compress(body);
  }
  return std::string(body);
}

bool encode(wire::HttpAnswer& answer, Coding coding) {
  const auto names_coding = [](const auto& field) { return field.first == "Content-Encoding"; };
  if (std::ranges::any_of(answer.fields, names_coding)) return true;
  if (answer.body.size() <= kCompressAbove) return false;
  if (coding == Coding::identity) return true;
  std::string body = compress(coding, answer.body);
  if (body.empty() || body.size() >= answer.body.size()) return true;
  answer.body = std::move(body);
  answer.fields.emplace_back("Content-Encoding", coding == Coding::br ? "br" : "gzip");
  return true;
}

}  // namespace tidewire::api
