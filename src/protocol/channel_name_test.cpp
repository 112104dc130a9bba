#include "protocol/channel_name.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewire::protocol {
namespace {

TEST(ChannelName, TakesNamesWithAndWithoutANamespace) {
  for (const char* name : {"a", "room:1", "a:b:c", "a::b", "A-Z.az_09@=,;!~+/#:x", "room:a/b#c", "0"})
    EXPECT_TRUE(is_valid_channel(name)) << name;
}

TEST(ChannelName, RefusesEmptyPartsAndForeignBytes) {
  for (const char* name : {"", ":", ":x", "room:", "a b", "a\tb", "room:*", "room:\xc3\xa9", "a\"b", "a\\b",
                           "$all", "a$b", "<a>", "a?b", "a%b", "room:{user}"})
    EXPECT_FALSE(is_valid_channel(name)) << name;
  EXPECT_FALSE(is_valid_channel(std::string_view("a\0b", 3)));
}

TEST(ChannelName, EndsAt255Bytes) {
  EXPECT_TRUE(is_valid_channel(std::string(255, 'x')));
  EXPECT_FALSE(is_valid_channel(std::string(256, 'x')));
}

TEST(ChannelName, NeedsOnlyTheFirstColonToStandBetweenParts) {
  EXPECT_TRUE(is_valid_channel("a:b:"));
  EXPECT_FALSE(is_valid_channel("ab:"));
}

TEST(ChannelName, HasTheNamespaceBeforeTheFirstColonOrDefault) {
  EXPECT_EQ(namespace_of("room:1"), "room");
  EXPECT_EQ(namespace_of("a:b:c"), "a");
  EXPECT_EQ(namespace_of("x"), "default");
  EXPECT_EQ(namespace_of("default:x"), "default");
}

TEST(ChannelName, KnowsTheServersOwn) {
  EXPECT_TRUE(is_server_name("$all"));
  EXPECT_TRUE(is_server_name("$"));
  EXPECT_FALSE(is_server_name("all$"));
  EXPECT_FALSE(is_server_name(""));
}

}  // namespace
}  // namespace tidewire::protocol
