// From bytes to HTTP/1.1 requests, incremental, strict (RFC 9110, 9112).
//
// A pull parser: it stops behind one request and leaves what follows in the chunk, be it a pipelined
// request or the first WebSocket frames. Whatever two servers could read differently (request
// smuggling) is refused. Owned by the connection's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "wire/http_request.h"

namespace tidewire::wire {

struct HttpLimits {
  std::size_t request_line = 8192;   // bytes: 414
  std::size_t header_bytes = 32768;  // of the lines behind it: 431
  std::size_t header_lines = 100;    // 431
  std::size_t body_bytes = 1 << 20;  // decoded: 413, as soon as it is announced
};

class HttpReader {
 public:
  struct Event {
    enum class Type : std::uint8_t {
      need_more,        // the chunk is used up (always so after `failed`)
      request,          // request() is whole
      expect_continue,  // the client waits for "100 Continue" before it sends the body
      failed,           // problem; answer it and close
    };
    Type type = Type::need_more;
    HttpProblem problem;
  };

  // `limits` must outlive the reader.
  explicit HttpReader(const HttpLimits* limits) : limits_(limits) {}

  // The next event; `chunk` shrinks by what was read. 400 malformed, 413, 414, 417 unknown expectation,
  // 431, 501 transfer coding other than chunked, 505 version.
  Event next(std::span<char>& chunk);

  // The last request; valid until the next call of next(). Its owner may move it away. After `failed`, what
  // is known of one: Origin and Host also where the head was not read for its size.
  HttpRequest& request() { return request_; }

  // The request whose body is still being read, so far with an unfinished one; else null. It can be
  // refused by its head before the rest is taken.
  const HttpRequest* without_body() const {
    return state_ == State::body || (state_ >= State::chunk_size && state_ <= State::trailer) ? &request_
                                                                                              : nullptr;
  }

  // Whether a request has begun and not ended. The caller limits how long.
  bool in_request() const { return (state_ != State::head && state_ != State::done) || !line_.empty(); }

 private:
  enum class State : std::uint8_t { head, body, chunk_size, chunk_data, chunk_end, trailer, done, ended };
  enum class Line : std::uint8_t { whole, cut, too_long, bad };

  Event read_head(std::span<char>& chunk);
  Event scan_head(std::string_view text, std::size_t fresh);
  void keep_for_refusal(std::string_view text);
  Event begin_body(std::string_view head, bool body_is_here);
  Event read_body(std::span<char>& chunk);
  Event chunk_size(std::string_view line);
  Event trailer(std::string_view line);
  Line read_line(std::span<char>& chunk, std::size_t max_bytes);
  Event whole();
  Event fail(int status, std::string_view detail);

  const HttpLimits* limits_;
  HttpRequest request_;
  std::string line_;             // of a head that is cut in the middle, or of a chunked body's line
  std::size_t scanned_ = 0;      // of the head, up to the start of an unfinished line
  std::size_t fields_ = 0;       // where the head's second line begins
  std::size_t lines_ = 0;        // of the head or the trailer
  std::size_t head_bytes_ = 0;   // of the head, once its end is found
  std::size_t overhead_ = 0;     // bytes of chunk extensions, then of trailers
  std::uint64_t remaining_ = 0;  // of the body or the chunk
  State state_ = State::head;
  bool skipped_ = false;  // an empty line before the request
};

}  // namespace tidewire::wire
