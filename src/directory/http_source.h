// Users as the application's own back end knows them: a GET per user, 200 for one who exists and 404 for
// one who does not (`directory.url` with https, or http to loopback).
#pragma once

#include <string>

#include "directory/source.h"
#include "net/http_client.h"

namespace tidewire::directory {

struct HttpSourceOptions {
  // `{id}` and `{tenant}` in it are replaced, percent-encoded; without `{id}` the id becomes the path's
  // last segment.
  std::string url;
  std::string secret = {};  // sent as a bearer token; empty: none
  std::int64_t timeout_ms = 2'000;
};

// The URL of one user.
std::string url_of(const std::string& pattern, const Question& question);

class HttpSource final : public Source {
 public:
  HttpSource(net::Loop& loop, HttpSourceOptions options);
  void ask(const Question& question, Answer answer) override;

 private:
  net::Loop& loop_;
  HttpSourceOptions options_;
  net::HttpClient client_;
};

}  // namespace tidewire::directory
