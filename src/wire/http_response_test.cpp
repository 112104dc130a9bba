#include "wire/http_response.h"

#include <gtest/gtest.h>

#include <array>

#include "wire/bearer.h"
#include "wire/sse.h"
#include "wire/url.h"

namespace tidewire::wire {
namespace {

using namespace std::string_literals;

TEST(HttpResponse, HasALengthAndTheGivenFields) {
  const std::array fields{HttpField{"Content-Type", "text/plain"}, HttpField{"X-A", "b"}};
  EXPECT_EQ(write_http_response(200, fields, "hi", KeepAlive::yes),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(write_http_response(404, {}, "", KeepAlive::no),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(write_http_response(200, {}, "body", KeepAlive::yes, ResponseBody::head_only),
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
}

TEST(HttpResponse, HasNoContentWhereHttpForbidsIt) {
  EXPECT_EQ(write_http_response(204, {}, "x", KeepAlive::yes), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(write_http_response(100, {}, "", KeepAlive::no), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(write_http_response(304, {}, "x", KeepAlive::yes), "HTTP/1.1 304 Not Modified\r\n\r\n");
}

TEST(HttpResponse, CannotBeSplitByAField) {
  const std::array fields{HttpField{"X", "a\r\nSet-Cookie: b"}, HttpField{"Y\n", "a"}, HttpField{"Z", "ok"}};
  EXPECT_EQ(write_http_response(200, fields, "", KeepAlive::yes),
            "HTTP/1.1 200 OK\r\nZ: ok\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponse, OfAStreamEndsWithTheConnection) {
  const std::array fields{HttpField{"Content-Type", "text/event-stream"}};
  EXPECT_EQ(write_http_stream_head(200, fields),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
}

// RFC 9457.
TEST(Problem, IsJson) {
  EXPECT_EQ(
      problem_json(404, "not_found", "no \"such\" thing"),
      R"({"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"no \"such\" thing"})");
  EXPECT_EQ(problem_json(405, "", ""), R"({"type":"about:blank","title":"Method Not Allowed","status":405})");
}

TEST(Problem, SaysWhenToComeBackInWholeSecondsAndInMilliseconds) {
  const HttpProblem problem{.status = 503, .code = "unavailable", .detail = "later", .retry_after_ms = 1001};
  EXPECT_EQ(retry_after_value(problem.retry_after_ms), "2");
  EXPECT_TRUE(problem_json(problem).ends_with(R"("detail":"later","retry_after_ms":1001})"));
}

TEST(QueryToken, IsThereAlsoWhereItIsBadlyEncoded) {
  EXPECT_EQ(query_token("a=b&token=x%2Ey&token=z"), "x.y");
  EXPECT_EQ(query_token("token=%zz&token=x"), "%zz");
  EXPECT_EQ(query_token("token=%"), "%");
  EXPECT_EQ(query_token("token"), "");
  EXPECT_EQ(query_token("tokens=x"), std::nullopt);
}

TEST(PercentDecode, DecodesAndRefuses) {
  EXPECT_EQ(percent_decode("a%20b%2fc+d%C3%A4"), "a b/c+d\xC3\xA4");
  EXPECT_EQ(percent_decode("%00"), "\0"s);
  EXPECT_EQ(percent_decode(""), "");
  for (const std::string_view bad : {"%", "a%2", "%zz", "%2g", "%%20"})
    EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
}

TEST(QueryParameter, FindsTheFirstOfItsName) {
  constexpr std::string_view kQuery = "a=1&b=x+y%26z&a=2&flag&=none&c=&%64=decoded&bad=%zz";
  EXPECT_EQ(query_parameter(kQuery, "a"), "1");
  EXPECT_EQ(query_parameter(kQuery, "b"), "x y&z");
  EXPECT_EQ(query_parameter(kQuery, "flag"), "");
  EXPECT_EQ(query_parameter(kQuery, "c"), "");
  EXPECT_EQ(query_parameter(kQuery, "d"), "decoded");
  EXPECT_EQ(query_parameter(kQuery, "e"), std::nullopt);
  EXPECT_EQ(query_parameter(kQuery, "bad"), std::nullopt);
  EXPECT_EQ(query_parameter("", "a"), std::nullopt);
  EXPECT_EQ(raw_query_parameter(kQuery, "bad"), "%zz");
  EXPECT_EQ(query_parameter("t=a=b", "t"), "a=b");
}

TEST(QueryPairs, KeepTheirOrder) {
  using Pair = std::pair<std::string, std::optional<std::string>>;
  EXPECT_EQ(query_pairs("b=2&a=1%2C2&b=%zz&%zz=3&flag&&c=x=y"),
            (std::vector<Pair>{
                {"b", "2"}, {"a", "1,2"}, {"b", std::nullopt}, {"flag", ""}, {"", ""}, {"c", "x=y"}}));
  EXPECT_TRUE(query_pairs("").empty());
}

TEST(ServerSentEvent, IsLinesAndAnEmptyOne) {
  std::string out;
  append_sse_event(out, "7.e", R"({"a":1})");
  append_sse_event(out, "", "[\r\n1,\n\n2\r]\n");
  append_sse_retry(out, 1500);
  EXPECT_EQ(out, "id: 7.e\ndata: {\"a\":1}\n\ndata: [1,2]\n\nretry: 1500\n\n");
}

TEST(ServerSentEventDeathTest, RefusesLineBreaksInAnId) {
  std::string out;
  EXPECT_DEATH(append_sse_event(out, "a\r", "1"), "invariant broken");
  EXPECT_DEATH(append_sse_event(out, "a\nb", "1"), "invariant broken");
}

}  // namespace
}  // namespace tidewire::wire
