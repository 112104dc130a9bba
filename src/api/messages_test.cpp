#include "api/test_world.h"

namespace tidewire::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Publish, AnswersWithThePositionAndDelivers) {
  World world;
  const auto reader = world.connect(1, "ann");
  world.say(reader, R"({"type":"subscribe","channel":"room:a"})");
  world.bag(reader).messages.clear();

  const Answer answer =
      world.post("/api/v1/publish", R"({"channel":"room:a","event":"hi","data":{"n":1.0}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_THAT(answer.body, testing::MatchesRegex(
                               R"(\{"channel":"room:a","epoch":"[0-9a-z]+","seq":1,"duplicate":false\})"));
  EXPECT_THAT(world.bag(reader).messages,
              ElementsAre(R"({"type":"message","channel":"room:a","seq":1,"timestamp":1762907034678,)"
                          R"("event":"hi","data":{"n":1.0}})"));
}

TEST(Publish, SaysThatARepeatOfAKeyIsADuplicate) {
  World world;
  const std::string body = R"({"channel":"room:a","data":1,"key":"k"})";
  EXPECT_THAT(world.post("/api/v1/publish", body).body, HasSubstr(R"("seq":1,"duplicate":false)"));
  EXPECT_THAT(world.post("/api/v1/publish", body).body, HasSubstr(R"("seq":1,"duplicate":true)"));
}

TEST(Publish, KeepsTheKeysOfEachApiKeyApart) {
  World world;
  const auto publish = [&](const std::string& api_key) {
    return world.post("/api/v1/publish", R"({"channel":"room:a","data":1,"key":"k"})", api_key).body;
  };
  EXPECT_THAT(publish("tw_all"), HasSubstr(R"("seq":1,"duplicate":false)"));
  EXPECT_THAT(publish("tw_publish"), HasSubstr(R"("seq":2,"duplicate":false)"));
  EXPECT_THAT(publish("tw_all"), HasSubstr(R"("seq":1,"duplicate":true)"));
  // As after a restart.
  world.router->reload({.keys = {{"tw_publish", kAllScopes, 0}, {"tw_new", kAllScopes, 0}},
                        .allowed_origins = {},
                        .demo_secret = {},
                        .version = {}});
  EXPECT_THAT(publish("tw_publish"), HasSubstr(R"("seq":2,"duplicate":true)"));
  EXPECT_THAT(publish("tw_new"), HasSubstr(R"("seq":3,"duplicate":false)"));
}

TEST(Publish, AnswersAnEphemeralMessageWithoutASeq) {
  World world;
  EXPECT_EQ(world.post("/api/v1/publish", R"({"channel":"room:a","data":1,"ephemeral":true})").body,
            R"({"channel":"room:a","ephemeral":true})");
}

TEST(Publish, ByAUserNamesTheUserWithoutAConnection) {
  World world;
  const auto reader = world.connect(0, "ann");
  world.say(reader, R"({"type":"subscribe","channel":"room:a"})");
  world.bag(reader).messages.clear();
  EXPECT_EQ(world.as(world.token(7), "POST", "/api/v1/publish", R"({"channel":"room:a","data":1})").status,
            200);
  EXPECT_THAT(world.bag(reader).messages,
              ElementsAre(HasSubstr(R"("from":{"user":{"id":7,"type":"user"}},"data":1)")));
}

TEST(Publish, HoldsAUserToTheRulesOfTheNamespace) {
  World world;
  const std::string body = R"({"channel":"public:news","data":1})";
  EXPECT_EQ(world.as(world.token("ann"), "POST", "/api/v1/publish", body).status, 403);
  EXPECT_EQ(world.as(world.token("ann", {{"public:*", {"publish"}}}), "POST", "/api/v1/publish", body).status,
            200);
  EXPECT_EQ(world.post("/api/v1/publish", body).status, 200);
}

TEST(Publish, RefusesWhatTheProtocolRefuses) {
  World world;
  const auto refused = [&](std::string body) {
    const Answer answer = world.post("/api/v1/publish", std::move(body));
    EXPECT_EQ(answer.content_type, "application/problem+json");
    return std::pair(answer.status, answer.body);
  };
  EXPECT_THAT(refused("{"), testing::Pair(400, HasSubstr(R"("code":"invalid_json")")));
  EXPECT_THAT(refused(""), testing::Pair(400, HasSubstr(R"("code":"invalid_json")")));
  EXPECT_THAT(refused("{\"channel\":\"room:a\",\"data\":\"\xff\"}"), testing::Pair(400, HasSubstr("UTF-8")));
  EXPECT_THAT(refused("[]"), testing::Pair(400, HasSubstr(R"("code":"invalid_message")")));
  EXPECT_THAT(refused(R"({"data":1})"), testing::Pair(400, HasSubstr(R"("code":"invalid_message")")));
  EXPECT_THAT(refused(R"({"channel":"room:","data":1})"),
              testing::Pair(400, HasSubstr(R"("code":"invalid_channel")")));
  EXPECT_THAT(refused(R"({"channel":"typo:x","data":1})"),
              testing::Pair(404, HasSubstr(R"("code":"not_found")")));
  EXPECT_THAT(refused(R"({"channel":"$all","data":1})"),
              testing::Pair(403, HasSubstr(R"("code":"forbidden")")));
  EXPECT_THAT(refused(R"({"channel":"room:a","merge":{}})"),
              testing::Pair(400, HasSubstr(R"("code":"invalid_event")")));
}

TEST(Publish, RefusesABodyOverTheTenantsLimit) {
  World world;
  world.tenants[0].limits.message_bytes = 64;
  const Answer answer =
      world.post("/api/v1/publish", R"({"channel":"room:a","data":")" + std::string(64, 'x') + "\"}");
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body,
            R"({"type":"about:blank","title":"Content Too Large","status":413,"code":"too_large",)"
            R"("detail":"a message may have 64 bytes"})");
}

TEST(Batch, AnswersEveryEntryInItsPlace) {
  World world;
  world.tenants[0].limits.message_bytes = 100;
  const Answer answer = world.post(
      "/api/v1/batch",
      R"({"publish":[{"channel":"room:a","data":1},{"channel":"room:b","data":2},{"channel":"nope:a"},7,)"
      R"({"channel":"room:a","data":")" +
          std::string(100, 'x') +
          R"("},{"channel":"room:a","data":3},{"channel":"room:a","ephemeral":true}]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body,
              testing::MatchesRegex(
                  R"(\{"results":\[\{"channel":"room:a","epoch":"[^"]+","seq":1,"duplicate":false\},)"
                  R"(\{"channel":"room:b","epoch":"[^"]+","seq":1,"duplicate":false\},)"
                  R"(\{"code":"not_found","detail":"[^"]+"\},\{"code":"invalid_message","detail":"[^"]+"\},)"
                  R"(\{"code":"too_large","detail":"[^"]+"\},)"
                  R"(\{"channel":"room:a","epoch":"[^"]+","seq":2,"duplicate":false\},)"
                  R"(\{"channel":"room:a","ephemeral":true\}\]\})"));
}

TEST(Batch, TakesNoneAndAThousandAndNoMore) {
  World world;
  const auto batch = [&](int entries) {
    std::string body = R"({"publish":[)";
    for (int i = 0; i < entries; ++i)
      body += std::string(i == 0 ? "" : ",") + R"({"channel":"room:a","data":1})";
    return world.post("/api/v1/batch", body + "]}");
  };
  EXPECT_EQ(batch(0).body, R"({"results":[]})");
  EXPECT_THAT(batch(1000).body, HasSubstr(R"("seq":1000,)"));
  EXPECT_EQ(batch(1001).status, 400);
  EXPECT_EQ(world.post("/api/v1/batch", R"({"publish":{}})").status, 400);
}

TEST(Batch, LetsAMessageBeAsDeepAsOnItsOwn) {
  World world;
  const std::string data = std::string(63, '[') + std::string(63, ']');
  EXPECT_EQ(world.post("/api/v1/publish", R"({"channel":"room:a","data":)" + data + "}").status, 200);
  EXPECT_EQ(world.post("/api/v1/batch", R"({"publish":[{"channel":"room:a","data":)" + data + "}]}").status,
            200);
  EXPECT_EQ(world.post("/api/v1/publish", R"({"channel":"room:a","data":[)" + data + "]}").status, 400);
}

TEST(Batch, RefusesABodyOverItsLimit) {
  World world({.keys = {}, .allowed_origins = {}, .demo_secret = {}, .version = {}, .batch_bytes = 100});
  EXPECT_EQ(world.post("/api/v1/batch", R"({"publish":[)" + std::string(100, ' ') + "]}").status, 413);
}

TEST(Broadcast, ReachesEveryConnectionOfTheTenantOnly) {
  World world;
  const auto ann = world.connect(0, "ann");
  const auto anonymous = world.connect(1, std::nullopt);
  const auto other = world.connect(1, "ann", 1);
  const Answer answer = world.post("/api/v1/broadcast", R"({"event":"notice","data":[1,2.50]})");
  EXPECT_EQ(answer.body, R"({"connections":2})");
  const std::string expected =
      R"({"type":"message","channel":"$all","timestamp":1762907034678,"event":"notice","data":[1,2.50]})";
  EXPECT_EQ(world.bag(ann).messages.back(), expected);
  EXPECT_EQ(world.bag(anonymous).messages.back(), expected);
  EXPECT_THAT(world.bag(other).messages, testing::Not(testing::Contains(expected)));
}

TEST(Broadcast, RefusesWhatIsNoEvent) {
  World world;
  EXPECT_EQ(world.post("/api/v1/broadcast", "[]").status, 400);
  EXPECT_EQ(world.post("/api/v1/broadcast", "nonsense").status, 400);
  EXPECT_EQ(world.post("/api/v1/broadcast", R"({"event":1})").status, 400);
  EXPECT_EQ(world.post("/api/v1/broadcast", R"({"event":"a","event":"b"})").status, 400);
  EXPECT_EQ(world.post("/api/v1/broadcast", R"({"event":")" + std::string(65, 'e') + "\"}").status, 400);
}

}  // namespace
}  // namespace tidewire::api
