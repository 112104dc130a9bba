#include "wire/handshake.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidewire::wire {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields kUpgrade{{"Host", "server.example.com"},
                      {"Upgrade", "websocket"},
                      {"Connection", "Upgrade"},
                      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                      {"Sec-WebSocket-Version", "13"}};

HttpRequest request(const Fields& fields) {
  HttpRequest out;
  out.method = "GET";
  out.target = out.path = "/ws";
  for (const auto& [name, value] : fields) out.headers.add(name, value);
  return out;
}
// The usual upgrade with one field replaced, or left out where `value` is empty.
HttpRequest with(const std::string& name, const std::string& value) {
  Fields fields;
  bool found = false;
  for (auto field : kUpgrade) {
    if (field.first == name) {
      found = true;
      if (value.empty()) continue;
      field.second = value;
    }
    fields.push_back(field);
  }
  if (!found) fields.emplace_back(name, value);
  return request(fields);
}
HttpRequest doubled(const std::string& name, const std::string& value) {
  Fields fields = kUpgrade;
  fields.emplace_back(name, value);
  fields.emplace_back(name, value);
  return request(fields);
}
int status(const HttpRequest& r) {
  const auto result = check_upgrade(r);
  return result ? 101 : result.error().status;
}
std::string field_of(const HttpRequest& r, std::string_view name) {
  const auto result = check_upgrade(r);
  if (!result)
    for (const HttpField& field : result.error().fields)
      if (field.name == name) return std::string(field.value);
  return "";
}

// RFC 6455 §1.3.
TEST(Handshake, AnswersTheExampleOfTheRfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(write_upgrade_response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "chat", ""),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
  EXPECT_EQ(write_upgrade_response("a", "", "permessage-deflate"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
}

TEST(Handshake, TakesAnUpgrade) {
  Fields fields = kUpgrade;
  fields.emplace_back("Origin", "https://a.example");
  fields.emplace_back("Sec-WebSocket-Protocol", "tidewire.v1, tidewire.token.a.b-c_d");
  fields.emplace_back("sec-websocket-protocol", "third");
  fields.emplace_back("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
  fields.emplace_back("Sec-WebSocket-Extensions", "x");
  const HttpRequest r = request(fields);
  const auto upgrade = check_upgrade(r);
  ASSERT_TRUE(upgrade);
  EXPECT_EQ(upgrade->key, "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(upgrade->subprotocols,
            (std::vector<std::string_view>{"tidewire.v1", "tidewire.token.a.b-c_d", "third"}));
  EXPECT_EQ(upgrade->extensions, "permessage-deflate; client_max_window_bits, x");
}

TEST(Handshake, ComparesTokensWithoutCase) {
  EXPECT_EQ(status(with("Upgrade", "WebSocket")), 101);
  EXPECT_EQ(status(with("Upgrade", "h2c, websocket")), 101);
  EXPECT_EQ(status(with("Connection", "keep-alive, UPGRADE")), 101);
}

TEST(Handshake, AnswersOtherMethodsWith405) {
  HttpRequest post = request(kUpgrade);
  post.method = "POST";
  EXPECT_EQ(status(post), 405);
  EXPECT_EQ(field_of(post, "Allow"), "GET");
  post.method = "get";
  EXPECT_EQ(status(post), 405);
}

TEST(Handshake, AnswersWhatIsNoUpgradeWith426) {
  for (const auto& [name, value] : Fields{{"Upgrade", ""},
                                          {"Upgrade", "h2c"},
                                          {"Upgrade", "websocket2"},
                                          {"Connection", ""},
                                          {"Connection", "close"},
                                          {"Sec-WebSocket-Version", ""},
                                          {"Sec-WebSocket-Version", "8"},
                                          {"Sec-WebSocket-Version", "013"},
                                          {"Sec-WebSocket-Version", "13, 8"}}) {
    const HttpRequest r = with(name, value);
    EXPECT_EQ(status(r), 426) << name << ": " << value;
    EXPECT_EQ(field_of(r, "Upgrade"), "websocket");
    EXPECT_EQ(field_of(r, "Sec-WebSocket-Version"), "13");
  }
  HttpRequest old = request(kUpgrade);
  old.version = 10;
  EXPECT_EQ(status(old), 426);
  EXPECT_EQ(status(request({{"Host", "a"}})), 426);
}

TEST(Handshake, RefusesDoubledFields) {
  EXPECT_EQ(status(doubled("Host", "a")), 400);
  EXPECT_EQ(status(doubled("Origin", "http://a")), 400);
  EXPECT_EQ(status(doubled("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")), 400);
  EXPECT_EQ(status(doubled("Sec-WebSocket-Version", "13")), 400);
}

TEST(Handshake, WantsAKeyOf16Bytes) {
  for (const std::string_view key :
       {"", "x", "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQ=a",
        "dGhl IHNhbXBsZSBub25jZ==", "dGhlIHNhbXBsZSBub25j-_==", "dGhlIHNhbXBsZSBub25jZQaa"})
    EXPECT_EQ(status(with("Sec-WebSocket-Key", std::string(key))), 400) << key;
}

TEST(Handshake, RefusesABodyAndBadSubprotocols) {
  HttpRequest body = request(kUpgrade);
  body.has_body = true;
  EXPECT_EQ(status(body), 400);
  EXPECT_EQ(status(with("Sec-WebSocket-Protocol", "a b")), 400);
  EXPECT_EQ(status(with("Sec-WebSocket-Protocol", "a, \"b\"")), 400);
  EXPECT_EQ(status(with("Host", "")), 400);
}

bool allowed(std::optional<std::string_view> origin, std::vector<std::string> list,
             std::string_view host = "a.example", bool tls = true) {
  return origin_allowed(origin, host, tls, list);
}

TEST(Origin, OfNoBrowserPasses) {
  EXPECT_TRUE(allowed(std::nullopt, {}));
  EXPECT_TRUE(allowed(std::nullopt, {"https://b.example"}));
}

TEST(Origin, MustBeOnTheList) {
  EXPECT_FALSE(allowed("https://a.example", {}));
  EXPECT_TRUE(allowed("https://a.example", {"https://a.example"}));
  EXPECT_TRUE(allowed("https://A.Example", {"https://a.example"}));
  EXPECT_TRUE(allowed("https://a.example:443", {"https://a.example"}));
  EXPECT_TRUE(allowed("https://a.example", {"https://a.example:443"}));
  EXPECT_TRUE(allowed("http://a.example:80", {"x", "http://a.example"}));
  EXPECT_FALSE(allowed("http://a.example", {"https://a.example"}));
  EXPECT_FALSE(allowed("https://a.example:8443", {"https://a.example"}));
  EXPECT_FALSE(allowed("https://a.example.evil.example", {"https://a.example"}));
  EXPECT_FALSE(allowed("https://evila.example", {"https://a.example"}));
  EXPECT_TRUE(allowed("chrome-extension://abc", {"chrome-extension://abc"}));
}

TEST(Origin, OfAnyPagePassesWithAStar) {
  EXPECT_TRUE(allowed("https://anything.example", {"*"}));
  EXPECT_TRUE(allowed("file://", {"*"}));
}

TEST(Origin, NullPassesOnlyWhenItIsNamed) {
  EXPECT_FALSE(allowed("null", {"*"}));
  EXPECT_FALSE(allowed("null", {"same-host"}));
  EXPECT_TRUE(allowed("null", {"null"}));
}

TEST(Origin, OfTheSameHostPasses) {
  EXPECT_TRUE(allowed("https://a.example", {"same-host"}));
  EXPECT_TRUE(allowed("https://a.example", {"same-host"}, "A.example:443"));
  EXPECT_FALSE(allowed("http://a.example", {"same-host"}));
  EXPECT_TRUE(allowed("http://a.example:8080", {"same-host"}, "a.example:8080", false));
  EXPECT_FALSE(allowed("http://a.example:8081", {"same-host"}, "a.example:8080", false));
  EXPECT_TRUE(allowed("http://[::1]:8080", {"same-host"}, "[::1]:8080", false));
  EXPECT_FALSE(allowed("http://[::1]:8080", {"same-host"}, "[::2]:8080", false));
  EXPECT_FALSE(allowed("http://", {"same-host"}, "", false));
}

TEST(Origin, ThatIsMalformedDoesNotPass) {
  for (const std::string_view origin :
       {"", "a.example", "https:/a.example", "https://", "https://a.example/", "https://a.example:x",
        "https://a.example:99999", "https://user@a.example", "https://[::1", "https://[::1]x", "://a.example",
        "https://a.example https://b.example"})
    EXPECT_FALSE(allowed(origin, {"https://a.example", "same-host", ""})) << origin;
}

}  // namespace
}  // namespace tidewire::wire
