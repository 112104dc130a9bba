#include "net/socket_address.h"

#include <gtest/gtest.h>

namespace tidewire::net {
namespace {

TEST(SocketAddress, PrintsWhatItParses) {
  for (const char* text :
       {"127.0.0.1:8080", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:1", "[2001:db8::5]:443"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(SocketAddress::parse("localhost:99")->to_string(), "127.0.0.1:99");
  EXPECT_EQ(SocketAddress::parse("[::ffff:10.0.0.7]:1")->to_string(), "10.0.0.7:1");
}

TEST(SocketAddress, RefusesWhatIsNoAddressWithPort) {
  for (const char* text : {"",
                           ":",
                           ":80",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:x",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:80 ",
                           "127.0.0.1:+80",
                           "[127.0.0.1]:80",
                           "::1:80",
                           "[::1:80",
                           "[::1]",
                           "[]:80",
                           "1.2.3:80",
                           "1.2.3.4.5:80",
                           "example.org:80",
                           "[localhost]:80",
                           "LOCALHOST:80",
                           "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:80"})
    EXPECT_FALSE(SocketAddress::parse(text).has_value()) << text;
  EXPECT_FALSE(SocketAddress::parse(std::string_view("127.0.0.1\0:80", 13)).has_value());
}

TEST(SocketAddress, KnowsLoopback) {
  EXPECT_TRUE(SocketAddress::parse("127.9.9.9:1")->is_loopback());
  EXPECT_TRUE(SocketAddress::parse("[::1]:1")->is_loopback());
  EXPECT_TRUE(SocketAddress::parse("[::ffff:127.0.0.1]:1")->is_loopback());
  EXPECT_FALSE(SocketAddress::parse("128.0.0.1:1")->is_loopback());
  EXPECT_FALSE(SocketAddress::parse("[::2]:1")->is_loopback());
}

TEST(SocketAddress, TellsPublicAddressesFromAllOthers) {
  for (const char* ip : {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
                         "172.15.0.1", "172.32.0.1", "192.167.1.1", "192.169.1.1", "223.255.255.255",
                         "2606:4700::1111", "2a00::1", "64:ff9b::1.1.1.1", "2002:101:101::1"})
    EXPECT_TRUE(SocketAddress::parse_ip(ip, 0)->is_public()) << ip;
  for (const char* ip :
       {"0.0.0.0",         "0.1.2.3",       "10.1.2.3",        "100.64.0.1",   "127.0.0.1",
        "169.254.169.254", "172.16.0.1",    "172.31.255.255",  "192.0.0.1",    "192.0.2.1",
        "192.168.0.1",     "198.18.0.1",    "198.19.255.255",  "198.51.100.1", "203.0.113.1",
        "224.0.0.1",       "240.0.0.1",     "255.255.255.255", "::",           "::1",
        "::ffff:10.0.0.1", "::10.0.0.1",    "fc00::1",         "fd12::1",      "fe80::1",
        "fec0::1",         "ff02::1",       "2001:db8::1",     "2001::1",      "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",    "2002:a00:1::1", "3fff::1"})
    EXPECT_FALSE(SocketAddress::parse_ip(ip, 0)->is_public()) << ip;
}

TEST(SocketAddress, GivesOneKeyPerClient) {
  EXPECT_EQ(SocketAddress::parse("10.0.0.7:1")->ip_bytes(),
            SocketAddress::parse("[::ffff:10.0.0.7]:2")->ip_bytes());
  EXPECT_EQ(*SocketAddress::parse("10.0.0.7:1"), SocketAddress::parse("10.0.0.7:2")->with_port(1));
  EXPECT_NE(*SocketAddress::parse("10.0.0.7:1"), *SocketAddress::parse("10.0.0.8:1"));
}

}  // namespace
}  // namespace tidewire::net
