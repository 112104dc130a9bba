#include "telemetry/redact.h"

#include <gtest/gtest.h>

namespace tidewire::log {
namespace {

TEST(Redact, TakesTheTokenOutOfAQuery) {
  EXPECT_EQ(redact("/ws?token=abc.def.ghi"), "/ws?token=***");
  EXPECT_EQ(redact("/ws?inbox=manual&token=abc&accept=br"), "/ws?inbox=manual&token=***&accept=br");
  EXPECT_EQ(redact("GET /sse?channels=a&token=abc HTTP/1.1"), "GET /sse?channels=a&token=*** HTTP/1.1");
  EXPECT_EQ(redact("token=abc"), "token=***");
  EXPECT_EQ(redact("https://host/x?api_key=k&secret=s#token=t"),
            "https://host/x?api_key=***&secret=***#token=***");
}

TEST(Redact, SeesThroughPercentEncodingAndCase) {
  EXPECT_EQ(redact("/ws?%74oken=abc"), "/ws?%74oken=***");
  EXPECT_EQ(redact("/ws?TO%4Ben=abc&x=1"), "/ws?TO%4Ben=***&x=1");
}

TEST(Redact, LeavesOtherParametersAlone) {
  EXPECT_EQ(redact("/sse?channels=token,key&mytoken=1&token"), "/sse?channels=token,key&mytoken=1&token");
  EXPECT_EQ(redact("/ws?token="), "/ws?token=");
}

TEST(Redact, TakesTheValueOutOfSecretHeaders) {
  EXPECT_EQ(redact("Authorization: Bearer abc"), "Authorization: ***");
  EXPECT_EQ(redact("authorization:Basic dXNlcjpwYXNz\r\nHost: x"), "authorization:***\r\nHost: x");
  EXPECT_EQ(redact("X-API-Key: tw_live_1\r\nCookie: a=b; c=d"), "X-API-Key: ***\r\nCookie: ***");
  EXPECT_EQ(redact("Authorization : Bearer x"), "Authorization : ***");
  EXPECT_EQ(redact("Host: authorization.example"), "Host: authorization.example");
}

TEST(Redact, TakesOutCredentialsWhereverTheyStand) {
  EXPECT_EQ(redact("bad credential Bearer abc.def, try again"), "bad credential Bearer ***, try again");
  EXPECT_EQ(redact("tidewire.v1, tidewire.token.abc.def.ghi"), "tidewire.v1, tidewire.token.***");
  EXPECT_EQ(redact("key tw_live_12345 used"), "key tw_*** used");
  EXPECT_EQ(redact("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"), "got ***");
}

TEST(Redact, TakesThePasswordOutOfAnAddress) {
  EXPECT_EQ(redact("redis://user:p@ss@host:6379/0"), "redis://user:***@host:6379/0");
  EXPECT_EQ(redact("postgres://u:p?a#b@host/db"), "postgres://u:***@host/db");
  EXPECT_EQ(redact(R"("postgres://u:p\"w@host/db" # x)"), R"("postgres://u:***@host/db" # x)");
  EXPECT_EQ(redact("https://host:8443/a:b@c"), "https://host:8443/a:b@c");
}

TEST(Redact, TakesEveryValueOutOfTheQueryOfAUrl) {
  EXPECT_EQ(redact("https://host/j?apikey=k&v=1#frag"), "https://host/j?apikey=***&v=***#***");
  EXPECT_EQ(redact("postgres:///db?user=u&sslpassword=p&password=q"),
            "postgres:///db?user=***&sslpassword=***&password=***");
  EXPECT_EQ(redact("https://host/j?k3y"), "https://host/j?***");
  EXPECT_EQ(redact("https://host?a=b?c=d&&e="), "https://host?a=***?c=***&&e=");
  EXPECT_EQ(redact(R"(url="https://host/j?a=x\"y'z" status=404 ?a=b)"),
            R"(url="https://host/j?a=***" status=404 ?a=b)");
  EXPECT_EQ(redact("host=h sslpassword=p"), "host=h sslpassword=***");
}

TEST(Redact, KeepsTextWithoutSecrets) {
  EXPECT_EQ(redact(""), "");
  EXPECT_EQ(redact("room:42 opened by 127.0.0.1:9000"), "room:42 opened by 127.0.0.1:9000");
  EXPECT_EQ(redact("100%"), "100%");
  EXPECT_EQ(redact("%=%4=%zz=1"), "%=%4=%zz=1");
}

TEST(Redact, IsIdempotent) {
  for (const char* text : {"/ws?token=abc", "Authorization: Bearer abc", "redis://u:p@h", "x tw_1 y", "://:@",
                           "a://b?c=d&e#f\\"}) {
    const std::string once = redact(text);
    EXPECT_EQ(redact(once), once) << text;
  }
}

}  // namespace
}  // namespace tidewire::log
