#include "wire/frame.h"

#include <gtest/gtest.h>

#include "wire/utf8.h"

namespace tidewire::wire {
namespace {

using namespace std::string_literals;

std::string header(Opcode opcode, std::uint64_t size, bool rsv1 = false, bool fin = true) {
  char out[kMaxFrameHeaderBytes];
  return std::string(out, write_frame_header(out, opcode, size, rsv1, fin));
}

TEST(Frame, WritesTheShortestLength) {
  EXPECT_EQ(header(Opcode::text, 0), "\x81\x00"s);
  EXPECT_EQ(header(Opcode::binary, 125), "\x82\x7D"s);
  EXPECT_EQ(header(Opcode::binary, 126), "\x82\x7E\x00\x7E"s);
  EXPECT_EQ(header(Opcode::binary, 65535), "\x82\x7E\xFF\xFF"s);
  EXPECT_EQ(header(Opcode::binary, 65536), "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST(Frame, WritesItsBits) {
  EXPECT_EQ(header(Opcode::text, 1, true), "\xC1\x01"s);
  EXPECT_EQ(header(Opcode::text, 1, true, false), "\x41\x01"s);
  EXPECT_EQ(header(Opcode::continuation, 1, false, false), "\x00\x01"s);
}

TEST(Frame, JoinsHeaderAndPayload) {
  EXPECT_EQ(make_frame(Opcode::text, "Hello").view(), "\x81\x05Hello");
  EXPECT_EQ(make_frame(Opcode::text, "Hello", true).view(), "\xC1\x05Hello");
  EXPECT_EQ(make_frame(Opcode::pong, "").view(), "\x8A\x00"s);
}

TEST(Frame, IsFoundAgainAmongWhatWasWritten) {
  for (const std::size_t size : {0, 1, 125, 126, 65535, 65536, 200'000}) {
    const std::string payload(size, 'x');
    const SharedBytes frame = make_frame(Opcode::text, payload);
    const std::string frames = std::string(frame.view()) + "\x81\x01y";
    const WrittenFrame found = first_written_frame(frames);
    EXPECT_EQ(found.payload.size(), size);
    EXPECT_EQ(found.bytes, frame.size());
  }
}

TEST(FrameDeathTest, WhatIsNoWholeFrameWasNotWritten) {
  for (const std::string& frames : {""s, "\x81"s, "\x81\x02x"s, "\x81\x7E\x00"s, "\x81\xFF"s})
    EXPECT_DEATH(first_written_frame(frames), "invariant broken");
}

TEST(CloseFrame, CarriesCodeAndReason) {
  EXPECT_EQ(encode_close(1000), "\x03\xE8");
  EXPECT_EQ(encode_close(1012, "draining"),
            "\x03\xF4"
            "draining");
  EXPECT_EQ(encode_close(kCloseNoStatus), "");
  EXPECT_EQ(decode_close(encode_close(4999, "x")), (CloseReason{4999, "x"}));
}

TEST(CloseFrame, CutsALongReasonBetweenCharacters) {
  EXPECT_EQ(encode_close(1000, std::string(200, 'a')).size(), 125u);
  std::string reason;
  for (int i = 0; i < 50; ++i) reason += "\xE2\x82\xAC";
  const std::string payload = encode_close(1000, "ab" + reason);
  EXPECT_EQ(payload.size(), 2u + 2u + 40 * 3u);
  EXPECT_TRUE(is_valid_utf8(std::string_view(payload).substr(2)));
}

TEST(CloseFrame, RefusesBadPayloads) {
  EXPECT_EQ(decode_close(""), CloseReason{});
  EXPECT_EQ(decode_close("\x03").error(), kCloseProtocolError);
  EXPECT_EQ(decode_close("\x03\xED").error(), kCloseProtocolError);
  EXPECT_EQ(decode_close("\x03\xE8\xFF").error(), kCloseInvalidPayload);
}

}  // namespace
}  // namespace tidewire::wire
