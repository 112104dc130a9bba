#include "protocol/decode.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace tidewire::protocol {
namespace {

constexpr int kDepth = 64;

template <class Body>
Body body_of(std::string_view text) {
  auto request = decode(text, kDepth);
  if (!request) {
    ADD_FAILURE() << text << ": " << request.error().error.message;
    return {};
  }
  return std::get<Body>(request->body);
}

std::string refusal(std::string_view text) {
  const auto request = decode(text, kDepth);
  return request ? "taken" : std::string(name_of(request.error().error.code));
}

std::string id_of(std::string_view text) {
  const auto request = decode(text, kDepth);
  return request ? request->id : request.error().id;
}

void all_are(std::string_view code, std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) EXPECT_EQ(refusal(text), code) << text;
}

TEST(Decode, RefusesWhatIsNotJson) {
  all_are("invalid_json",
          {"", "{", "{\"type\":\"ping\",}", "ping", "{\"type\":\"ping\"}x", "{'type':'ping'}", "\x01"});
}

TEST(Decode, RefusesJsonNestedTooDeep) {
  const auto nested = [](int depth) {
    return "{\"type\":\"ping\",\"data\":" + std::string(static_cast<std::size_t>(depth - 1), '[') +
           std::string(static_cast<std::size_t>(depth - 1), ']') + "}";
  };
  EXPECT_EQ(refusal(nested(kDepth)), "taken");
  EXPECT_EQ(refusal(nested(kDepth + 1)), "invalid_json");
}

TEST(Decode, RefusesAnEnvelopeThatIsNoObjectWithAStringType) {
  all_are("invalid_message", {"[]", "1", "null", "\"ping\"", "{}", "{\"type\":1}", "{\"type\":null}",
                              "{\"id\":1}", "{\"type\":[\"ping\"]}"});
}

TEST(Decode, RefusesATypeThatDoesNotExist) {
  all_are("unknown_type",
          {"{\"type\":\"\"}", "{\"type\":\"Ping\"}", "{\"type\":\"subscribed\"}", "{\"type\":\"ping \"}"});
  const auto failure = decode(R"({"type":"dance","id":"a","channel":"room:1"})", kDepth);
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error().id, "\"a\"");
  EXPECT_EQ(failure.error().type, "dance");
  EXPECT_EQ(failure.error().channel, "room:1");
}

TEST(Decode, CutsALongNameInItsAnswerBetweenCharacters) {
  for (std::size_t pad = 0; pad < 4; ++pad) {
    std::string name(pad, 'x');
    while (name.size() < 200) name += "\xe2\x82\xac";
    for (const std::string& text :
         {"{\"type\":\"" + name + "\"}", "{\"type\":\"ping\",\"" + name + "\":1,\"" + name + "\":2}"}) {
      const auto failure = decode(text, kDepth);
      ASSERT_FALSE(failure);
      std::string_view message = failure.error().error.message;
      const std::size_t at = message.find(pad == 0 ? "\xe2" : "x");
      ASSERT_NE(at, std::string_view::npos);
      message.remove_prefix(at + pad);
      while (message.starts_with("\xe2\x82\xac")) message.remove_prefix(3);
      EXPECT_TRUE(static_cast<unsigned char>(message.front()) < 0x80) << "half a character";
    }
  }
}

TEST(Decode, TakesAnEscapedTypeForWhatItSays) { EXPECT_EQ(refusal(R"({"type":"p\u0069ng"})"), "taken"); }

TEST(Decode, RepeatsTheIdAsItStands) {
  EXPECT_EQ(id_of(R"({"type":"ping","id":"a\u0062"})"), R"("a\u0062")");
  EXPECT_EQ(id_of(R"({"type":"ping","id":-17})"), "-17");
  EXPECT_EQ(id_of(R"({"type":"ping","id":9223372036854775808})"), "9223372036854775808");
  EXPECT_EQ(id_of(R"({"type":"ping","id":)" + std::string(64, '9') + "}"), std::string(64, '9'));
  EXPECT_EQ(refusal(R"({"type":"ping","id":)" + std::string(65, '9') + "}"), "invalid_message");
  EXPECT_EQ(id_of(R"({"type":"ping","id":""})"), "\"\"");
  EXPECT_EQ(id_of(R"({"type":"ping","id":null})"), "");
  EXPECT_EQ(id_of(R"({"type":"ping"})"), "");
  EXPECT_EQ(id_of(R"({"type":"publish","id":5})"), "5") << "also in a refusal";
}

TEST(Decode, RefusesAnIdOfAnotherTypeAndAnswersWithoutIt) {
  for (const char* id : {"1.5", "1e3", "true", "[]", "{}", "[1]"}) {
    const std::string text = fmt::format(R"({{"type":"ping","id":{}}})", id);
    EXPECT_EQ(refusal(text), "invalid_message") << text;
    EXPECT_EQ(id_of(text), "") << text;
  }
  EXPECT_EQ(refusal(R"({"type":"ping","id":")" + std::string(64, 'x') + "\"}"), "taken");
  EXPECT_EQ(refusal(R"({"type":"ping","id":")" + std::string(65, 'x') + "\"}"), "invalid_message");
  std::string accents;
  for (int i = 0; i < 64; ++i) accents += "\xc3\xa9";
  EXPECT_EQ(refusal(R"({"type":"ping","id":")" + accents + "\"}"), "taken")
      << "characters are counted, not bytes";
}

TEST(Decode, RefusesADoubledKeyInTheEnvelopeAndNotInData) {
  all_are("invalid_message", {R"({"type":"ping","type":"ping"})", R"({"type":"ping","x":1,"x":1})",
                              R"({"type":"ping","x":1,"\u0078":1})", R"({"type":"ping","id":1,"id":1})"});
  EXPECT_EQ(refusal(R"({"type":"ping","data":{"a":1,"a":2}})"), "taken");
  std::string many = "{\"type\":\"ping\"";
  for (int i = 0; i < 40; ++i) many += fmt::format(",\"k{}\":0", i);
  EXPECT_EQ(refusal(many + "}"), "taken");
  EXPECT_EQ(refusal(many + ",\"k3\":1}"), "invalid_message");
  EXPECT_EQ(refusal(many + ",\"k30\":1}"), "invalid_message");
}

TEST(Decode, IgnoresFieldsItDoesNotKnow) { EXPECT_EQ(refusal(R"({"type":"ping","later":[{}]})"), "taken"); }

TEST(Decode, ReadsAPing) {
  const std::string text = R"({"type":"ping","data": {"a" : 1.0e2} })";
  const auto request = decode(text, kDepth);
  ASSERT_TRUE(request);
  const auto data = std::get<PingRequest>(request->body).data;
  EXPECT_EQ(data, R"({"a" : 1.0e2})");
  EXPECT_EQ(data.data(), text.data() + text.find("{\"a\"")) << "a slice of the message";
  EXPECT_EQ(body_of<PingRequest>(R"({"type":"ping"})").data, "");
}

TEST(Decode, ReadsAnAuth) {
  EXPECT_EQ(body_of<AuthRequest>(R"({"type":"auth","token":"a.b.c"})").token, "a.b.c");
  EXPECT_EQ(body_of<AuthRequest>(R"({"type":"auth"})").token, "") << "missing is said in an auth_error";
  all_are("invalid_message", {R"({"type":"auth","token":1})", R"({"type":"auth","token":null})"});
}

TEST(Decode, ReadsASubscribeToOneChannel) {
  const auto plain = body_of<SubscribeRequest>(R"({"type":"subscribe","channel":"room:1"})");
  ASSERT_EQ(plain.channels.size(), 1u);
  EXPECT_EQ(plain.channels[0].channel, "room:1");
  EXPECT_FALSE(plain.channels[0].since || plain.channels[0].history || plain.channels[0].presence);
  EXPECT_TRUE(plain.channels[0].snapshot);
  const auto full = body_of<SubscribeRequest>(
      R"({"type":"subscribe","channel":"c","since":{"epoch":"e","seq":9007199254740991},"history":0,"presence":true,"snapshot":false})");
  EXPECT_EQ(full.channels[0].since, (Position{"e", (std::uint64_t{1} << 53) - 1}));
  EXPECT_EQ(full.channels[0].history, 0u);
  EXPECT_TRUE(full.channels[0].presence);
  EXPECT_FALSE(full.channels[0].snapshot);
}

TEST(Decode, ReadsASubscribeToMany) {
  const auto many = body_of<SubscribeRequest>(
      R"({"type":"subscribe","channels":["a",{"channel":"b","history":3},{"channel":"c","since":{"epoch":"e","seq":0}}]})");
  ASSERT_EQ(many.channels.size(), 3u);
  EXPECT_EQ(many.channels[0].channel, "a");
  EXPECT_EQ(many.channels[1].history, 3u);
  EXPECT_EQ(many.channels[2].since, (Position{"e", 0}));
}

TEST(Decode, KeepsTheFaultOfOneChannelOfSeveralApart) {
  const auto many = body_of<SubscribeRequest>(
      R"({"type":"subscribe","channels":["a",{"channel":"b","history":-1},{"channel":"c","since":5},{"channel":"d"}]})");
  ASSERT_EQ(many.channels.size(), 4u);
  EXPECT_EQ(many.channels[0].fault + many.channels[3].fault, "");
  EXPECT_EQ(many.channels[1].channel, "b");
  EXPECT_THAT(many.channels[1].fault, testing::HasSubstr("`history`"));
  EXPECT_THAT(many.channels[2].fault, testing::HasSubstr("`since`"));
}

TEST(Decode, RefusesABadSubscribe) {
  const auto with = [](std::string_view more) {
    return fmt::format(R"({{"type":"subscribe","channel":"c",{}}})", more);
  };
  all_are("invalid_message", {R"({"type":"subscribe"})",
                              R"({"type":"subscribe","channel":1})",
                              R"({"type":"subscribe","channels":{}})",
                              R"({"type":"subscribe","channels":[]})",
                              R"({"type":"subscribe","channels":[1]})",
                              R"({"type":"subscribe","channels":[{}]})",
                              R"({"type":"subscribe","channels":["a",null]})",
                              R"({"type":"subscribe","channels":["a",{"since":{"epoch":"e","seq":1}}]})",
                              R"({"type":"subscribe","channels":["a",{"channel":1}]})",
                              with(R"("channels":["a"])"),
                              with(R"("history":-1)"),
                              with(R"("history":1.5)"),
                              with(R"("history":"3")"),
                              with(R"("history":9007199254740992)"),
                              with(R"("presence":1)"),
                              with(R"("presence":"true")"),
                              with(R"("snapshot":null)"),
                              with(R"("since":5)"),
                              with(R"("since":null)"),
                              with(R"("since":{})"),
                              with(R"("since":{"seq":1})"),
                              with(R"("since":{"epoch":"e"})"),
                              with(R"("since":{"epoch":1,"seq":1})"),
                              with(R"("since":{"epoch":"e","seq":-1})"),
                              with(R"("since":{"epoch":"e","seq":1.0})"),
                              with(R"("since":{"epoch":"e","seq":9007199254740992})"),
                              with("\"since\":{\"epoch\":\"" + std::string(33, 'e') + "\",\"seq\":1}")});
  EXPECT_EQ(refusal(with("\"since\":{\"epoch\":\"" + std::string(32, 'e') + "\",\"seq\":1}")), "taken");
}

TEST(Decode, TakesOneToAHundredChannels) {
  const auto of = [](int count) {
    std::string text = R"({"type":"subscribe","channels":[)";
    for (int i = 0; i < count; ++i) text += (i > 0 ? ",\"c\"" : "\"c\"");
    return text + "]}";
  };
  EXPECT_EQ(refusal(of(100)), "taken");
  EXPECT_EQ(refusal(of(101)), "invalid_message");
}

TEST(Decode, ReadsAnUnsubscribe) {
  EXPECT_EQ(body_of<UnsubscribeRequest>(R"({"type":"unsubscribe","channel":"c"})").channel, "c");
  all_are("invalid_message", {R"({"type":"unsubscribe"})", R"({"type":"unsubscribe","channel":[]})"});
}

TEST(Decode, ReadsAPublishWithEveryOption) {
  const auto plain = body_of<PublishRequest>(R"({"type":"publish","channel":"c"})");
  EXPECT_TRUE(plain.data.empty() && plain.merge.empty() && plain.patch.empty() && plain.event.empty() &&
              plain.key.empty());
  EXPECT_TRUE(plain.echo && !plain.ephemeral && !plain.priority && !plain.if_seq && plain.ttl_ms == 0);
  const auto full = body_of<PublishRequest>(
      R"({"type":"publish","channel":"c","data":null,"event":"e","key":"k","priority":"critical","ttl_ms":2199023255552,"echo":false})");
  EXPECT_EQ(full.data, "null");
  EXPECT_EQ(full.event, "e");
  EXPECT_EQ(full.key, "k");
  EXPECT_EQ(full.priority, Priority::critical);
  EXPECT_EQ(full.ttl_ms, std::uint64_t{1} << 41);
  EXPECT_FALSE(full.echo);
  EXPECT_TRUE(body_of<PublishRequest>(R"({"type":"publish","channel":"c","ephemeral":true})").ephemeral);
  const auto document =
      body_of<PublishRequest>(R"({"type":"publish","channel":"c","merge":{"a":1},"if_seq":0})");
  EXPECT_EQ(document.merge, "{\"a\":1}");
  EXPECT_EQ(document.if_seq, 0u);
  EXPECT_EQ(body_of<PublishRequest>(R"({"type":"publish","channel":"c","patch":[]})").patch, "[]");
}

TEST(Decode, RefusesABadPublish) {
  const auto with = [](std::string_view more) {
    return fmt::format(R"({{"type":"publish","channel":"c",{}}})", more);
  };
  all_are("invalid_message", {R"({"type":"publish"})",
                              R"({"type":"publish","channel":null})",
                              with(R"("event":1)"),
                              with(R"("event":"")"),
                              with(R"("key":"")"),
                              with(R"("key":7)"),
                              with(R"("priority":"urgent")"),
                              with(R"("priority":1)"),
                              with(R"("priority":"High")"),
                              with(R"("ttl_ms":0)"),
                              with(R"("ttl_ms":-1)"),
                              with(R"("ttl_ms":2199023255553)"),
                              with(R"("ttl_ms":"1")"),
                              with(R"("ephemeral":"yes")"),
                              with(R"("echo":0)"),
                              with(R"("if_seq":-1)"),
                              with(R"("if_seq":null)"),
                              with(R"("ephemeral":true,"key":"k")"),
                              with("\"event\":\"" + std::string(65, 'e') + "\""),
                              with("\"key\":\"" + std::string(129, 'k') + "\"")});
  EXPECT_EQ(refusal(with("\"event\":\"" + std::string(64, 'e') + "\"")), "taken");
  EXPECT_EQ(refusal(with("\"key\":\"" + std::string(128, 'k') + "\"")), "taken");
}

TEST(Decode, ReadsAHistory) {
  const auto plain = body_of<HistoryRequest>(R"({"type":"history","channel":"c"})");
  EXPECT_FALSE(plain.after || plain.before || plain.epoch);
  EXPECT_EQ(plain.limit, 100u);
  const auto full = body_of<HistoryRequest>(
      R"({"type":"history","channel":"c","after":1,"before":9,"limit":5000,"epoch":"e"})");
  EXPECT_EQ(full.after, 1u);
  EXPECT_EQ(full.before, 9u);
  EXPECT_EQ(full.limit, 5000u) << "clamped where it is read";
  EXPECT_EQ(full.epoch, "e");
  const auto with = [](std::string_view more) {
    return fmt::format(R"({{"type":"history","channel":"c",{}}})", more);
  };
  all_are("invalid_message", {R"({"type":"history"})", with(R"("after":-1)"), with(R"("before":"x")"),
                              with(R"("limit":-1)"), with(R"("limit":1.5)"), with(R"("epoch":3)")});
}

TEST(Decode, ReadsAPresence) {
  using enum PresenceAction;
  EXPECT_EQ(body_of<PresenceRequest>(R"({"type":"presence","channel":"c","action":"enter","data":[1]})").data,
            "[1]");
  EXPECT_EQ(body_of<PresenceRequest>(R"({"type":"presence","channel":"c","action":"enter"})").action, enter);
  EXPECT_EQ(body_of<PresenceRequest>(R"({"type":"presence","channel":"c","action":"update"})").action,
            update);
  EXPECT_EQ(body_of<PresenceRequest>(R"({"type":"presence","channel":"c","action":"leave"})").action, leave);
  EXPECT_EQ(body_of<PresenceRequest>(R"({"type":"presence","channel":"c","action":"get"})").action, get);
  all_are("invalid_message", {R"({"type":"presence","channel":"c"})", R"({"type":"presence","action":"get"})",
                              R"({"type":"presence","channel":"c","action":"join"})",
                              R"({"type":"presence","channel":"c","action":1})"});
}

TEST(Decode, ReadsAnAckWithExactlyOneOfItsForms) {
  const auto seqs = body_of<AckRequest>(R"({"type":"ack","channel":"user:1","seqs":[7,9]})");
  EXPECT_EQ(seqs.seqs, (std::vector<std::uint64_t>{7, 9}));
  EXPECT_EQ(body_of<AckRequest>(R"({"type":"ack","channel":"user:1","up_to":9})").up_to, 9u);
  EXPECT_TRUE(body_of<AckRequest>(R"({"type":"ack","channel":"user:1","seqs":[]})").seqs.empty());
  std::string many = "1";
  for (int i = 1; i < 10'000; ++i) many += ",1";
  EXPECT_EQ(body_of<AckRequest>(R"({"type":"ack","channel":"user:1","seqs":[)" + many + "]}").seqs.size(),
            10'000u);
  EXPECT_EQ(refusal(R"({"type":"ack","channel":"user:1","seqs":[)" + many + ",1]}"), "invalid_message");
  const auto with = [](std::string_view more) {
    return fmt::format(R"({{"type":"ack","channel":"user:1"{}}})", more);
  };
  all_are("invalid_message", {with(""), with(R"(,"seqs":[1],"up_to":1)"), with(R"(,"seqs":7)"),
                              with(R"(,"seqs":["7"])"), with(R"(,"seqs":[-1])"), with(R"(,"seqs":[1.5])"),
                              with(R"(,"up_to":-1)"), with(R"(,"up_to":"9")")});
}

TEST(DecodePublish, TakesABodyWithoutAType) {
  const std::string text = R"({"channel":"c","data":{"a":1},"key":"k"})";
  const auto request = decode_publish(text, kDepth);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->channel, "c");
  EXPECT_EQ(request->data, R"({"a":1})");
  EXPECT_EQ(decode_publish("[", kDepth).error().code, ErrorCode::invalid_json);
  for (const char* bad : {"[]", "{}", "{\"channel\":1}", "{\"channel\":\"c\",\"channel\":\"d\"}",
                          "{\"channel\":\"c\",\"ttl_ms\":0}"})
    EXPECT_EQ(decode_publish(bad, kDepth).error().code, ErrorCode::invalid_message) << bad;
}

TEST(DecodeBatch, JudgesEveryEntryByItself) {
  const std::string text = R"({"publish":[{"channel":"a"},5,{"channel":"b","ttl_ms":0},{"channel":"c"}]})";
  const auto batch = decode_batch(text, kDepth, 4);
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->size(), 4u);
  EXPECT_EQ((*batch)[0]->channel, "a");
  EXPECT_EQ((*batch)[1].error().code, ErrorCode::invalid_message);
  EXPECT_EQ((*batch)[2].error().code, ErrorCode::invalid_message);
  EXPECT_EQ((*batch)[3]->channel, "c");
}

TEST(DecodeBatch, RefusesABodyThatIsNoBatch) {
  EXPECT_EQ(decode_batch("{", kDepth, 4).error().code, ErrorCode::invalid_json);
  for (const char* bad :
       {"[]", "{}", R"({"publish":{}})", R"({"publish":[1,2,3,4,5]})", R"({"publish":[],"publish":[]})"})
    EXPECT_EQ(decode_batch(bad, kDepth, 4).error().code, ErrorCode::invalid_message) << bad;
  EXPECT_TRUE(decode_batch(R"({"publish":[]})", kDepth, 4)->empty());
}

TEST(ChannelOf, NamesTheOneChannelARequestSpeaksOf) {
  const auto channel = [](std::string_view text) { return std::string(channel_of(*decode(text, kDepth))); };
  EXPECT_EQ(channel(R"({"type":"publish","channel":"c"})"), "c");
  EXPECT_EQ(channel(R"({"type":"subscribe","channel":"c"})"), "c");
  EXPECT_EQ(channel(R"({"type":"subscribe","channels":["a","b"]})"), "");
  EXPECT_EQ(channel(R"({"type":"ping"})"), "");
}

TEST(Priority, HasFourNamesInOrder) {
  for (const char* name : {"critical", "high", "medium", "low"})
    EXPECT_EQ(name_of(*priority_named(name)), name);
  EXPECT_FALSE(priority_named("none"));
  EXPECT_LT(Priority::critical, Priority::low);
}

}  // namespace
}  // namespace tidewire::protocol
