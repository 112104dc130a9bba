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

}  // namespace
}  // namespace tidewire::config
