#include "gateway/refusal.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tidewire::gateway {
namespace {

std::string field(const AnswerFields& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &AnswerFields::value_type::first);
  return found == fields.end() ? "" : found->second;
}

wire::HttpProblem problem(int status) { return {.status = status, .code = {}, .detail = {}}; }

TEST(Refusal, MayBeReadByAnAllowedOriginAlone) {
  wire::HttpRequest request;
  request.over_tls = true;
  request.headers.add("Host", "tide.example");
  EXPECT_EQ(field(shared_fields(request, {"*"}), "Access-Control-Allow-Origin"), "");
  request.headers.add("Origin", "https://app.example");
  const AnswerFields fields = shared_fields(request, {"https://app.example"});
  EXPECT_EQ(field(fields, "Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(field(fields, "Access-Control-Expose-Headers"), "Retry-After");
  EXPECT_EQ(field(fields, "Vary"), "Origin");
  EXPECT_EQ(field(shared_fields(request, {"same-host"}), "Access-Control-Allow-Origin"), "");
}

TEST(Refusal, SaysInBodyAndHeaderWhenToComeBack) {
  const wire::HttpAnswer answer =
      refusal_answer({.status = 429, .code = "rate_limited", .detail = {}, .retry_after_ms = 601}, {});
  EXPECT_NE(answer.body.find(R"("code":"rate_limited","retry_after_ms":601})"), std::string::npos)
      << answer.body;
  EXPECT_EQ(field(answer.fields, "Retry-After"), "1");
  EXPECT_EQ(field(refusal_answer(problem(404), {}).fields, "Retry-After"), "");
  EXPECT_EQ(field(refusal_answer(problem(401), {}).fields, "WWW-Authenticate"), "Bearer");
}

TEST(Refusal, InADrainIsForAllButTheProbes) {
  for (const char* path : {"/healthz", "/readyz", "/metrics"}) EXPECT_TRUE(served_in_drain(path)) << path;
  for (const char* path : {"/", "/sse", "/ws", "/api/v1/publish", "/healthz/"})
    EXPECT_FALSE(served_in_drain(path)) << path;
}

}  // namespace
}  // namespace tidewire::gateway
