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
  EXPECT_FALSE(parse_listen_address("1.2.3.4.5:80").has_value());
}

TEST(Network, HoldsTheAddressesUnderItsPrefix) {
  const Network ten = parse_network("10.0.0.0/8").value();
  EXPECT_TRUE(ten.contains("10.255.1.2"));
  EXPECT_TRUE(ten.contains("::ffff:10.1.2.3"));
  EXPECT_FALSE(ten.contains("11.0.0.1"));
  EXPECT_FALSE(ten.contains("::1"));
  EXPECT_FALSE(ten.contains("ten"));
  const Network odd = parse_network("192.168.4.0/22").value();
  EXPECT_TRUE(odd.contains("192.168.7.255"));
  EXPECT_FALSE(odd.contains("192.168.8.0"));
  EXPECT_TRUE(parse_network("fe80::/10").value().contains("febf::1"));
  EXPECT_FALSE(parse_network("fe80::/10").value().contains("fec0::1"));
  EXPECT_TRUE(parse_network("::1").value().contains("0:0:0:0:0:0:0:1"));
  EXPECT_TRUE(parse_network("0.0.0.0/0").value().contains("8.8.8.8"));
  EXPECT_FALSE(parse_network("0.0.0.0/0").value().contains("2001:db8::1"));
}

TEST(Network, RefusesWhatIsNone) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/129",
                           "10.0.0/8", "example.com"})
    EXPECT_FALSE(parse_network(text).has_value()) << text;
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
