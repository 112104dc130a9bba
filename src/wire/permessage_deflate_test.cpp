#include "wire/permessage_deflate.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewire::wire {
namespace {

using namespace std::string_literals;

std::string response(std::string_view offers, DeflateMode mode) {
  const auto result = negotiate_deflate(offers, mode);
  return result ? result->response : "none";
}

constexpr std::string_view kSharedAnswer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

TEST(NegotiateDeflate, AnswersNothingWhenOffOrNotOffered) {
  EXPECT_EQ(response("permessage-deflate", DeflateMode::off), "none");
  EXPECT_EQ(response("", DeflateMode::shared), "none");
  EXPECT_EQ(response("x-webkit-deflate-frame", DeflateMode::shared), "none");
  EXPECT_EQ(response(" , ,", DeflateMode::shared), "none");
}

TEST(NegotiateDeflate, DropsBothContextsInSharedMode) {
  EXPECT_EQ(response("permessage-deflate", DeflateMode::shared), kSharedAnswer);
  EXPECT_EQ(response("permessage-deflate; client_max_window_bits", DeflateMode::shared), kSharedAnswer);
  EXPECT_EQ(response("permessage-deflate; client_max_window_bits=9", DeflateMode::shared), kSharedAnswer);
  const auto result = negotiate_deflate("permessage-deflate; client_max_window_bits=9", DeflateMode::shared);
  EXPECT_EQ(result->agreement, (DeflateAgreement{true, true, 15, 15}));
}

TEST(NegotiateDeflate, KeepsContextsInDedicatedModeUnlessAskedNotTo) {
  EXPECT_EQ(response("permessage-deflate", DeflateMode::dedicated), "permessage-deflate");
  EXPECT_EQ(response("permessage-deflate; server_no_context_takeover", DeflateMode::dedicated),
            "permessage-deflate; server_no_context_takeover");
  EXPECT_EQ(response("permessage-deflate;client_no_context_takeover", DeflateMode::dedicated),
            "permessage-deflate; client_no_context_takeover");
  const auto result = negotiate_deflate(
      "permessage-deflate; client_max_window_bits=10; server_max_window_bits=11", DeflateMode::dedicated);
  EXPECT_EQ(result->agreement, (DeflateAgreement{false, false, 11, 10}));
  EXPECT_EQ(result->response, "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10");
}

TEST(NegotiateDeflate, HonoursTheServersWindow) {
  for (int bits = 9; bits <= 15; ++bits) {
    const std::string offer = "permessage-deflate; server_max_window_bits=" + std::to_string(bits);
    const auto result = negotiate_deflate(offer, DeflateMode::shared);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->agreement.server_max_window_bits, bits);
    EXPECT_EQ(result->response,
              std::string(kSharedAnswer) + "; server_max_window_bits=" + std::to_string(bits));
  }
  EXPECT_EQ(response("permessage-deflate; server_max_window_bits=\"10\"", DeflateMode::dedicated),
            "permessage-deflate; server_max_window_bits=10");
}

TEST(NegotiateDeflate, PassesOverUnusableOffers) {
  for (const std::string_view bad : {"server_max_window_bits=8",
                                     "server_max_window_bits=16",
                                     "server_max_window_bits=7",
                                     "server_max_window_bits=09",
                                     "server_max_window_bits=+9",
                                     "server_max_window_bits=1",
                                     "server_max_window_bits",
                                     "server_max_window_bits=x",
                                     "server_max_window_bits=10; server_max_window_bits=10",
                                     "client_max_window_bits=16",
                                     "client_max_window_bits=010",
                                     "client_max_window_bits; client_max_window_bits",
                                     "client_max_window_bits=9; client_max_window_bits",
                                     "server_no_context_takeover=1",
                                     "server_no_context_takeover; server_no_context_takeover",
                                     "client_no_context_takeover=true",
                                     "client_no_context_takeover; client_no_context_takeover",
                                     "unknown",
                                     "unknown=1",
                                     "Server_No_Context_Takeover"}) {
    const std::string offer = "permessage-deflate; " + std::string(bad);
    EXPECT_EQ(response(offer, DeflateMode::shared), "none") << bad;
    EXPECT_EQ(response(offer + ", permessage-deflate", DeflateMode::shared), kSharedAnswer) << bad;
    EXPECT_EQ(response("foo; a=\"b\\\"c\", permessage-deflate", DeflateMode::shared), "none");
  }
}

// Autobahn 13: the client's list of preferences.
TEST(NegotiateDeflate, TakesTheFirstUsableOffer) {
  EXPECT_EQ(response("permessage-deflate; server_no_context_takeover; server_max_window_bits=9, "
                     "permessage-deflate; server_no_context_takeover, permessage-deflate",
                     DeflateMode::dedicated),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9");
  EXPECT_EQ(response("other; x=\"1\", permessage-deflate; server_max_window_bits=8, permessage-deflate; "
                     "client_max_window_bits",
                     DeflateMode::dedicated),
            "permessage-deflate");
  EXPECT_EQ(response(",permessage-deflate,", DeflateMode::dedicated), "permessage-deflate");
}

TEST(NegotiateDeflate, StopsAtBrokenGrammar) {
  for (const std::string_view broken :
       {"permessage-deflate;", "permessage-deflate; =9", "permessage-deflate foo", "permessage-deflate; a=",
        "permessage-deflate; server_max_window_bits=\"9", "permessage-deflate; a=\"\"",
        "\"permessage-deflate\"", "permessage-deflate; a=\"b c\"", "@, permessage-deflate"})
    EXPECT_EQ(response(broken, DeflateMode::shared), "none") << broken;
}

std::string inflated(Inflater& inflater, std::string_view payload, std::size_t limit = 1 << 20) {
  const auto out = inflater.inflate(payload, limit);
  if (!out) return out.error() == InflateError::too_large ? "<too large>" : "<bad>";
  return std::string(out->data(), out->size());
}

// RFC 7692 §7.2.3.
TEST(Inflater, ReadsTheExamplesOfTheRfc) {
  Inflater inflater;
  EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07\x00"s), "Hello");
  EXPECT_EQ(inflated(inflater, "\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00"s), "Hello");
  EXPECT_EQ(inflated(inflater, "\xF3\x48\xCD\xC9\xC9\x07\x00\x00"s), "Hello") << "a final block";
  EXPECT_EQ(inflated(inflater, "\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00"s), "Hello")
      << "two blocks";
  EXPECT_EQ(inflated(inflater, "\x00"s), "");
  EXPECT_EQ(inflated(inflater, ""), "");
  Inflater keeping(DeflateContext::keep);
  EXPECT_EQ(inflated(keeping, "\xF2\x48\xCD\xC9\xC9\x07\x00"s), "Hello");
  EXPECT_EQ(inflated(keeping, "\xF2\x00\x11\x00\x00"s), "Hello") << "by the context of the first";
}

TEST(Inflater, KeepsTheWindowBehindAFinalBlock) {
  Inflater keeping(DeflateContext::keep);
  EXPECT_EQ(inflated(keeping, "\xF3\x48\xCD\xC9\xC9\x07\x00\x00"s), "Hello");
  EXPECT_EQ(inflated(keeping, "\xF2\x00\x11\x00\x00"s), "Hello");
  EXPECT_EQ(inflated(keeping, "\xF3\x48\xCD\xC9\xC9\x07\x00"s), "Hello") << "without the byte that follows";
  EXPECT_EQ(inflated(keeping, "\xF2\x00\x11\x00\x00"s), "Hello");
}

TEST(Inflater, ReadsManyFinalBlocksInOneMessage) {
  Inflater inflater;
  const std::string hello = "\xF3\x48\xCD\xC9\xC9\x07\x00"s;
  std::string many, expected;
  for (int i = 0; i < 1000; ++i) many += hello, expected += "Hello";
  EXPECT_EQ(inflated(inflater, many), expected);
  EXPECT_EQ(inflated(inflater, many + '\0'), expected);
}

TEST(Inflater, ForgetsBetweenMessagesWithoutContext) {
  Inflater inflater;
  EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07\x00"s), "Hello");
  EXPECT_EQ(inflated(inflater, "\xF2\x00\x11\x00\x00"s), "<bad>");
  EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07\x00"s), "Hello");
}

TEST(Inflater, RefusesCutAndDamagedData) {
  Inflater inflater;
  EXPECT_EQ(inflated(inflater, "\xFF\xFF\xFF\xFF"), "<bad>");
  EXPECT_EQ(inflated(inflater, "\x06\x00"s), "<bad>");
  Deflater deflater;
  std::string packed;
  deflater.deflate("a text that is long enough to be cut in its middle, and cut again", packed);
  for (std::size_t size = 1; size + 1 < packed.size(); ++size)
    EXPECT_EQ(inflated(inflater, packed.substr(0, size)), "<bad>") << size;
}

TEST(Inflater, StopsAtTheLimit) {
  Deflater deflater;
  Inflater inflater;
  std::string packed;
  deflater.deflate(std::string(50 << 20, 'z'), packed);
  EXPECT_LT(packed.size(), 1u << 20);
  EXPECT_EQ(inflated(inflater, packed, 1 << 20), "<too large>");
  for (const std::size_t size : {1, 4095, 4096, 4097, 8192, 100000}) {
    deflater.deflate(std::string(size, 'z'), packed);
    EXPECT_EQ(inflated(inflater, packed, size), std::string(size, 'z'));
    EXPECT_EQ(inflated(inflater, packed, size - 1), "<too large>");
  }
  deflater.deflate("", packed);
  EXPECT_EQ(inflated(inflater, packed, 0), "");
}

TEST(Deflater, WritesTheFormOfTheRfc) {
  Deflater deflater;
  std::string out = "old";
  EXPECT_TRUE(deflater.deflate("Hello", out));
  EXPECT_EQ(out, "\xF2\x48\xCD\xC9\xC9\x07\x00"s);
  EXPECT_TRUE(deflater.deflate("", out));
  EXPECT_EQ(out, "\x00"s);
}

TEST(Deflater, RefersToEarlierMessagesOnlyWithContext) {
  Deflater keeping(DeflateContext::keep);
  Inflater keeps(DeflateContext::keep);
  std::string first, second, empty;
  keeping.deflate("Hello, this is the text", first);
  keeping.deflate("", empty);
  keeping.deflate("Hello, this is the text", second);
  EXPECT_LT(second.size(), first.size());
  EXPECT_EQ(inflated(keeps, first), "Hello, this is the text");
  EXPECT_EQ(inflated(keeps, empty), "");
  EXPECT_EQ(inflated(keeps, second), "Hello, this is the text");
  Deflater forgetting;
  forgetting.deflate("Hello, this is the text", first);
  forgetting.deflate("Hello, this is the text", second);
  EXPECT_EQ(first, second);
}

// With a smaller window the other side must be able to follow with that window.
TEST(Deflater, KeepsToItsWindow) {
  std::string text;
  for (unsigned x = 1; text.size() < 40000; x = x * 1664525 + 1013904223)
    text += static_cast<char>('a' + (x >> 24) % 16);
  text += text;
  for (int bits = 9; bits <= 15; ++bits)
    for (const DeflateContext context : {DeflateContext::reset, DeflateContext::keep}) {
      Deflater deflater(context, bits);
      Inflater inflater(context, bits);
      std::string packed;
      for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(deflater.deflate(text, packed));
        ASSERT_EQ(inflated(inflater, packed), text) << bits;
      }
    }
}

}  // namespace
}  // namespace tidewire::wire
