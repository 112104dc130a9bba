// An HTTP/1.1 request as a value, and what is said to the client when there is none.
//
// Invariant of one that HttpReader made: method, target and field names are tokens and paths as
// RFC 9110 has them, there is exactly one Host on HTTP/1.1, and the body is whole and decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidewire::wire {

struct HttpField {
  std::string_view name;
  std::string_view value;
};

// ASCII letters of either case are equal.
bool equal_ignoring_case(std::string_view a, std::string_view b);

// The fields of a request in their order. One text and offsets: two allocations however many.
class HttpHeaders {
 public:
  void add(std::string_view name, std::string_view value);
  void reserve(std::size_t bytes) { text_.reserve(bytes); }
  void clear();

  std::size_t size() const { return places_.size(); }
  HttpField operator[](std::size_t index) const;

  // The first field of that name; names are compared without case.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  // The elements of all fields of that name, as if they were one list (RFC 9110 §5.6.1): trimmed, empty ones
  // left out. Quoted strings are not looked into.
  std::vector<std::string_view> elements(std::string_view name) const;
  // Whether such an element is there, compared without case.
  bool has_element(std::string_view name, std::string_view element) const;

 private:
  struct Place {
    std::uint32_t name, name_size, value, value_size;
  };
  std::string text_;
  std::vector<Place> places_;
};

struct HttpRequest {
  std::string method;
  std::string target;  // as it came
  std::string path;    // percent-decoded; "*" for OPTIONS *
  std::string query;   // raw, without the question mark
  HttpHeaders headers;
  std::string body;
  int version = 11;  // 10 or 11
  bool keep_alive = true;
  bool over_tls = false;             // where the client is; set by whoever knows the connection
  bool has_body = false;             // a Content-Length above 0, or chunked
  std::uint64_t content_length = 0;  // of the body, as announced; 0 when it is chunked

  // The path before decoding, for routes with a percent-encoded segment.
  std::string_view raw_path() const;
};

// Why a request is refused; everything in it is static text.
struct HttpProblem {
  int status = 400;
  std::string_view code;                   // the protocol's error code; empty where it has none
  std::string_view detail;                 // for humans
  std::span<const HttpField> fields = {};  // that the answer must have
  std::int64_t retry_after_ms = 0;         // 0: nothing is said of it
};

}  // namespace tidewire::wire
