#include "config/address.h"

#include <gtest/gtest.h>

namespace tidewire::config {
namespace {

TEST(ListenAddress, IsTakenApart) {
  EXPECT_EQ(parse_listen_address("127.0.0.1:8080").value(), (ListenAddress{"127.0.0.1", 8080, true}));
  EXPECT_EQ(parse_listen_address("0.0.0.0:0").value(), (ListenAddress{"0.0.0.0", 0, false}));
  EXPECT_EQ(parse_listen_address("[::1]:65535").value(), (ListenAddress{"::1", 65535, true}));
  EXPECT_EQ(parse_listen_address("[::]:80").value(), (ListenAddress{"::", 80, false}));
  EXPECT_EQ(parse_listen_address("localhost:80").value(), (ListenAddress{"127.0.0.1", 80, true}));
  EXPECT_EQ(parse_listen_address("[::ffff:127.0.0.1]:80").value(),
            (ListenAddress{"::ffff:127.0.0.1", 80, true}));
  for (const char* text : {"1.2.3.4.5:80", "[127.0.0.1]:80", "::1:80", "[localhost]:80", "example.com:80",
                           ":80", "[]:80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1"})
    EXPECT_FALSE(parse_listen_address(text).has_value()) << text;
}

TEST(LoopbackUrl, IsJudgedByItsHostAlone) {
  EXPECT_TRUE(is_loopback_url("http://127.0.0.1:80/x"));
  EXPECT_TRUE(is_loopback_url("http://[::1]/x"));
  EXPECT_FALSE(is_loopback_url("http://evil.example/127.0.0.1"));
  EXPECT_FALSE(is_loopback_url("http://127.0.0.1@evil.example"));
  EXPECT_FALSE(is_loopback_url("http://evil.example\\@127.0.0.1/"));
  EXPECT_FALSE(is_loopback_url("127.0.0.1"));
  EXPECT_FALSE(is_loopback_url("http://[::1"));
}

TEST(HttpUrl, NeedsAHostAndAPortThatCanBe) {
  for (const char* url :
       {"https://id.example", "https://id.example/jwks?a=b#c", "https://user:p%40ss@id.example:8443/x",
        "http://127.0.0.1:1/", "https://[2001:db8::1]:443/x", "https://[fe80::1%25eth0]/",
        "https://xn--grn-ioa.example./", "https://grün.example", "https://auth_service:65535/", "https://h:/",
        "https://3com.example", "https://h?x", "https://h/a:b@c"})
    EXPECT_TRUE(check_http_url(url).has_value()) << url << ": " << check_http_url(url).error();
  for (const char* url : {"https://",
                          "https:///jwks",
                          "https://?x",
                          "https://:443/",
                          "https://user@/x",
                          "https://h:0/",
                          "https://h:65536/",
                          "https://h:99999999999/",
                          "https://h:80a/",
                          "https://h:-1/",
                          "https://h: 80/",
                          "https://a:b:80/",
                          "https://::1/",
                          "https://[::1/",
                          "https://[]/",
                          "https://[::zz]/",
                          "https://[127.0.0.1]/",
                          "https://[::1]80/",
                          "https://a..b/",
                          "https://.a/",
                          "https://a b/",
                          "https://a,b/",
                          "https://a\\b/",
                          "https://256.1.1.1/",
                          "https://1.2.3/",
                          "https://7/",
                          "https://id.example/j wks",
                          "https://<host>/",
                          "https://{tenant}/"})
    EXPECT_FALSE(check_http_url(url).has_value()) << url;
  EXPECT_FALSE(check_http_url("https://" + std::string(64, 'a') + "/").has_value());
}

TEST(HttpUrl, RepeatsItsHostOrPortUnlessThatMayBePartOfAPassword) {
  EXPECT_EQ(check_http_url("https://h:65536/").error(), "has a port that is none from 1 to 65535: 65536");
  EXPECT_EQ(check_http_url("https://ada:hunter2@a..b/").error(), "has a host that can't be one: a..b");
  EXPECT_EQ(check_http_url("https://[h]/").error(), "has no IPv6 address in its brackets: [h]");
  for (const char* url :
       {"https://ada:Geheim1/23@dir.example/", "https://ada:65536?23@dir.example/",
        "https://ada:Geheim#x@dir.example/", "https://ada:Geheim/23@dir.example:443/", "https://ada:Geheim1/",
        "https://Geheim$1/23:x@dir.example/", "https://[Geheim]/x@dir.example/",
        "https://ada:x@Geheim$1/2@dir/", "https://u:hunter2@h:Geheim/"}) {
    const auto checked = check_http_url(url);
    ASSERT_FALSE(checked.has_value()) << url;
    EXPECT_EQ(checked.error().find("Geheim"), std::string::npos) << checked.error();
    EXPECT_EQ(checked.error().find("65536"), std::string::npos) << checked.error();
    EXPECT_NE(checked.error().find("percent-encoded"), std::string::npos) << checked.error();
  }
}

}  // namespace
}  // namespace tidewire::config
