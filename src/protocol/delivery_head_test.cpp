#include "protocol/delivery_head.h"

#include <gtest/gtest.h>

namespace tidewire::protocol {
namespace {

TEST(DeliveryHead, SaysWhereAMessageStands) {
  const auto head = read_delivery_head(
      R"({"type":"message","channel":"room:1","seq":12,"timestamp":5,"event":"a","data":{"seq":99}})");
  EXPECT_EQ(head.type, "message");
  EXPECT_EQ(head.channel, "room:1");
  EXPECT_EQ(head.seq, 12u);
  EXPECT_FALSE(head.to);
  EXPECT_EQ(head.epoch, "");
}

TEST(DeliveryHead, ReadsSubscribedSnapshotAndGap) {
  const auto subscribed = read_delivery_head(
      R"({"type":"subscribed","channel":"a","kind":"stream","epoch":"e1","seq":0,"recovered":true,"messages":[{"seq":7}]})");
  EXPECT_EQ(subscribed.type, "subscribed");
  EXPECT_EQ(subscribed.epoch, "e1");
  EXPECT_EQ(subscribed.seq, 0u);
  const auto snapshot =
      read_delivery_head(R"({"type":"snapshot","channel":"doc:1","epoch":"e2","seq":4,"data":[1]})");
  EXPECT_EQ(snapshot.epoch, "e2");
  EXPECT_EQ(snapshot.seq, 4u);
  const auto gap = read_delivery_head(R"({"type":"gap","channel":"a","epoch":"e","from":3,"to":9})");
  EXPECT_EQ(gap.to, 9u);
  EXPECT_FALSE(gap.seq);
}

TEST(DeliveryHead, TakesAMergedMessageByItsLastSeq) {
  const auto head = read_delivery_head(
      R"({"type":"message","channel":"dashboard:x","first_seq":3,"seq":8,"timestamp":1,"merge":{"a":1}})");
  EXPECT_EQ(head.seq, 8u);
}

TEST(DeliveryHead, WhatHasNoSeqSaysSo) {
  EXPECT_FALSE(
      read_delivery_head(R"({"type":"message","channel":"$all","timestamp":5,"data":1,"seq":3})").seq);
  EXPECT_FALSE(read_delivery_head(R"({"type":"connected","protocol":1,"user":{"seq":4}})").seq);
  EXPECT_FALSE(
      read_delivery_head(R"({"type":"message","channel":"a","event":"\",\"seq\":7,","data":1})").seq);
}

TEST(DeliveryHead, EndsWhereTheTextEnds) {
  for (const char* text : {"", "{", "{}", "[1]", "{\"", "{\"type", "{\"type\"", "{\"type\":", "{\"type\":\"",
                           "{\"type\":\"a\\", "{\"seq\":", "{\"seq\":1", "{\"seq\":-1}", "{\"seq\":1,"})
    EXPECT_NO_FATAL_FAILURE(read_delivery_head(text)) << text;
  EXPECT_FALSE(read_delivery_head("{\"seq\":-1}").seq);
}

}  // namespace
}  // namespace tidewire::protocol
