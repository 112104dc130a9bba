#include "wire/http_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidewire::wire {
namespace {

using namespace std::string_literals;
using HttpType = HttpReader::Event::Type;

const HttpLimits kLimits{.body_bytes = 1000};

// One line per event: "GET /path?query body" or "!status" or "100".
std::vector<std::string> read_in_pieces(std::string_view bytes, std::size_t piece_bytes,
                                        const HttpLimits& limits) {
  HttpReader reader(&limits);
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    std::string piece(bytes.substr(0, piece_bytes));
    bytes.remove_prefix(piece.size());
    std::span<char> chunk(piece);
    while (true) {
      const auto event = reader.next(chunk);
      if (event.type == HttpType::need_more) break;
      if (event.type == HttpType::failed) seen.push_back("!" + std::to_string(event.problem.status));
      if (event.type == HttpType::expect_continue) seen.push_back("100");
      if (event.type == HttpType::request) {
        const HttpRequest& r = reader.request();
        seen.push_back(r.method + " " + r.path + (r.query.empty() ? "" : "?" + r.query) +
                       (r.body.empty() ? "" : " " + r.body));
      }
    }
    EXPECT_TRUE(chunk.empty());
  }
  return seen;
}

std::vector<std::string> read(const std::string& bytes, const HttpLimits& limits = kLimits) {
  const auto seen = read_in_pieces(bytes, bytes.size() + 1, limits);
  for (const std::size_t piece : {1, 2, 3, 5, 17, 100}) {
    if (bytes.size() / piece > 20000) continue;
    EXPECT_EQ(read_in_pieces(bytes, piece, limits), seen) << "in pieces of " << piece;
  }
  return seen;
}

using Events = std::vector<std::string>;

Events get(const std::string& fields) { return read("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"); }
Events post(const std::string& fields, const std::string& body) {
  return read("POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body);
}
const Events kGet{"GET /"};
const Events kBad{"!400"};

HttpRequest request_of(std::string bytes) {
  HttpReader reader(&kLimits);
  std::span<char> chunk(bytes);
  EXPECT_EQ(reader.next(chunk).type, HttpType::request);
  return std::move(reader.request());
}

TEST(HttpReader, ReadsARequest) {
  const HttpRequest r = request_of(
      "GET /a%20b/c%2Fd?x=1&y=%20 HTTP/1.1\r\nHost: example.org:8080\r\nX-One:  first \t\r\nx-one: "
      "second\r\nEmpty:\r\n\r\n");
  EXPECT_EQ(r.method, "GET");
  EXPECT_EQ(r.target, "/a%20b/c%2Fd?x=1&y=%20");
  EXPECT_EQ(r.path, "/a b/c/d");
  EXPECT_EQ(r.raw_path(), "/a%20b/c%2Fd");
  EXPECT_EQ(r.query, "x=1&y=%20");
  EXPECT_EQ(r.version, 11);
  EXPECT_TRUE(r.keep_alive);
  EXPECT_FALSE(r.has_body);
  ASSERT_EQ(r.headers.size(), 4u);
  EXPECT_EQ(r.headers[1].name, "X-One");
  EXPECT_EQ(r.headers.find("X-ONE"), "first");
  EXPECT_EQ(r.headers.count("x-one"), 2u);
  EXPECT_EQ(r.headers.find("empty"), "");
  EXPECT_EQ(r.headers.find("absent"), std::nullopt);
}

TEST(HttpReader, ReadsABodyOfAKnownLength) {
  EXPECT_EQ(post("Content-Length: 5\r\n", "hello"), Events{"POST / hello"});
  EXPECT_EQ(post("Content-Length: 0\r\n", ""), Events{"POST /"});
  EXPECT_EQ(post("Content-Length: 005\r\n", "hello"), Events{"POST / hello"});
  EXPECT_EQ(post("Content-Length: 5\r\n", "hell"), Events{});
}

TEST(HttpReader, ReadsAChunkedBody) {
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6;ext=\"v\"\r\n world\r\n0\r\n\r\n"),
            Events{"POST / hello world"});
  EXPECT_EQ(post("Transfer-Encoding: Chunked\r\n", "A\r\n0123456789\r\n000\r\nTrailer: x\r\nOther:y\r\n\r\n"),
            Events{"POST / 0123456789"});
  EXPECT_EQ(post("transfer-encoding: chunked\r\n", "0\r\n\r\n"), Events{"POST /"});
}

TEST(HttpReader, LeavesWhatFollowsInTheChunk) {
  std::string bytes = "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80"s;
  HttpReader reader(&kLimits);
  std::span<char> chunk(bytes);
  EXPECT_EQ(reader.next(chunk).type, HttpType::request);
  EXPECT_EQ(std::string_view(chunk.data(), chunk.size()), "\x81\x80");
  EXPECT_FALSE(reader.in_request());
}

TEST(HttpReader, ReadsPipelinedRequests) {
  const std::string one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string two = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const std::string three =
      "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n";
  EXPECT_EQ(read(one + two + three + "\r\n" + one),
            (Events{"GET /1", "POST /2 abc", "POST /3 xy", "GET /1"}));
}

TEST(HttpReader, ForgivesOneEmptyLineBeforeARequest) {
  EXPECT_EQ(read("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), kGet);
  EXPECT_EQ(read("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), kBad);
  EXPECT_EQ(read("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), kBad);
}

TEST(HttpReader, KnowsWhetherARequestIsUnfinished) {
  HttpReader reader(&kLimits);
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
  EXPECT_FALSE(reader.in_request());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::span<char> chunk(bytes.data() + i, 1);
    reader.next(chunk);
    EXPECT_EQ(reader.in_request(), i + 1 < bytes.size());
  }
}

TEST(HttpReader, KeepsAConnectionAliveByVersionAndConnection) {
  EXPECT_TRUE(request_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n").keep_alive);
  EXPECT_FALSE(request_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(request_of("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(request_of("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
  EXPECT_FALSE(request_of("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
  EXPECT_EQ(request_of("GET / HTTP/1.0\r\n\r\n").version, 10);
}

TEST(HttpReader, AnswersALongRequestLineWith414) {
  const std::string line(8192 - 14, 'a');
  EXPECT_EQ(read("GET /" + line + " HTTP/1.1\r\nHost: a\r\n\r\n"), Events{"GET /" + line});
  EXPECT_EQ(read("GET /" + line + "a HTTP/1.1\r\nHost: a\r\n\r\n"), Events{"!414"});
  EXPECT_EQ(read("GET /" + std::string(100000, 'a')), Events{"!414"});
  EXPECT_EQ(read(std::string(100000, 'A')), Events{"!414"});
}

TEST(HttpReader, AnswersALongHeaderWith431) {
  const auto with = [](std::size_t bytes) {
    return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(bytes - 9 - 5, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(read(with(32768)), kGet);
  EXPECT_EQ(read(with(32769)), Events{"!431"});
  EXPECT_EQ(read(with(32770)), Events{"!431"});
  EXPECT_EQ(read(with(100000)), Events{"!431"});
  EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(100000, 'x')), Events{"!431"});
}

TEST(HttpReader, AnswersManyLinesWith431) {
  std::string lines;
  for (int i = 1; i < 100; ++i) lines += "X: y\r\n";
  EXPECT_EQ(get(lines), kGet);
  EXPECT_EQ(get(lines + "X: y\r\n"), Events{"!431"});
}

TEST(HttpReader, NamesACodeOnlyWhereTheProtocolHasOne) {
  const auto code_of = [](std::string bytes) {
    HttpReader reader(&kLimits);
    std::span<char> chunk(bytes);
    const auto event = reader.next(chunk);
    return std::to_string(event.problem.status) + " " + std::string(event.problem.code);
  };
  EXPECT_EQ(code_of("GET /" + std::string(9000, 'a')), "414 ");
  EXPECT_EQ(code_of("GET / HTTP/1.1\r\nX: " + std::string(40000, 'a')), "431 ");
  EXPECT_EQ(code_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"), "413 too_large");
  EXPECT_EQ(code_of("GET / HTTP/1.1\n"), "400 invalid_message");
}

TEST(HttpReader, KnowsTheOriginOfWhatItRefuses) {
  const auto origin_of = [](std::string bytes) {
    HttpReader reader(&kLimits);
    std::span<char> chunk(bytes);
    EXPECT_EQ(reader.next(chunk).type, HttpType::failed);
    const HttpHeaders& headers = reader.request().headers;
    return std::string(headers.find("Origin").value_or("none")) + " at " +
           std::string(headers.find("host").value_or("none"));
  };
  const std::string fields = "Host: a\r\norigin:  http://b \r\n";
  const std::string large = "X: " + std::string(40000, 'x') + "\r\n";
  const std::string known = "http://b at a";
  EXPECT_EQ(origin_of("GET / HTTP/1.1\r\n" + fields + large), known);
  EXPECT_EQ(origin_of("GET / HTTP/1.1\r\n" + large + fields + "\r\n"), known);
  EXPECT_EQ(origin_of("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + fields + "\r\n"), known);
  EXPECT_EQ(origin_of("GET /%zz HTTP/1.1\r\n" + fields + "\r\n"), known);
  EXPECT_EQ(origin_of("POST / HTTP/1.1\r\n" + fields + "Content-Length: 1001\r\n\r\n"), known);
  EXPECT_EQ(origin_of("GET / HTTP/1.1\r\n" + large), "none at none");
  EXPECT_EQ(origin_of("GET / HTTP/1.1\r\nX: y\r\n" + large + "\r\n" + fields), "none at none") << "the body";
}

TEST(HttpReader, SaysHowLargeABodyIsAnnounced) {
  EXPECT_EQ(request_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab").content_length, 2u);
  EXPECT_EQ(request_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
                .content_length,
            0u);
}

TEST(HttpReader, AnswersALargeBodyWith413AtOnce) {
  EXPECT_EQ(post("Content-Length: 1001\r\n", ""), Events{"!413"});
  EXPECT_EQ(post("Content-Length: 9999999999999999999\r\n", ""), Events{"!413"});
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "3E9\r\n"), Events{"!413"});
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "3E8\r\n" + std::string(1000, 'x') + "\r\n1\r\n"),
            Events{"!413"});
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFF\r\n"), Events{"!413"});
}

TEST(HttpReader, RefusesMalformedLines) {
  for (const std::string_view request : {"GET / HTTP/1.1\nHost: a\n\n",
                                         "GET / HTTP/1.1\r\nHost: a\n\r\n",
                                         "GET / HTTP/1.1\r\nHost: a\r\n\n",
                                         "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n",
                                         "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
                                         "GET /\r\nHost: a\r\n\r\n",
                                         "GET / HTTP/x.1\r\nHost: a\r\n\r\n",
                                         "GET / http/1.1\r\nHost: a\r\n\r\n",
                                         "GET\r\n\r\n",
                                         " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET /% HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
                                         "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "GET / HTTP/1.1\r\n Host: a\r\n\r\n"})
    EXPECT_EQ(read(std::string(request)), kBad) << request;
}

TEST(HttpReader, RefusesMalformedFields) {
  for (const std::string_view field :
       {"X : y\r\n", ": y\r\n", "X\r\n", "X y: z\r\n", "X: a\r\n folded\r\n", "X: a\r\n\tfolded\r\n",
        "X:\r\n \r\n", "X: \x01\r\n", "X: \x7F\r\n", "X\xC3: y\r\n", "X: a\rb\r\n", "(X): y\r\n",
        "Host: b\r\n", "host: a\r\n"})
    EXPECT_EQ(get(std::string(field)), kBad) << field;
  EXPECT_EQ(get("X: a\0b\r\n"s), kBad);
  EXPECT_EQ(get("X\0: b\r\n"s), kBad);
  EXPECT_EQ(get("X: caf\xC3\xA9\r\n"), kGet);
}

TEST(HttpReader, WantsExactlyOneHost) {
  EXPECT_EQ(read("GET / HTTP/1.1\r\n\r\n"), kBad);
  EXPECT_EQ(read("GET / HTTP/1.0\r\n\r\n"), kGet);
  EXPECT_EQ(read("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), kBad);
  for (const std::string_view host : {"a, b", "a/b", "a b", "user@a", "a?b", "a\"b"})
    EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), kBad) << host;
  for (const std::string_view host : {"", "a:80", "[::1]:80", "xn--a.example"})
    EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), kGet) << host;
}

TEST(HttpReader, TakesTheAbsoluteFormOfItsOwnHost) {
  EXPECT_EQ(read("GET http://A.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n"), Events{"GET /x?y"});
  EXPECT_EQ(read("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), Events{"GET /"});
  EXPECT_EQ(read("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n"), Events{"GET /?q"});
  EXPECT_EQ(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Events{"OPTIONS *"});
}

TEST(HttpReader, RefusesLengthsThatTwoServersCouldReadDifferently) {
  for (const std::string_view fields : {"Content-Length: 5\r\nContent-Length: 5\r\n",
                                        "Content-Length: 5\r\nContent-Length: 6\r\n",
                                        "Content-Length: 5, 5\r\n",
                                        "Content-Length: +5\r\n",
                                        "Content-Length: -5\r\n",
                                        "Content-Length: 0x5\r\n",
                                        "Content-Length: 5 5\r\n",
                                        "Content-Length: \r\n",
                                        "Content-Length: 5a\r\n",
                                        "Content-Length: 18446744073709551621\r\n",
                                        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                                        "Transfer-Encoding: chunked, chunked\r\n",
                                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: chunked, gzip\r\n",
                                        "Transfer-Encoding: \r\n",
                                        "Transfer-Encoding: chunked,\r\n",
                                        "Transfer-Encoding: , chunked\r\n",
                                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n",
                                        "Transfer-Encoding : chunked\r\n",
                                        "Transfer-Encoding: chunked\r\n , gzip\r\n",
                                        "Transfer-Encoding: \x0B"
                                        "chunked\r\n"})
    EXPECT_EQ(post(std::string(fields), ""), kBad) << fields;
  EXPECT_EQ(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), kBad);
}

TEST(HttpReader, AnswersOtherTransferCodingsWith501) {
  for (const std::string_view coding :
       {"gzip", "gzip, chunked", "identity", "xchunked", "chunked;q=1", "\"chunked\""})
    EXPECT_EQ(post("Transfer-Encoding: " + std::string(coding) + "\r\n", ""), Events{"!501"}) << coding;
  EXPECT_EQ(post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", ""), Events{"!501"});
}

TEST(HttpReader, RefusesBadChunks) {
  for (const std::string_view body : {"\r\n",
                                      "x\r\n",
                                      "-1\r\n",
                                      "+1\r\na\r\n",
                                      "0x1\r\na\r\n",
                                      "1 \r\na\r\n",
                                      " 1\r\na\r\n",
                                      "1\na\r\n",
                                      "1\r\nab\r\n",
                                      "1\r\na\n",
                                      "1\r\na\r\r\n",
                                      "1\r\naX\n",
                                      "10000000000000000\r\n",
                                      "1;\x01\r\na",
                                      ";x\r\n",
                                      "0\r\nbad trailer\r\n\r\n",
                                      "0\r\nX : y\r\n\r\n",
                                      "0\r\n folded: x\r\n\r\n",
                                      "0\r\nX: \x01\r\n\r\n",
                                      "0\r\n\n",
                                      "1\r\na\rb\n"})
    EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", std::string(body)), kBad) << body;
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "1;" + std::string(300, 'x') + "\r\na\r\n"), kBad);
}

TEST(HttpReader, BoundsExtensionsAndTrailers) {
  std::string body, trailers;
  for (int i = 0; i < 100; ++i) body += "1;" + std::string(200, 'x') + "\r\na\r\n";
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", body), kBad);
  for (int i = 0; i < 101; ++i) trailers += "X: y\r\n";
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "0\r\n" + trailers), Events{"!431"});
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "0\r\nX: " + std::string(40000, 'x')), Events{"!431"});
}

TEST(HttpReader, AnswersOtherVersionsWith505) {
  for (const std::string_view version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"})
    EXPECT_EQ(read("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n"), Events{"!505"}) << version;
  EXPECT_EQ(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Events{"!505"});
}

TEST(HttpReader, SaysWhenTheClientWaitsForContinue) {
  HttpReader reader(&kLimits);
  std::string head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  std::string body = "ab";
  std::span<char> chunk(head);
  EXPECT_EQ(reader.next(chunk).type, HttpType::expect_continue);
  EXPECT_EQ(reader.next(chunk).type, HttpType::need_more);
  chunk = body;
  EXPECT_EQ(reader.next(chunk).type, HttpType::request);
  EXPECT_EQ(reader.request().body, "ab");
}

TEST(HttpReader, DoesNotAskForABodyThatIsHereOrTooLarge) {
  std::string both = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab";
  EXPECT_EQ(read_in_pieces(both, 1000, kLimits), Events{"POST / ab"});
  EXPECT_EQ(get("Expect: 100-continue\r\n"), kGet);
  EXPECT_EQ(post("Expect: 100-continue\r\nContent-Length: 5000\r\n", ""), Events{"!413"});
  EXPECT_EQ(get("Expect: something\r\n"), Events{"!417"});
  EXPECT_EQ(read("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"),
            Events{"POST / a"});
}

TEST(HttpReader, ReadsNothingBehindAProblem) {
  EXPECT_EQ(read("BAD\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), kBad);
}

TEST(HttpHeaders, SplitsListsOverSeveralFields) {
  HttpHeaders headers;
  headers.add("Connection", "a, ,b ,");
  headers.add("connection", "\tUpgrade");
  EXPECT_EQ(headers.elements("CONNECTION"), (std::vector<std::string_view>{"a", "b", "Upgrade"}));
  EXPECT_TRUE(headers.has_element("Connection", "upgrade"));
  EXPECT_FALSE(headers.has_element("Connection", "up"));
}

}  // namespace
}  // namespace tidewire::wire
