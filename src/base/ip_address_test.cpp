#include "base/ip_address.h"

#include <gtest/gtest.h>

namespace tidewire {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(IpAddress, ParsesAndWritesBothFamilies) {
  for (const char* text : {"0.0.0.0", "1.2.3.4", "255.255.255.255", "::1", "2001:db8::1", "fe80::1"}) {
    ASSERT_TRUE(IpAddress::parse(text)) << text;
    EXPECT_EQ(ip(text).text(), text);
  }
  EXPECT_EQ(ip("2001:0DB8:0:0::0001").text(), "2001:db8::1");
}

TEST(IpAddress, TakesAMappedAddressAsIpv4) {
  EXPECT_EQ(ip("::ffff:1.2.3.4"), ip("1.2.3.4"));
  EXPECT_EQ(ip("::ffff:102:304").text(), "1.2.3.4");
  EXPECT_TRUE(ip("::ffff:1.2.3.4").is_v4());
  EXPECT_FALSE(ip("::1.2.3.4").is_v4());
  const std::uint8_t v4[4] = {1, 2, 3, 4};
  EXPECT_EQ(IpAddress::from_v4(v4), ip("1.2.3.4"));
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, " "sv, "1.2.3"sv, "1.2.3.4.5"sv, "1.2.3.256"sv, "01.2.3.4"sv, "1.2.3.4 "sv, "::1%eth0"sv,
        "[::1]"sv, "1.2.3.4:5"sv, "g::1"sv, "1::2::3"sv, "localhost"sv, "1.2.3.4\0x"sv, "0x1.2.3.4"sv,
        "-1.2.3.4"sv, "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"sv}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, ParsesWhatProxiesWrite) {
  EXPECT_EQ(IpAddress::parse_with_port("1.2.3.4:5"), ip("1.2.3.4"));
  EXPECT_EQ(IpAddress::parse_with_port("1.2.3.4"), ip("1.2.3.4"));
  EXPECT_EQ(IpAddress::parse_with_port("[::1]:65535"), ip("::1"));
  EXPECT_EQ(IpAddress::parse_with_port("[2001:db8::1]"), ip("2001:db8::1"));
  EXPECT_EQ(IpAddress::parse_with_port("2001:db8::1"), ip("2001:db8::1"));
  EXPECT_EQ(IpAddress::parse_with_port("[::ffff:1.2.3.4]:80"), ip("1.2.3.4"));
  for (const char* text : {"1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "1.2.3.4:-1", "[::1", "[::1]x", "[::1]:",
                           "[]", "[1.2.3.4]", "unknown", "_hidden", ":80", "1.2.3.4:80:90", "\"1.2.3.4\""}) {
    EXPECT_FALSE(IpAddress::parse_with_port(text)) << text;
  }
}

TEST(IpAddress, CountsIpv6ByItsNetwork) {
  EXPECT_EQ(ip("2001:db8:1:2:3:4:5:6").site(), ip("2001:db8:1:2::"));
  EXPECT_EQ(ip("1.2.3.4").site(), ip("1.2.3.4"));
}

TEST(IpAddress, KnowsLoopback) {
  EXPECT_TRUE(ip("127.9.9.9").is_loopback());
  EXPECT_TRUE(ip("::1").is_loopback());
  EXPECT_FALSE(ip("128.0.0.1").is_loopback());
  EXPECT_FALSE(ip("::2").is_loopback());
}

TEST(IpAddress, HashesBySeed) {
  EXPECT_EQ(ip("1.2.3.4").hash(1), ip("1.2.3.4").hash(1));
  EXPECT_NE(ip("1.2.3.4").hash(1), ip("1.2.3.4").hash(2));
  EXPECT_NE(ip("1.2.3.4").hash(1), ip("1.2.3.5").hash(1));
}

TEST(IpAddress, IsUnknownByDefault) {
  EXPECT_FALSE(IpAddress());
  EXPECT_TRUE(ip("0.0.0.0"));
}

TEST(IpPrefix, ContainsItsNetworkOnly) {
  const IpPrefix ten = IpPrefix::parse("10.1.2.3/8").value();
  EXPECT_EQ(ten.text(), "10.0.0.0/8");
  EXPECT_TRUE(ten.contains(ip("10.255.0.1")));
  EXPECT_TRUE(ten.contains(ip("::ffff:10.0.0.1")));
  EXPECT_FALSE(ten.contains(ip("11.0.0.1")));
  const IpPrefix twelve = IpPrefix::parse("172.16.0.0/12").value();
  EXPECT_TRUE(twelve.contains(ip("172.31.255.255")));
  EXPECT_FALSE(twelve.contains(ip("172.32.0.0")));
  const IpPrefix doc = IpPrefix::parse("2001:db8::/33").value();
  EXPECT_TRUE(doc.contains(ip("2001:db8:7fff::1")));
  EXPECT_FALSE(doc.contains(ip("2001:db8:8000::1")));
}

TEST(IpPrefix, TakesASingleAddress) {
  EXPECT_TRUE(IpPrefix::parse("1.2.3.4")->contains(ip("1.2.3.4")));
  EXPECT_FALSE(IpPrefix::parse("1.2.3.4")->contains(ip("1.2.3.5")));
  EXPECT_EQ(IpPrefix::parse("1.2.3.4")->text(), "1.2.3.4/32");
  EXPECT_TRUE(IpPrefix::parse("::1")->contains(ip("::1")));
}

TEST(IpPrefix, KeepsTheFamiliesApart) {
  EXPECT_FALSE(IpPrefix::parse("::/0")->contains(ip("1.2.3.4")));
  EXPECT_TRUE(IpPrefix::parse("::/0")->contains(ip("2001:db8::1")));
  EXPECT_TRUE(IpPrefix::parse("0.0.0.0/0")->contains(ip("1.2.3.4")));
  EXPECT_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(ip("2001:db8::1")));
  EXPECT_EQ(IpPrefix::parse("::ffff:10.0.0.0/104"), IpPrefix::parse("10.0.0.0/8"));
}

TEST(IpPrefix, RefusesWhatIsNoPrefix) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/129",
                           "::/0128", "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/ 8"}) {
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  }
}

}  // namespace
}  // namespace tidewire
