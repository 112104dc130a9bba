#include "wire/http_reader.h"

#include <algorithm>
#include <cstring>

#include "wire/characters.h"
#include "wire/http_head.h"

namespace tidewire::wire {
namespace {

// Size, extension and CR of a chunk's line; and the extensions of a whole body.
constexpr std::size_t kMaxChunkLineBytes = 256;
constexpr std::size_t kMaxExtensionBytes = 8192;

}  // namespace

HttpReader::Event HttpReader::fail(int status, std::string_view detail) {
  state_ = State::ended;
  line_.clear();
  // 414 and 431 have no code of the protocol's (§6).
  const std::string_view code = status == 400 ? "invalid_message" : status == 413 ? "too_large" : "";
  return {.type = Event::Type::failed, .problem = {.status = status, .code = code, .detail = detail}};
}

HttpReader::Event HttpReader::whole() {
  state_ = State::done;
  return {.type = Event::Type::request, .problem = {}};
}

HttpReader::Event HttpReader::next(std::span<char>& chunk) {
  if (state_ == State::done) {
    request_ = HttpRequest();
    scanned_ = fields_ = lines_ = head_bytes_ = overhead_ = 0;
    remaining_ = 0;
    skipped_ = false;
    state_ = State::head;
  }
  while (!chunk.empty()) {
    if (state_ == State::ended) {
      chunk = {};
      break;
    }
    const Event event = state_ == State::head ? read_head(chunk) : read_body(chunk);
    if (event.type != Event::Type::need_more) return event;
  }
  return {};
}

HttpReader::Event HttpReader::read_head(std::span<char>& chunk) {
  // A head that lies whole in the chunk is read there.
  const std::size_t before = line_.size();
  std::string_view text(chunk.data(), chunk.size());
  if (before != 0) {
    const std::size_t room = limits_->request_line + limits_->header_bytes + 16 - before;
    line_.append(text.substr(0, room));
    text = line_;
  }
  // One empty line before a request is forgiven (RFC 9112 §2.2).
  if (scanned_ == 0 && lines_ == 0 && !skipped_ && text.starts_with("\r\n")) {
    skipped_ = true;
    chunk = chunk.subspan(2 - before);
    line_.clear();
    return {};
  }
  const Event event = scan_head(text, before);
  if (event.type == Event::Type::failed) return event;
  if (head_bytes_ == 0) {
    if (before == 0) line_ = text;
    chunk = chunk.subspan(line_.size() - before);
    return {};
  }
  const std::string_view head = text.substr(0, head_bytes_);
  chunk = chunk.subspan(head_bytes_ - before);
  const Event begun = begin_body(head, !chunk.empty());
  std::string().swap(line_);
  return begun;
}

// Finds the end of the head, and refuses what is too long or ends lines otherwise than by CR LF before
// more of it arrives. `fresh`: what begins there was not looked at yet.
HttpReader::Event HttpReader::scan_head(std::string_view text, std::size_t fresh) {
  const auto refuse = [&](int status, std::string_view detail) {
    keep_for_refusal(text);
    return fail(status, detail);
  };
  while (true) {
    const std::size_t end = text.find('\n', std::max(scanned_, fresh));
    const std::size_t line_end = end == std::string_view::npos ? text.size() : end;
    if (lines_ == 0) {
      if (line_end - scanned_ > limits_->request_line + 1) return refuse(414, "the request line is too long");
    } else if (line_end - fields_ > limits_->header_bytes + 1) {
      return refuse(431, "the header is too long");
    }
    if (end == std::string_view::npos) return {};
    if (end == scanned_ || text[end - 1] != '\r') return refuse(400, "a line does not end with CR LF");
    const std::size_t size = end - 1 - scanned_;
    if (lines_ == 0) {
      if (size == 0) return fail(400, "there is no request line");
      fields_ = end + 1;
    } else if (size == 0) {
      head_bytes_ = end + 1;
      return {};
    } else if (text[scanned_] == ' ' || text[scanned_] == '\t') {
      return refuse(400, "a folded field");
    } else if (lines_ > limits_->header_lines) {
      return refuse(431, "the header has too many lines");
    }
    ++lines_;
    scanned_ = end + 1;
  }
}

// Of a head that is refused unread, what says who may read the refusal and whether it may have a body, as far
// as it has come.
void HttpReader::keep_for_refusal(std::string_view text) {
  if (text.starts_with("HEAD ")) request_.method = "HEAD";
  std::size_t end = text.find("\r\n");
  while (end != std::string_view::npos) {
    const std::size_t begin = end + 2;
    end = text.find("\r\n", begin);
    if (end == begin || end == std::string_view::npos) return;
    const std::string_view line = text.substr(begin, end - begin);
    const std::string_view name = line.substr(0, line.find(':'));
    if (!is_field_line(line) || (!equal_ignoring_case(name, "Origin") && !equal_ignoring_case(name, "Host")))
      continue;
    std::string_view value = line.substr(name.size() + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value.remove_suffix(value.size() - (value.find_last_not_of(" \t") + 1));
    request_.headers.add(name, value);
  }
}

HttpReader::Event HttpReader::begin_body(std::string_view head, bool body_is_here) {
  BodyFraming framing;
  if (const auto problem = parse_head(head, request_, framing)) {
    state_ = State::ended;
    return {.type = Event::Type::failed, .problem = *problem};
  }
  if (!request_.has_body) return whole();
  if (framing.content_length > limits_->body_bytes) return fail(413, "the body is too large");
  remaining_ = framing.content_length;
  lines_ = 0;
  state_ = framing.chunked ? State::chunk_size : State::body;
  if (framing.expects_continue && !body_is_here) return {.type = Event::Type::expect_continue, .problem = {}};
  return {};
}

HttpReader::Event HttpReader::read_body(std::span<char>& chunk) {
  if (state_ == State::body || state_ == State::chunk_data) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), remaining_));
    request_.body.append(chunk.data(), n);
    chunk = chunk.subspan(n);
    remaining_ -= n;
    if (remaining_ != 0) return {};
    if (state_ == State::body) return whole();
    state_ = State::chunk_end;
    return {};
  }
  const std::size_t max_bytes = state_ == State::chunk_end    ? 2
                                : state_ == State::chunk_size ? kMaxChunkLineBytes
                                                              : limits_->header_bytes + 2;
  switch (read_line(chunk, max_bytes)) {
    case Line::cut:
      return {};
    case Line::too_long:
      return state_ == State::trailer ? fail(431, "the trailer is too long") : fail(400, "bad chunk");
    case Line::bad:
      return fail(400, "bad chunk");
    case Line::whole:
      break;
  }
  Event event;
  if (state_ == State::chunk_size) {
    event = chunk_size(line_);
  } else if (state_ == State::trailer) {
    event = trailer(line_);
  } else if (line_.empty()) {
    state_ = State::chunk_size;
  } else {
    return fail(400, "bad chunk");
  }
  line_.clear();
  return event;
}

// Gathers a line in line_, without its CR LF. `max_bytes` counts them.
HttpReader::Line HttpReader::read_line(std::span<char>& chunk, std::size_t max_bytes) {
  const auto* end = static_cast<const char*>(std::memchr(chunk.data(), '\n', chunk.size()));
  const std::size_t n = end ? static_cast<std::size_t>(end - chunk.data()) + 1 : chunk.size();
  if (line_.size() + n > max_bytes) return Line::too_long;
  line_.append(chunk.data(), n);
  chunk = chunk.subspan(n);
  if (!end) return Line::cut;
  if (!line_.ends_with("\r\n")) return Line::bad;
  line_.resize(line_.size() - 2);
  return Line::whole;
}

// chunk-size [ ";" extension ]. Spaces before the semicolon are refused, extensions are not understood.
HttpReader::Event HttpReader::chunk_size(std::string_view line) {
  const std::size_t digits = std::min(line.find(';'), line.size());
  if (digits == 0 || digits > 15) return fail(400, "bad chunk size");
  std::uint64_t size = 0;
  for (const char c : line.substr(0, digits)) {
    const int digit = hex_digit(c);
    if (digit < 0) return fail(400, "bad chunk size");
    size = size << 4 | static_cast<unsigned>(digit);
  }
  for (const char c : line.substr(digits))
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F)
      return fail(400, "bad chunk extension");
  overhead_ += line.size() - digits;
  if (overhead_ > kMaxExtensionBytes) return fail(400, "too many chunk extensions");
  if (size > limits_->body_bytes - request_.body.size()) return fail(413, "the body is too large");
  remaining_ = size;
  state_ = size == 0 ? State::trailer : State::chunk_data;
  if (size == 0) overhead_ = 0;
  return {};
}

// Trailers are checked and dropped: nothing here reads them, and a field among them must not pass for
// one of the header.
HttpReader::Event HttpReader::trailer(std::string_view line) {
  if (line.empty()) return whole();
  overhead_ += line.size() + 2;
  if (++lines_ > limits_->header_lines || overhead_ > limits_->header_bytes)
    return fail(431, "the trailer is too long");
  if (!is_field_line(line)) return fail(400, "a trailer is malformed");
  return {};
}

}  // namespace tidewire::wire
