#include "wire/message_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/mask.h"
#include "wire/permessage_deflate.h"

namespace tidewire::wire {
namespace {

using Type = MessageReader::Event::Type;

// An event with its bytes, so that it outlives the chunk.
struct Seen {
  Type type;
  Opcode opcode = Opcode::continuation;
  std::string data;  // the payload, or the text of close and failed
  std::uint16_t code = 0;
  friend bool operator==(const Seen&, const Seen&) = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << "{type " << int(seen.type) << " opcode " << int(seen.opcode) << " code " << seen.code << " \""
       << seen.data.substr(0, 40) << "\" of " << seen.data.size() << "}";
}

Seen text(std::string data) { return {Type::message, Opcode::text, std::move(data)}; }
Seen binary(std::string data) { return {Type::message, Opcode::binary, std::move(data)}; }
Seen ping(std::string data) { return {Type::ping, Opcode::ping, std::move(data)}; }
Seen pong(std::string data) { return {Type::pong, Opcode::pong, std::move(data)}; }
Seen closed(std::uint16_t code, std::string reason = {}) {
  return {Type::close, Opcode::close, std::move(reason), code};
}
const Seen kFragment{Type::fragment, Opcode::text, {}};
const Seen kBinaryFragment{Type::fragment, Opcode::binary, {}};

constexpr MaskKey kMaskKey{0x37, 0xFA, 0x21, 0x3D};

// A client's frame.
std::string frame(Opcode opcode, std::string payload, bool fin = true, bool rsv1 = false,
                  MaskKey key = kMaskKey) {
  char header[kMaxFrameHeaderBytes];
  const std::size_t size = write_frame_header(header, opcode, payload.size(), rsv1, fin);
  header[1] = static_cast<char>(header[1] | 0x80);
  std::string out(header, size);
  out.append(reinterpret_cast<const char*>(key.data()), 4);
  unmask(payload.data(), payload.size(), key);
  return out + payload;
}
std::string begin(Opcode opcode, std::string payload) { return frame(opcode, std::move(payload), false); }
std::string more(std::string payload) { return frame(Opcode::continuation, std::move(payload), false); }
std::string end(std::string payload) { return frame(Opcode::continuation, std::move(payload)); }

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

const ReaderLimits kReaderLimits{.message_bytes = 1 << 20, .fragments = 1024};

std::vector<Seen> read_in_pieces(MessageReader& reader, std::string_view bytes, std::size_t piece_bytes,
                                 Inflater* inflater = nullptr) {
  std::vector<Seen> seen;
  while (!bytes.empty()) {
    std::string piece(bytes.substr(0, piece_bytes));
    bytes.remove_prefix(piece.size());
    std::span<char> chunk(piece);
    while (true) {
      const auto event = reader.next(chunk, inflater);
      if (event.type == Type::need_more) break;
      seen.push_back({event.type, event.opcode,
                      event.type == Type::failed || event.type == Type::close
                          ? std::string(event.type == Type::failed ? "" : event.text)
                          : std::string(event.payload_text()),
                      event.code});
    }
    EXPECT_TRUE(chunk.empty());
  }
  return seen;
}

// Reads the bytes whole, and cut in many ways; the events must be the same.
std::vector<Seen> read(const std::string& bytes, const ReaderLimits& limits = kReaderLimits,
                       Inflater* inflater = nullptr) {
  MessageReader whole(&limits);
  const auto seen = read_in_pieces(whole, bytes, bytes.size() + 1, inflater);
  for (const std::size_t piece : {1, 2, 3, 7, 13, 64, 1000}) {
    if (bytes.size() / piece > 100000) continue;
    MessageReader cut(&limits);
    EXPECT_EQ(read_in_pieces(cut, bytes, piece, inflater), seen) << "in pieces of " << piece;
    EXPECT_EQ(cut.in_message(), whole.in_message());
  }
  return seen;
}

std::vector<Seen> failure(std::uint16_t code) { return {{Type::failed, Opcode::continuation, {}, code}}; }

using Events = std::vector<Seen>;

// Autobahn 1.1 and 1.2.
TEST(MessageReader, TakesTextAndBinaryOfEveryLengthForm) {
  for (const std::size_t size : {0, 1, 124, 125, 126, 127, 128, 65535, 65536, 131072}) {
    const std::string payload(size, '*');
    EXPECT_EQ(read(frame(Opcode::text, payload)), Events{text(payload)}) << size;
    EXPECT_EQ(read(frame(Opcode::binary, payload)), Events{binary(payload)}) << size;
  }
}

TEST(MessageReader, ReadsTheExampleOfTheRfc) {
  EXPECT_EQ(read(from_hex("818537fa213d7f9f4d5158")), Events{text("Hello")});
}

TEST(MessageReader, UnmasksAWholeFrameInTheChunkWithoutACopy) {
  MessageReader reader(&kReaderLimits);
  std::string bytes = frame(Opcode::binary, std::string(1000, 'x')) + frame(Opcode::text, "next");
  std::span<char> chunk(bytes);
  const auto event = reader.next(chunk, nullptr);
  EXPECT_EQ(event.payload.data(), bytes.data() + 8);
  EXPECT_EQ(event.payload_text(), std::string(1000, 'x'));
  EXPECT_EQ(reader.kept_bytes(), 0u);
  EXPECT_EQ(reader.next(chunk, nullptr).payload_text(), "next");
  EXPECT_EQ(reader.next(chunk, nullptr).type, Type::need_more);
}

// Autobahn 2.1 to 2.11.
TEST(MessageReader, TakesPingsAndPongsOfUpTo125Bytes) {
  EXPECT_EQ(read(frame(Opcode::ping, "")), Events{ping("")});
  const std::string odd = from_hex("00fffefdfcfb00ff");
  EXPECT_EQ(read(frame(Opcode::ping, odd)), Events{ping(odd)});
  EXPECT_EQ(read(frame(Opcode::ping, std::string(125, '\xFE'))), Events{ping(std::string(125, '\xFE'))});
  EXPECT_EQ(read(frame(Opcode::ping, std::string(126, '\xFE'))), failure(1002));
  EXPECT_EQ(read(frame(Opcode::pong, "")), Events{pong("")});
  EXPECT_EQ(read(frame(Opcode::pong, "unsolicited") + frame(Opcode::ping, "p")),
            (Events{pong("unsolicited"), ping("p")}));
  std::string ten;
  Events expected;
  for (int i = 0; i < 10; ++i) {
    ten += frame(Opcode::ping, "payload-" + std::to_string(i));
    expected.push_back(ping("payload-" + std::to_string(i)));
  }
  EXPECT_EQ(read(ten), expected);
}

// Autobahn 3.1 to 3.7.
TEST(MessageReader, RefusesReservedBits) {
  for (int bits = 1; bits < 8; ++bits) {
    for (const Opcode opcode : {Opcode::text, Opcode::binary, Opcode::ping, Opcode::pong, Opcode::close}) {
      std::string bytes = frame(opcode, "");
      bytes[0] = static_cast<char>(bytes[0] | bits << 4);
      EXPECT_EQ(read(bytes), failure(1002)) << bits;
    }
  }
  EXPECT_EQ(
      read(frame(Opcode::text, "ok") + frame(Opcode::text, "bad", true, true) + frame(Opcode::ping, "")),
      (Events{text("ok"), failure(1002)[0]}));
}

TEST(MessageReader, WithDeflateTakesRsv1OnTheFirstDataFrameOnly) {
  Inflater inflater;
  const std::string hello = from_hex("f248cdc9c90700");
  EXPECT_EQ(read(frame(Opcode::text, hello, true, true), kReaderLimits, &inflater), Events{text("Hello")});
  EXPECT_EQ(read(frame(Opcode::ping, "", true, true), kReaderLimits, &inflater), failure(1002));
  EXPECT_EQ(read(frame(Opcode::text, hello.substr(0, 3), false, true) +
                     frame(Opcode::continuation, hello.substr(3), true, true),
                 kReaderLimits, &inflater),
            (Events{kFragment, failure(1002)[0]}));
  for (const int bits : {0x10, 0x20, 0x30, 0x50, 0x60, 0x70}) {
    std::string bytes = frame(Opcode::text, hello);
    bytes[0] = static_cast<char>(bytes[0] | bits);
    EXPECT_EQ(read(bytes, kReaderLimits, &inflater), failure(1002)) << bits;
  }
}

// Autobahn 4.1 and 4.2.
TEST(MessageReader, RefusesReservedOpcodes) {
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    EXPECT_EQ(read(frame(static_cast<Opcode>(opcode), "")), failure(1002));
    EXPECT_EQ(read(frame(static_cast<Opcode>(opcode), "reserved opcode payload")), failure(1002));
    EXPECT_EQ(read(frame(Opcode::text, "a") + frame(static_cast<Opcode>(opcode), "")),
              (Events{text("a"), failure(1002)[0]}));
  }
}

// Autobahn 5.1 to 5.20.
TEST(MessageReader, RefusesFragmentedControlFrames) {
  EXPECT_EQ(read(begin(Opcode::ping, "fragment1") + end("fragment2")), failure(1002));
  EXPECT_EQ(read(begin(Opcode::pong, "fragment1") + end("fragment2")), failure(1002));
  EXPECT_EQ(read(begin(Opcode::close, "") + end("")), failure(1002));
}

TEST(MessageReader, JoinsFragments) {
  EXPECT_EQ(read(begin(Opcode::text, "fragment1") + end("fragment2")),
            (Events{kFragment, text("fragment1fragment2")}));
  EXPECT_EQ(read(begin(Opcode::binary, "") + more("") + end("")),
            (Events{kBinaryFragment, kBinaryFragment, binary("")}));
  EXPECT_EQ(read(begin(Opcode::text, "") + more("middle") + end("") + frame(Opcode::text, "x")),
            (Events{kFragment, kFragment, text("middle"), text("x")}));
}

TEST(MessageReader, TakesControlFramesBetweenFragments) {
  EXPECT_EQ(read(begin(Opcode::text, "f1") + frame(Opcode::ping, "ping1") + more("f2") +
                 frame(Opcode::pong, "pong") + end("f3") + frame(Opcode::ping, "after")),
            (Events{kFragment, ping("ping1"), kFragment, pong("pong"), text("f1f2f3"), ping("after")}));
  EXPECT_EQ(read(begin(Opcode::text, "f1") + frame(Opcode::close, from_hex("03e8")) + end("f2")),
            (Events{kFragment, closed(1000)}));
}

TEST(MessageReader, RefusesAContinuationOfNothing) {
  EXPECT_EQ(read(end("x")), failure(1002));
  EXPECT_EQ(read(more("x")), failure(1002));
  EXPECT_EQ(read(begin(Opcode::text, "a") + end("b") + end("c")),
            (Events{kFragment, text("ab"), failure(1002)[0]}));
}

TEST(MessageReader, RefusesANewMessageInsideAFragmentedOne) {
  EXPECT_EQ(read(begin(Opcode::text, "a") + frame(Opcode::text, "b")), (Events{kFragment, failure(1002)[0]}));
  EXPECT_EQ(read(begin(Opcode::text, "a") + frame(Opcode::binary, "b")),
            (Events{kFragment, failure(1002)[0]}));
}

// Autobahn 6.1 to 6.23.
TEST(MessageReader, ChecksUtf8AcrossFragments) {
  const std::string greek = from_hex("cebae1bdb9cf83cebcceb5");
  EXPECT_EQ(read(frame(Opcode::text, greek)), Events{text(greek)});
  for (std::size_t cut = 0; cut <= greek.size(); ++cut)
    EXPECT_EQ(read(begin(Opcode::text, greek.substr(0, cut)) + end(greek.substr(cut))),
              (Events{kFragment, text(greek)}));
  EXPECT_EQ(read(frame(Opcode::text, greek + from_hex("eda080") + "edited")), failure(1007));
  EXPECT_EQ(read(begin(Opcode::text, greek + "\xF4") + end("\x90")), (Events{kFragment, failure(1007)[0]}));
  EXPECT_EQ(read(begin(Opcode::text, greek + "\xCE") + end("")), (Events{kFragment, failure(1007)[0]}));
  EXPECT_EQ(read(frame(Opcode::text, greek + "\xCE")), failure(1007));
  EXPECT_EQ(read(frame(Opcode::binary, "\xFF\xFE")), Events{binary("\xFF\xFE")});
}

// Autobahn 6.4: the connection ends at the bad byte, not at the end of its frame or message.
TEST(MessageReader, FailsAtTheFirstByteThatIsNotUtf8) {
  MessageReader reader(&kReaderLimits);
  std::string head = frame(Opcode::text, std::string("\xCE\xBA\xF4\x90") + std::string(1000, 'a'));
  std::span<char> before(head.data(), 8 + 3);
  EXPECT_EQ(reader.next(before, nullptr).type, Type::need_more);
  EXPECT_TRUE(reader.in_message());
  std::span<char> bad(head.data() + 11, 1);
  const auto event = reader.next(bad, nullptr);
  EXPECT_EQ(event.type, Type::failed);
  EXPECT_EQ(event.code, 1007);
  EXPECT_FALSE(reader.in_message());
}

TEST(MessageReader, FailsAtAFragmentThatCannotBecomeUtf8) {
  const Events expected{kFragment, failure(1007)[0]};
  EXPECT_EQ(read(begin(Opcode::text, "\xCE\xBA") + more("\xF4\x90\x80\x80") + end("edited")), expected);
}

// Autobahn 7.1.
TEST(MessageReader, ReadsNothingBehindAClose) {
  EXPECT_EQ(read(frame(Opcode::text, "last") + frame(Opcode::close, "") + frame(Opcode::text, "no") +
                 frame(Opcode::ping, "no") + "\xFF\xFF"),
            (Events{text("last"), closed(1005)}));
  EXPECT_EQ(read(frame(Opcode::close, from_hex("03e8")) + frame(Opcode::close, from_hex("03e8"))),
            Events{closed(1000)});
}

// Autobahn 7.3 to 7.13.
TEST(MessageReader, ChecksTheContentOfAClose) {
  const auto close_with = [](int code, const std::string& reason) {
    return frame(Opcode::close,
                 std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)} + reason);
  };
  EXPECT_EQ(read(frame(Opcode::close, "a")), failure(1002));
  EXPECT_EQ(read(close_with(1000, "Hello World!")), Events{closed(1000, "Hello World!")});
  EXPECT_EQ(read(close_with(1000, std::string(123, '*'))), Events{closed(1000, std::string(123, '*'))});
  EXPECT_EQ(read(close_with(1000, std::string(124, '*'))), failure(1002));
  EXPECT_EQ(read(close_with(1000, from_hex("cebaeda080"))), failure(1007));
  for (const int code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
    EXPECT_EQ(read(close_with(code, "r")), Events{closed(static_cast<std::uint16_t>(code), "r")});
  for (const int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
    EXPECT_EQ(read(close_with(code, "r")), failure(1002)) << code;
}

TEST(MessageReader, RefusesAnUnmaskedFrame) {
  EXPECT_EQ(read(from_hex("810548656c6c6f")), failure(1002));
  EXPECT_EQ(read(from_hex("8900")), failure(1002));
}

TEST(MessageReader, RefusesLengthsNotInTheirShortestForm) {
  const std::string key(4, '\0');
  EXPECT_EQ(read(from_hex("81fe007d") + key + std::string(125, 'a')), failure(1002));
  EXPECT_EQ(read(from_hex("81fe007e") + key + std::string(126, 'a')), Events{text(std::string(126, 'a'))});
  EXPECT_EQ(read(from_hex("81ff000000000000ffff") + key + std::string(65535, 'a')), failure(1002));
  EXPECT_EQ(read(from_hex("81ff0000000000010000") + key + std::string(65536, 'a')),
            Events{text(std::string(65536, 'a'))});
  EXPECT_EQ(read(from_hex("81ff8000000000000001") + key), failure(1002));
}

TEST(MessageReader, FailsOnAHeaderAsSoonAsOneByteDecides) {
  for (const char* head : {"83", "88", "c1", "80", "0a", "0101"}) {
    const std::string bytes = from_hex(head);
    MessageReader reader(&kReaderLimits);
    EXPECT_EQ(read_in_pieces(reader, bytes, 1), std::string_view(head) == "88" ? Events{} : failure(1002))
        << head;
  }
}

// Protocol §3.
TEST(MessageReader, DiscardsAMessageOverTheLimitAndGoesOn) {
  const ReaderLimits limits{.message_bytes = 100, .fragments = 1024};
  const Seen too_large{Type::too_large, Opcode::text, {}};
  EXPECT_EQ(read(frame(Opcode::text, std::string(100, 'a')) + frame(Opcode::text, std::string(101, 'a')) +
                     frame(Opcode::text, "fine"),
                 limits),
            (Events{text(std::string(100, 'a')), too_large, text("fine")}));
  EXPECT_EQ(read(begin(Opcode::text, std::string(60, 'a')) + frame(Opcode::ping, "p") +
                     more(std::string(60, '\xFF')) + end("x") + frame(Opcode::text, "fine"),
                 limits),
            (Events{kFragment, ping("p"), kFragment, too_large, text("fine")}));
}

TEST(MessageReader, EndsTheConnectionAtTheFirstByteTooManyWhereNothingIsDiscarded) {
  const ReaderLimits limits{.message_bytes = 100, .fragments = 1024, .discards = false};
  EXPECT_EQ(read(frame(Opcode::text, std::string(100, 'a')), limits), (Events{text(std::string(100, 'a'))}));
  EXPECT_EQ(read(frame(Opcode::text, std::string(101, 'a')), limits), failure(1009));
  EXPECT_EQ(read(begin(Opcode::text, std::string(100, 'a')) + end("a"), limits),
            (Events{kFragment, {Type::failed, Opcode::continuation, {}, 1009}}));
}

TEST(MessageReader, EndsTheConnectionAtSixteenTimesTheLimit) {
  const ReaderLimits limits{.message_bytes = 100, .fragments = 1024};
  EXPECT_EQ(read(frame(Opcode::text, std::string(1599, 'a')), limits),
            (Events{{Type::too_large, Opcode::text, {}}}));
  EXPECT_EQ(read(frame(Opcode::text, std::string(1600, 'a')), limits), failure(1009));
  std::string parts = begin(Opcode::binary, std::string(800, 'a'));
  EXPECT_EQ(read(parts + more(std::string(799, 'a')) + end("a"), limits),
            (Events{kBinaryFragment, kBinaryFragment, failure(1009)[0]}));
  // The announcement alone decides.
  EXPECT_EQ(read(from_hex("82ff7fffffffffffffff00000000"), limits), failure(1009));
  EXPECT_EQ(read(begin(Opcode::binary, "abc") + from_hex("80ff7fffffffffffffff00000000"), limits),
            (Events{kBinaryFragment, failure(1009)[0]}));
}

TEST(MessageReader, EndsTheConnectionAfterTooManyFragments) {
  const ReaderLimits limits{.message_bytes = 100, .fragments = 3};
  EXPECT_EQ(
      read(begin(Opcode::text, "a") + more("b") + end("c") + begin(Opcode::text, "d") + end("e"), limits),
      (Events{kFragment, kFragment, text("abc"), kFragment, text("de")}));
  EXPECT_EQ(read(begin(Opcode::text, "a") + more("b") + more("c") + end("d"), limits),
            (Events{kFragment, kFragment, kFragment, failure(1009)[0]}));
}

TEST(MessageReader, KeepsOnlyWhatHasArrived) {
  const ReaderLimits limits{.message_bytes = 64 << 20, .fragments = 1024};
  MessageReader reader(&limits);
  std::string bytes = from_hex("82ff0000000003000000") + std::string(4, '\0') + std::string(1000, 'a');
  std::span<char> chunk(bytes);
  EXPECT_EQ(reader.next(chunk, nullptr).type, Type::need_more);
  EXPECT_GE(reader.kept_bytes(), 1000u);
  EXPECT_LE(reader.kept_bytes(), 4096u);
}

TEST(MessageReader, KeepsNothingOfADiscardedMessage) {
  const ReaderLimits limits{.message_bytes = 1000, .fragments = 1024};
  MessageReader reader(&limits);
  read_in_pieces(reader, begin(Opcode::binary, std::string(900, 'a')), 100);
  EXPECT_GE(reader.kept_bytes(), 900u);
  read_in_pieces(reader, begin(Opcode::continuation, std::string(5000, 'a')), 100);
  EXPECT_LE(reader.kept_bytes(), 512u);
}

TEST(MessageReader, IsIdleAgainAfterACutMessage) {
  MessageReader reader(&kReaderLimits);
  const std::string bytes = frame(Opcode::text, std::string(5000, 'a'));
  EXPECT_FALSE(reader.in_message());
  EXPECT_TRUE(read_in_pieces(reader, bytes.substr(0, 1), 1).empty());
  EXPECT_TRUE(reader.in_message());
  EXPECT_TRUE(read_in_pieces(reader, bytes.substr(1, 4000), 100).empty());
  EXPECT_TRUE(reader.in_message());
  EXPECT_EQ(read_in_pieces(reader, bytes.substr(4001), 100000).size(), 1u);
  EXPECT_FALSE(reader.in_message());
  EXPECT_EQ(reader.kept_bytes(), 0u);
}

TEST(MessageReader, IsIdleAgainAfterACutControlFrame) {
  MessageReader reader(&kReaderLimits);
  EXPECT_EQ(read_in_pieces(reader, frame(Opcode::ping, "hello"), 3), Events{ping("hello")});
  EXPECT_FALSE(reader.in_message());
  EXPECT_EQ(reader.kept_bytes(), 0u);
  read_in_pieces(reader, frame(Opcode::close, from_hex("03e84f4b")), 3);
  EXPECT_FALSE(reader.in_message());
}

TEST(MessageReader, KeepsItsPlaceWhenMoved) {
  MessageReader reader(&kReaderLimits);
  read_in_pieces(reader, begin(Opcode::text, "one "), 100);
  MessageReader moved(std::move(reader));
  EXPECT_EQ(read_in_pieces(moved, end("message"), 100), Events{text("one message")});
}

// Autobahn 9: the limits of /echo, in large and in small steps.
TEST(MessageReader, TakesAMessageOf16MebibytesHoweverItIsCut) {
  const ReaderLimits limits{.message_bytes = 64 << 20, .fragments = 1000000};
  const std::string big(16 << 20, '*');
  const std::string bytes = frame(Opcode::text, big);
  for (const std::size_t piece : {std::size_t{4096}, std::size_t{65536}, bytes.size()}) {
    MessageReader reader(&limits);
    const auto seen = read_in_pieces(reader, bytes, piece);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_TRUE(seen[0].data == big);
  }
  std::string fragments = begin(Opcode::binary, "");
  std::string piece(64, 'b');
  for (int i = 0; i < 16384; ++i) fragments += more(piece);
  fragments += end("");
  MessageReader reader(&limits);
  const auto seen = read_in_pieces(reader, fragments, 65536);
  ASSERT_EQ(seen.size(), 16386u);
  EXPECT_EQ(seen.back().data.size(), 1u << 20);
}

// Autobahn 10: one message as many small frames.
TEST(MessageReader, JoinsFragmentsOf1300Bytes) {
  std::string payload(65536, 'q');
  std::string bytes;
  for (std::size_t at = 0; at < payload.size(); at += 1300) {
    const std::string part = payload.substr(at, 1300);
    const bool last = at + 1300 >= payload.size();
    bytes += frame(at == 0 ? Opcode::text : Opcode::continuation, part, last);
  }
  const auto seen = read(bytes);
  ASSERT_EQ(seen.size(), 51u);
  EXPECT_EQ(seen.back(), text(payload));
}

// Autobahn 12 and 13: many sizes, whole and in fragments, both kinds of context.
TEST(MessageReader, ReadsCompressedMessages) {
  for (const DeflateContext context : {DeflateContext::reset, DeflateContext::keep}) {
    for (const int bits : {9, 12, 15}) {
      Deflater deflater(context, bits);
      Inflater inflater(context, bits);
      MessageReader reader(&kReaderLimits);
      for (const std::size_t size : {0, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072}) {
        std::string payload;
        while (payload.size() < size)
          payload += "{\"price\":" + std::to_string(payload.size() * 7919 % 1000) + "},";
        payload.resize(size);
        for (const std::size_t fragment_bytes : {std::size_t{200000}, std::size_t{256}}) {
          std::string packed;
          ASSERT_TRUE(deflater.deflate(payload, packed));
          std::string bytes;
          std::size_t at = 0;
          do {
            const std::string part = packed.substr(at, fragment_bytes);
            const bool first = at == 0;
            at += part.size();
            bytes += frame(first ? Opcode::text : Opcode::continuation, part, at == packed.size(), first);
          } while (at < packed.size());
          const auto seen = read_in_pieces(reader, bytes, 1000, &inflater);
          ASSERT_FALSE(seen.empty());
          ASSERT_EQ(seen.back(), text(payload)) << size;
        }
        // An uncompressed message in between, as RFC 7692 allows.
        EXPECT_EQ(read_in_pieces(reader, frame(Opcode::binary, "plain"), 1000, &inflater),
                  Events{binary("plain")});
      }
    }
  }
}

TEST(MessageReader, EndsTheConnectionWhenAMessageInflatesPastTheLimit) {
  const ReaderLimits limits{.message_bytes = 1000, .fragments = 1024};
  Deflater deflater;
  Inflater inflater;
  std::string packed;
  deflater.deflate(std::string(1000, 'a'), packed);
  EXPECT_EQ(read(frame(Opcode::binary, packed, true, true), limits, &inflater),
            Events{binary(std::string(1000, 'a'))});
  deflater.deflate(std::string(1001, 'a'), packed);
  EXPECT_EQ(read(frame(Opcode::binary, packed, true, true), limits, &inflater), failure(1009));
}

TEST(MessageReader, TakesWhatCannotBeCompressedUpToTheLimit) {
  const ReaderLimits limits{.message_bytes = 10000, .fragments = 1024};
  std::string noise;
  for (unsigned x = 1; noise.size() < 10000; x = x * 1664525 + 1013904223)
    noise += static_cast<char>(x >> 24);
  Deflater deflater;
  Inflater inflater;
  std::string packed;
  deflater.deflate(noise, packed);
  ASSERT_GT(packed.size(), 10000u);
  EXPECT_EQ(read(frame(Opcode::binary, packed, true, true), limits, &inflater), Events{binary(noise)});
}

TEST(MessageReader, DiscardsACompressedMessageOnlyWhereNoContextIsLost) {
  const ReaderLimits limits{.message_bytes = 100, .fragments = 1024};
  Inflater shared;
  Inflater dedicated(DeflateContext::keep);
  const std::string bytes = frame(Opcode::binary, std::string(300, 'x'), true, true);
  EXPECT_EQ(read(bytes, limits, &shared), (Events{{Type::too_large, Opcode::binary, {}}}));
  EXPECT_EQ(read(bytes, limits, &dedicated), failure(1009));
}

TEST(MessageReader, ChecksUtf8AfterInflating) {
  Deflater deflater;
  Inflater inflater;
  std::string packed;
  deflater.deflate("\xED\xA0\x80", packed);
  EXPECT_EQ(read(frame(Opcode::text, packed, true, true), kReaderLimits, &inflater), failure(1007));
  EXPECT_EQ(read(frame(Opcode::binary, packed, true, true), kReaderLimits, &inflater),
            Events{binary("\xED\xA0\x80")});
}

TEST(MessageReader, RefusesDamagedCompressedData) {
  Inflater inflater;
  EXPECT_EQ(read(frame(Opcode::binary, "\xFF\xFF\xFF", true, true), kReaderLimits, &inflater), failure(1007));
}

TEST(TurnRound, MakesPlainMessagesFramesOfTheServersInARow) {
  std::string chunk, expected;
  for (const std::size_t size : {0, 1, 125, 126, 127, 128, 255, 256, 4000, 65535, 7})
    for (const Opcode opcode : {Opcode::text, Opcode::binary}) {
      const std::string payload(size, opcode == Opcode::text ? 'a' : '\xFF');
      chunk += frame(opcode, payload);
      char header[kMaxFrameHeaderBytes];
      expected += std::string(header, write_frame_header(header, opcode, size)) + payload;
    }
  chunk += frame(Opcode::ping, "p");
  MessageReader reader(&kReaderLimits);
  std::span<char> rest(chunk);
  char* out = chunk.data();
  MessageReader::Event event;
  while (reader.turn_round(rest, out, event)) {
  }
  EXPECT_EQ(std::string(chunk.data(), out), expected);
  EXPECT_EQ(event.type, Type::need_more);
  EXPECT_EQ(reader.next(rest, nullptr).type, Type::ping);
}

TEST(TurnRound, LeavesToTheOthersWhatIsNotPlain) {
  MessageReader reader(&kReaderLimits);
  for (std::string chunk :
       {begin(Opcode::text, "a"), frame(Opcode::ping, "a"), frame(Opcode::text, "abc").substr(0, 8),
        frame(Opcode::text, std::string(70'000, 'a')),
        std::string("\x81\x03"
                    "abc")}) {
    std::span<char> rest(chunk);
    const std::string before = chunk;
    char* out = chunk.data();
    MessageReader::Event event;
    EXPECT_FALSE(reader.turn_round(rest, out, event));
    EXPECT_EQ(event.type, Type::need_more);
    EXPECT_EQ(out, chunk.data());
    EXPECT_EQ(rest.size(), before.size());
    EXPECT_EQ(chunk, before);
  }
}

TEST(TurnRound, EndsAtTextThatIsNotUtf8) {
  MessageReader reader(&kReaderLimits);
  std::string chunk = frame(Opcode::text, "a\xFF") + frame(Opcode::text, "b");
  std::span<char> rest(chunk);
  char* out = chunk.data();
  MessageReader::Event event;
  EXPECT_FALSE(reader.turn_round(rest, out, event));
  EXPECT_EQ(event.type, Type::failed);
  EXPECT_EQ(event.code, kCloseInvalidPayload);
  EXPECT_FALSE(reader.turn_round(rest, out, event));
}

}  // namespace
}  // namespace tidewire::wire
