// Any bytes, read whole and cut at random places: the requests and problems must be the same.
// Input: 2 bytes that seed the cuts, then the stream.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/check.h"
#include "wire/http_reader.h"

namespace {

using namespace tidewire::wire;

constexpr HttpLimits kLimits{.request_line = 100, .header_bytes = 500, .header_lines = 10, .body_bytes = 300};

std::string read(std::string_view stream, std::uint32_t cuts) {
  HttpReader reader(&kLimits);
  std::string seen;
  while (!stream.empty()) {
    std::size_t size = stream.size();
    if (cuts != 0) {
      cuts = cuts * 1664525 + 1013904223;
      size = std::min<std::size_t>(size, 1 + (cuts >> 24) % (cuts >> 30 ? 8 : 200));
    }
    std::vector<char> piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
    stream.remove_prefix(size);
    std::span<char> chunk(piece);
    while (true) {
      const auto event = reader.next(chunk);
      using Type = HttpReader::Event::Type;
      if (event.type == Type::need_more) break;
      // Whether a client is told to continue depends on what has arrived.
      if (event.type == Type::expect_continue) continue;
      if (event.type == Type::failed) {
        seen += "failed " + std::to_string(event.problem.status) + ' ';
        seen += event.problem.detail;
      }
      if (event.type == Type::request) {
        const HttpRequest& request = reader.request();
        TIDEWIRE_CHECK(request.body.size() <= kLimits.body_bytes);
        TIDEWIRE_CHECK(request.headers.size() <= kLimits.header_lines);
        TIDEWIRE_CHECK(request.version == 10 || request.headers.count("host") == 1);
        TIDEWIRE_CHECK(request.has_body || request.body.empty());
        seen += request.method + ' ' + request.target + ' ' + request.path + ' ' + request.query + ' ' +
                request.body + ' ' + std::to_string(request.keep_alive) + '\n';
        for (std::size_t i = 0; i < request.headers.size(); ++i) {
          seen += request.headers[i].name;
          seen += request.headers[i].value;
        }
      }
      seen += '\n';
    }
    TIDEWIRE_CHECK(chunk.empty());
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data + 2), size - 2);
  TIDEWIRE_CHECK(read(stream, 0) == read(stream, 1 + data[0] + 256u * data[1]));
  return 0;
}
