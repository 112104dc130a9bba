#include "guard/client_address.h"

#include <gtest/gtest.h>

namespace tidewire::guard {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

std::string client(std::string_view peer, std::vector<std::string_view> lines,
                   std::vector<std::string_view> proxies = {"10.0.0.0/8", "::1", "2001:db8:f::/48"}) {
  std::vector<IpPrefix> trusted;
  for (const std::string_view proxy : proxies) trusted.push_back(IpPrefix::parse(proxy).value());
  return client_address(ip(peer), lines, trusted).text();
}

TEST(ClientAddress, IsThePeerWithoutAHeader) {
  EXPECT_EQ(client("9.9.9.9", {}), "9.9.9.9");
  EXPECT_EQ(client("10.0.0.1", {}), "10.0.0.1");
}

TEST(ClientAddress, BelievesTrustedProxiesOnly) {
  EXPECT_EQ(client("9.9.9.9", {"1.2.3.4"}), "9.9.9.9");
  EXPECT_EQ(client("10.0.0.1", {"1.2.3.4"}), "1.2.3.4");
  EXPECT_EQ(client("10.0.0.1", {"1.2.3.4"}, {}), "10.0.0.1");
}

TEST(ClientAddress, IsTheRightMostThatIsNotTrusted) {
  EXPECT_EQ(client("10.0.0.1", {"6.6.6.6, 1.2.3.4, 10.0.0.2,10.0.0.3"}), "1.2.3.4");
  EXPECT_EQ(client("::1", {"6.6.6.6,2001:db8::7 ,\t2001:db8:f::1"}), "2001:db8::7");
}

TEST(ClientAddress, JoinsSeveralLinesInTheirOrder) {
  EXPECT_EQ(client("10.0.0.1", {"6.6.6.6", "1.2.3.4", "10.0.0.2"}), "1.2.3.4");
  EXPECT_EQ(client("10.0.0.1", {"6.6.6.6, 1.2.3.4", "10.0.0.2, 10.0.0.3"}), "1.2.3.4");
}

TEST(ClientAddress, TakesPorts) {
  EXPECT_EQ(client("10.0.0.1", {"6.6.6.6, [2001:db8::7]:4711, 10.0.0.2:80"}), "2001:db8::7");
  EXPECT_EQ(client("10.0.0.1", {"1.2.3.4:5"}), "1.2.3.4");
}

TEST(ClientAddress, EndsAtGarbageWithTheProxyThatWroteIt) {
  EXPECT_EQ(client("10.0.0.1", {"1.2.3.4, unknown"}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {"1.2.3.4, <script>, 10.0.0.2"}), "10.0.0.2");
  EXPECT_EQ(client("10.0.0.1", {"1.2.3.4", "1.2.3.4.5"}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {std::string_view("\xff\0\x01", 3)}), "10.0.0.1");
}

TEST(ClientAddress, SkipsEmptyEntries) {
  EXPECT_EQ(client("10.0.0.1", {"", ", 1.2.3.4 ,, ", ""}), "1.2.3.4");
  EXPECT_EQ(client("10.0.0.1", {",,,", " "}), "10.0.0.1");
}

TEST(ClientAddress, IsTheLeftMostWhereAllAreTrusted) {
  EXPECT_EQ(client("10.0.0.1", {"10.0.0.4, 10.0.0.3", "10.0.0.2"}), "10.0.0.4");
}

TEST(ClientAddress, SeesAMappedPeerAsIpv4) {
  EXPECT_EQ(client("::ffff:10.0.0.1", {"::ffff:1.2.3.4"}), "1.2.3.4");
}

}  // namespace
}  // namespace tidewire::guard
