#include "api/encoding.h"

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "api/test_world.h"

namespace tidewire::api {
namespace {

Coding chosen(std::string_view accept) {
  wire::HttpHeaders headers;
  headers.add("accept-encoding", accept);
  return choose_coding(headers);
}

std::string gunzip(std::string_view bytes) {
  std::string out(1 << 20, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

std::string unbrotli(std::string_view bytes) {
  std::string out(1 << 20, '\0');
  std::size_t size = out.size();
  EXPECT_EQ(BrotliDecoderDecompress(bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()), &size,
                                    reinterpret_cast<std::uint8_t*>(out.data())),
            BROTLI_DECODER_RESULT_SUCCESS);
  out.resize(size);
  return out;
}

TEST(ChooseCoding, TakesTheFavouriteThatThereIs) {
  EXPECT_EQ(choose_coding({}), Coding::identity);
  EXPECT_EQ(chosen(""), Coding::identity);
  EXPECT_EQ(chosen("gzip, deflate, br"), Coding::br);
  EXPECT_EQ(chosen("gzip"), Coding::gzip);
  EXPECT_EQ(chosen("x-gzip"), Coding::gzip);
  EXPECT_EQ(chosen("BR"), Coding::br);
  EXPECT_EQ(chosen("br;q=0.5, gzip;q=0.8"), Coding::gzip);
  EXPECT_EQ(chosen("br ; q=0.5 , gzip ; q=0.5"), Coding::br);
  EXPECT_EQ(chosen("zstd, deflate"), Coding::identity);
  EXPECT_EQ(chosen("*"), Coding::br);
  EXPECT_EQ(chosen("identity"), Coding::identity);
}

TEST(ChooseCoding, LeavesABodyAsItIsForWhoPrefersThat) {
  EXPECT_EQ(chosen("identity, gzip;q=0.5"), Coding::identity);
  EXPECT_EQ(chosen("gzip;q=0.5, Identity;q=0.6"), Coding::identity);
  EXPECT_EQ(chosen("identity;q=1, *;q=0.5"), Coding::identity);
  EXPECT_EQ(chosen("identity, gzip"), Coding::identity);
  EXPECT_EQ(chosen("gzip, identity"), Coding::gzip);
  EXPECT_EQ(chosen("identity;q=0.5, br;q=0.6"), Coding::br);
  EXPECT_EQ(chosen("identity;q=0, gzip;q=0.1"), Coding::gzip);
}

TEST(ChooseCoding, RespectsARefusal) {
  EXPECT_EQ(chosen("br;q=0, gzip"), Coding::gzip);
  EXPECT_EQ(chosen("br;q=0.000, gzip;q=0"), Coding::identity);
  EXPECT_EQ(chosen("*;q=0"), Coding::identity);
  EXPECT_EQ(chosen("*, br;q=0"), Coding::gzip);
  EXPECT_EQ(chosen("br;q=nonsense"), Coding::identity);
  EXPECT_EQ(chosen("br;q=-1, gzip;q=7"), Coding::identity);
}

TEST(Compress, CanBeUndone) {
  for (const std::size_t bytes : {std::size_t{2'000}, std::size_t{400'000}}) {
    std::string text;
    while (text.size() < bytes) text += R"({"channel":"room:a","seq":)" + std::to_string(text.size()) + "},";
    EXPECT_EQ(gunzip(compress(Coding::gzip, text)), text);
    EXPECT_EQ(unbrotli(compress(Coding::br, text)), text);
    EXPECT_EQ(compress(Coding::identity, text), text);
  }
}

TEST(Encode, LeavesSmallBodiesAlone) {
  wire::HttpAnswer answer;
  answer.body = std::string(kCompressAbove, 'x');
  EXPECT_FALSE(encode(answer, Coding::br));
  EXPECT_EQ(answer.body.size(), kCompressAbove);
}

TEST(Answers, AreCompressedAsAcceptEncodingAsks) {
  World world;
  for (int i = 0; i < 50; ++i) world.post("/api/v1/publish", R"({"channel":"room:a","data":"hello"})");
  const auto history = [&](std::string accept) {
    return world.send({.target = "/api/v1/channels/room:a/history",
                       .fields = {{"X-API-Key", "tw_all"}, {"Accept-Encoding", std::move(accept)}}});
  };
  const Answer plain = history("identity");
  EXPECT_EQ(plain.field("Content-Encoding"), "");
  EXPECT_EQ(plain.field("Vary"), "Origin, Accept-Encoding");
  const Answer br = history("gzip, br");
  EXPECT_EQ(br.field("Content-Encoding"), "br");
  EXPECT_EQ(br.field("Vary"), "Origin, Accept-Encoding");
  EXPECT_EQ(unbrotli(br.body), plain.body);
  const Answer gzip = history("gzip, br;q=0");
  EXPECT_EQ(gzip.field("Content-Encoding"), "gzip");
  EXPECT_EQ(gunzip(gzip.body), plain.body);
}

}  // namespace
}  // namespace tidewire::api
