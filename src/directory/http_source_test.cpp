#include "directory/http_source.h"

#include <gtest/gtest.h>

namespace tidewire::directory {
namespace {

std::string url(const std::string& pattern, const std::string& user) {
  return url_of(pattern, {.tenant = "acme/1", .user = user});
}

TEST(DirectoryUrl, EndsWithTheIdOrHoldsItWhereItSaysSo) {
  EXPECT_EQ(url("https://app.example/users", "7"), "https://app.example/users/7");
  EXPECT_EQ(url("https://app.example/users/", "7"), "https://app.example/users/7");
  EXPECT_EQ(url("https://app.example/users?full=0", "7"), "https://app.example/users/7?full=0");
  EXPECT_EQ(url("https://app.example/u/{id}/exists", "7"), "https://app.example/u/7/exists");
  EXPECT_EQ(url("https://app.example/?who={id}", "7"), "https://app.example/?who=7");
  EXPECT_EQ(url("https://app.example/{tenant}/{id}", "7"), "https://app.example/acme%2F1/7");
}

TEST(DirectoryUrl, KeepsAnIdWithinItsSegment) {
  EXPECT_EQ(url("https://app.example/u", "a/../b"), "https://app.example/u/a%2F..%2Fb");
  EXPECT_EQ(url("https://app.example/u", "a#b@c:d"), "https://app.example/u/a%23b%40c%3Ad");
  EXPECT_EQ(url("https://app.example/u/{id}", "{id}"), "https://app.example/u/%7Bid%7D");
  EXPECT_EQ(url("https://app.example/u", "~x-y_z.0"), "https://app.example/u/~x-y_z.0");
}

TEST(HttpSource, AsksNobodyForAnIdThatNoPathCanHold) {
  net::Loop loop;
  HttpSource source(loop, {.url = "http://127.0.0.1:1/users"});
  for (const char* user : {".", ".."}) {
    std::optional<Outcome::What> what;
    source.ask({.tenant = "default", .user = user}, [&](const Outcome& outcome) { what = outcome.what; });
    while (!what) loop.turn(1000);
    EXPECT_EQ(*what, Outcome::What::absent);
  }
}

TEST(HttpSource, FailsWhereNobodyListens) {
  net::Loop loop;
  HttpSource source(loop, {.url = "http://127.0.0.1:1/users"});
  std::optional<Outcome> outcome;
  source.ask({.tenant = "default", .user = "7"}, [&](const Outcome& o) { outcome = o; });
  while (!outcome) loop.turn(1000);
  EXPECT_EQ(outcome->what, Outcome::What::failed);
  EXPECT_NE(outcome->reason, "");
}

}  // namespace
}  // namespace tidewire::directory
