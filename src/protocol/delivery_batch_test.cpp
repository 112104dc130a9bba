#include "protocol/delivery_batch.h"

#include <gtest/gtest.h>

#include "wire/frame.h"
#include "wire/message_reader.h"
#include "wire/permessage_deflate.h"

namespace tidewire::protocol {
namespace {

std::string frame_of(std::string_view payload) {
  char header[wire::kMaxFrameHeaderBytes];
  return std::string(header, wire::write_frame_header(header, wire::Opcode::text, payload.size())) +
         std::string(payload);
}

TEST(DeliveryBatch, RendersMessagesAsFramesBackToBack) {
  DeliveryBatch batch;
  EXPECT_TRUE(batch.empty());
  batch.add("{", "\"a\"", ":1", "}");
  batch.add("{}");
  batch.add(std::string(70'000, 'x'));
  ASSERT_EQ(batch.size(), 3u);
  EXPECT_EQ(batch.json(0), "{\"a\":1}");
  EXPECT_EQ(batch.json(1), "{}");
  EXPECT_EQ(batch.plain(0, 3).bytes,
            frame_of("{\"a\":1}") + frame_of("{}") + frame_of(std::string(70'000, 'x')));
  EXPECT_EQ(batch.plain(0, 1).bytes, frame_of("{\"a\":1}"));
  EXPECT_EQ(batch.plain(1, 2).bytes, frame_of("{}"));
  EXPECT_EQ(batch.plain(1, 1).bytes, "");
}

TEST(DeliveryBatch, KeepsOneCopyThatOutlivesTheTurn) {
  DeliveryBatch batch;
  batch.add("{\"n\":1}");
  batch.add("{\"n\":2}");
  const auto frames = batch.plain(1, 2);
  const SharedBytes kept = batch.keep(frames);
  const std::size_t offset = frames.offset, size = frames.bytes.size();
  const SharedBytes again = batch.keep(batch.plain(0, 1));
  EXPECT_EQ(kept.view().data(), again.view().data());
  batch.clear();
  batch.add("{\"n\":3}");
  EXPECT_EQ(kept.view().substr(offset, size), frame_of("{\"n\":2}"));
  EXPECT_EQ(batch.json(0), "{\"n\":3}");
  EXPECT_EQ(batch.keep(batch.plain(0, 1)).view(), frame_of("{\"n\":3}"));
}

TEST(DeliveryBatch, CompressesEachMessageOnceAndOnlyWhereItPays) {
  wire::Deflater deflater;
  DeliveryBatch batch;
  const std::string large(5000, 'y');
  batch.add("{}");
  batch.add(large);
  const auto first = batch.deflated(0, 2, deflater, 256);
  EXPECT_LT(first.bytes.size(), large.size());
  EXPECT_TRUE(first.bytes.starts_with(frame_of("{}"))) << "a small one stays as it is";
  const std::string before(first.bytes);
  batch.add("{\"third\":1}");
  const auto all = batch.deflated(0, 3, deflater, 256);
  EXPECT_TRUE(all.bytes.starts_with(before));
  EXPECT_TRUE(all.bytes.ends_with(frame_of("{\"third\":1}")));
  EXPECT_EQ(batch.deflated(2, 3, deflater, 256).bytes, frame_of("{\"third\":1}"));
  EXPECT_EQ(batch.json(1), large) << "the plain form stays";
}

}  // namespace
}  // namespace tidewire::protocol
