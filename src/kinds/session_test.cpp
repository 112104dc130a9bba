#include "kinds/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinds/test_written.h"

namespace tidewire::kinds {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

// Who publishes: the author as it stands in JSON; empty: an API key; `null`: anonymous.
struct Who {
  std::string author;
  bool grant = false;
};

struct World {
  explicit World(const SessionOptions& options = {}) : session(options) {}

  // What the hub does with a publish. A refused one has no seq.
  std::string publish(const Who& who, const std::string& name, const std::string& data = "null",
                      bool ephemeral = false, const std::string& form = "data") {
    const Event event =
        Written{
            .seq = ephemeral ? 0 : seq + 1, .name = name, .author = who.author, .data = data, .form = form}
            .event();
    const Asker asker{.user_id = event.user_id,
                      .user_json = event.user_json,
                      .server = who.author.empty(),
                      .may_subscribe = who.grant || who.author.empty(),
                      .may_publish = who.grant || who.author.empty()};
    const std::string before = session.save();
    std::string result = outcome(session.admit(event, asker));
    if (result == "ok") result = outcome(session.take(event, asker));
    if (result == "ok" && !ephemeral) ++seq;
    if (result != "ok" || ephemeral) {
      EXPECT_EQ(session.save(), before);
    }
    return result;
  }
  std::string shown() const { return session.snapshot(0); }

  SessionChannel session;
  std::uint64_t seq = 0;
};

const Who kServer{};
const Who kAnonymous{"null"};
const Who kAnna{"\"anna\""};
const Who kBob{"\"bob\""};
const Who kSeven{"7"};
const Who kGuest{"\"guest\"", true};

// Anna owns it, bob is a member, the last seq is 2.
struct WorldOfTwo : World {
  WorldOfTwo() {
    EXPECT_EQ(publish(kAnna, "join"), "ok");
    EXPECT_EQ(publish(kAnna, "join", R"({"user":"bob"})"), "ok");
  }
};

TEST(SessionChannel, KnowsWhoWasAMemberWhenAMessageWasWritten) {
  WorldOfTwo world;
  world.publish(kAnna, "message");  // 3
  const auto change = [&](const std::string& name, const std::string& user) {
    EXPECT_EQ(world.publish(kAnna, name, R"({"user":")" + user + "\"}"), "ok");
  };
  const auto anybody = [](std::string_view) { return true; };
  const auto at = [&](std::uint64_t seq) {
    // What is saved knows it as well.
    SessionChannel saved({});
    EXPECT_TRUE(saved.restore(world.session.save()));
    EXPECT_EQ(saved.members_at(seq, anybody), world.session.members_at(seq, anybody));
    return world.session.members_at(seq, anybody);
  };
  EXPECT_THAT(at(3), UnorderedElementsAre("anna", "bob"));
  change("join", "eve");  // 4
  EXPECT_THAT(at(3), UnorderedElementsAre("anna", "bob"));
  change("join", "bob");
  EXPECT_THAT(at(3), UnorderedElementsAre("anna", "bob"));
  change("leave", "bob");
  change("leave", "eve");  // 7
  EXPECT_THAT(at(3), UnorderedElementsAre("anna", "bob"));
  change("join", "bob");
  EXPECT_THAT(at(3), UnorderedElementsAre("anna", "bob"));
  EXPECT_THAT(at(5), UnorderedElementsAre("anna", "bob", "eve"));
  EXPECT_THAT(at(world.seq + 1), UnorderedElementsAre("anna", "bob"));
  world.session.forget_leavers(7);
  EXPECT_THAT(at(5), UnorderedElementsAre("anna", "eve"));
  world.session.forget_leavers(8);
  EXPECT_THAT(at(5), UnorderedElementsAre("anna"));
}

TEST(SessionChannel, HasToldALeaverWhatItHasRead) {
  WorldOfTwo world;
  for (int i = 0; i < 2; ++i) world.publish(kAnna, "message");
  world.publish(kBob, "read", R"({"seq":3})");
  world.publish(kBob, "leave");
  const auto bob = [](std::string_view user_id) { return user_id == "bob"; };
  EXPECT_TRUE(world.session.members_at(3, bob).empty());
  EXPECT_EQ(world.session.members_at(4, bob).size(), 1u);
}

TEST(SessionChannel, IsEmptyAtFirst) {
  const World world;
  EXPECT_EQ(world.shown(), R"({"members":[],"last_seq":0})");
  EXPECT_FALSE(world.session.owned_by("anna"));
  EXPECT_FALSE(world.session.owned_by(""));
}

TEST(SessionChannel, ShowsItsMembersInTheOrderOfJoining) {
  World world;
  world.publish(kSeven, "join", "{}");
  world.publish(kSeven, "message", R"("hello")");
  world.publish(kSeven, "join", R"({"user":"bob"})");
  world.publish(kSeven, "message");
  EXPECT_EQ(world.shown(), R"({"members":[{"user":7,"role":"owner","read":1,"unread":0},)"
                           R"({"user":"bob","role":"member","read":3,"unread":1}],"last_seq":4})");
  ASSERT_EQ(world.session.members().size(), 2u);
  EXPECT_EQ(world.session.members()[0].user_id, "7");
  EXPECT_EQ(world.session.members()[0].user_json, "7");
  EXPECT_TRUE(world.session.members()[0].owner);
  EXPECT_TRUE(world.session.owned_by("7"));
  EXPECT_TRUE(world.session.owned_by("bob"));
  EXPECT_FALSE(world.session.owned_by("anna"));
  EXPECT_FALSE(world.session.owned_by(""));
}

TEST(SessionChannel, LetsOnlyMembersPublish) {
  World world;
  EXPECT_EQ(world.publish(kAnna, "message"), "forbidden");
  world.publish(kAnna, "join");
  EXPECT_EQ(world.publish(kAnna, "message"), "ok");
  for (const char* name : {"message", "edit", "delete", "read", "leave", "custom"})
    EXPECT_EQ(world.publish(kBob, name, R"({"seq":2})"), "forbidden") << name;
  for (const char* name : {"message", "edit", "delete", "read", "leave", "join", "custom"})
    EXPECT_EQ(world.publish(kAnonymous, name, R"({"seq":2})"), "unauthorized") << name;
  EXPECT_EQ(world.publish(kBob, "typing", "null", true), "forbidden");
  EXPECT_EQ(world.publish(kAnonymous, "typing", "null", true), "unauthorized");
  EXPECT_EQ(world.publish(kServer, "message"), "ok");
  EXPECT_EQ(world.publish(kGuest, "message"), "ok");
  EXPECT_FALSE(world.session.owned_by("guest"));
}

TEST(SessionChannel, IsJoinedByTheFirstUserWhoBecomesTheOwner) {
  World world;
  EXPECT_EQ(world.publish(kAnonymous, "join"), "unauthorized");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":"bob"})"), "forbidden");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":"anna","as":"host"})"), "ok");
  EXPECT_EQ(world.publish(kBob, "join"), "forbidden");
  EXPECT_EQ(world.publish(kBob, "join", R"({"user":7})"), "forbidden");
  EXPECT_EQ(world.publish(kBob, "join", "[]"), "forbidden");
  EXPECT_TRUE(world.session.members()[0].owner);
}

TEST(SessionChannel, IsJoinedWithAGrantOrWhereItIsOpen) {
  WorldOfTwo world;
  EXPECT_EQ(world.publish(kGuest, "join"), "ok");
  EXPECT_EQ(world.publish({"\"other\"", true}, "join"), "ok");
  EXPECT_TRUE(world.session.owned_by("other"));
  EXPECT_EQ(world.publish({"\"other\"", true}, "join", R"({"user":"third"})"), "forbidden");
  EXPECT_EQ(world.publish(kSeven, "join"), "forbidden");
  world.session.set_options({.open_join = true});
  EXPECT_EQ(world.publish(kSeven, "join", R"({"user":"eight"})"), "forbidden");
  EXPECT_EQ(world.publish(kAnonymous, "join"), "unauthorized");
  EXPECT_EQ(world.publish({"null", true}, "join", R"({"user":"eight"})"), "unauthorized");
  EXPECT_EQ(world.publish(kSeven, "join"), "ok");
  EXPECT_FALSE(world.session.members().back().owner);
}

TEST(SessionChannel, LetsTheOwnerAndTheServerAddOthersAndNoMember) {
  WorldOfTwo world;
  EXPECT_EQ(world.publish(kBob, "join", R"({"user":7})"), "forbidden");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":7})"), "ok");
  EXPECT_EQ(world.publish(kServer, "join", R"({"user":8})"), "ok");
  EXPECT_EQ(world.publish(kServer, "join"), "invalid_event");
  EXPECT_EQ(world.publish(kServer, "join", "{}"), "invalid_event");
  EXPECT_EQ(world.session.members().size(), 4u);
}

TEST(SessionChannel, IsOwnedByTheFirstUserThatTheServerAdds) {
  World world;
  EXPECT_EQ(world.publish(kServer, "join", R"({"user":"bob"})"), "ok");
  EXPECT_TRUE(world.session.members()[0].owner);
  EXPECT_EQ(world.publish(kBob, "join", R"({"user":"anna"})"), "ok");
  EXPECT_FALSE(world.session.owned_by(""));
}

TEST(SessionChannel, KeepsAMembersRoleAndPositionWhenItJoinsAgain) {
  WorldOfTwo world;
  world.publish(kAnna, "message");
  const auto before = world.session.members()[1];
  EXPECT_EQ(world.publish(kBob, "join"), "ok");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":"bob"})"), "ok");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":"anna"})"), "ok");
  ASSERT_EQ(world.session.members().size(), 2u);
  EXPECT_EQ(world.session.members()[1].read, before.read);
  EXPECT_EQ(world.session.members()[1].unread, 1u);
  EXPECT_TRUE(world.session.members()[0].owner);
  EXPECT_THAT(world.shown(), HasSubstr(R"("last_seq":6)"));
}

TEST(SessionChannel, TakesANumberAndItsTextForOneUser) {
  World world;
  EXPECT_EQ(world.publish({"\"1\""}, "join"), "ok");
  EXPECT_EQ(world.publish({"1"}, "join", R"({"user":1})"), "ok");
  EXPECT_EQ(world.publish({"1"}, "message"), "ok");
  ASSERT_EQ(world.session.members().size(), 1u);
  EXPECT_THAT(world.shown(), HasSubstr(R"({"user":"1","role":"owner","read":1,"unread":0})"));
  EXPECT_EQ(world.publish({"1"}, "leave", R"({"user":1})"), "ok");
  EXPECT_EQ(world.publish(kServer, "join", R"({"user":1})"), "ok");
  EXPECT_THAT(world.shown(), HasSubstr(R"({"user":1,"role":"owner")"));
}

TEST(SessionChannel, RefusesToJoinWhatIsNoUser) {
  WorldOfTwo world;
  const std::string longest(200, 'a');
  EXPECT_EQ(world.publish(kAnna, "join", "{\"user\":\"" + longest + "\"}"), "ok");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":9007199254740991})"), "ok");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":-5})"), "ok");
  EXPECT_EQ(world.publish(kAnna, "join", R"({"user":"a\u002Fb\/c"})"), "ok");
  EXPECT_EQ(world.session.members().back().user_json, "\"a/b/c\"");
  for (const std::string& data : std::vector<std::string>{
           "1", "\"carl\"", "[]", "true", R"({"user":null})", R"({"user":""})", R"({"user":"two words"})",
           R"({"user":"ü"})", R"({"user":1.0})", R"({"user":1e3})", R"({"user":9007199254740992})",
           R"({"user":99999999999999999999})", R"({"user":true})", R"({"user":{"id":1}})", R"({"user":[1]})",
           "{\"user\":\"" + longest + "a\"}"}) {
    EXPECT_EQ(world.publish(kAnna, "join", data), "invalid_event") << data;
    EXPECT_EQ(world.publish(kServer, "join", data), "invalid_event") << data;
    EXPECT_EQ(world.publish(kAnna, "leave", data), "invalid_event") << data;
    EXPECT_EQ(world.publish(kBob, "leave", data), "invalid_event") << data;
  }
  EXPECT_EQ(world.session.members().size(), 6u);
}

TEST(SessionChannel, HasRoomForSoManyMembers) {
  World world({.open_join = true, .members_max = 2});
  world.publish(kAnna, "join");
  world.publish(kBob, "join");
  EXPECT_EQ(world.publish(kSeven, "join"), "invalid_event");
  EXPECT_EQ(world.publish(kBob, "join"), "ok");
  EXPECT_EQ(world.publish(kBob, "leave"), "ok");
  EXPECT_EQ(world.publish(kSeven, "join"), "ok");
}

TEST(SessionChannel, IsLeftByMembersThemselves) {
  WorldOfTwo world;
  EXPECT_EQ(world.publish(kBob, "leave", R"({"user":"bob"})"), "ok");
  EXPECT_EQ(world.publish(kBob, "leave"), "forbidden");
  EXPECT_EQ(world.publish(kBob, "message"), "forbidden");
  EXPECT_EQ(world.publish(kGuest, "leave"), "invalid_event");
  EXPECT_FALSE(world.session.owned_by("bob"));
}

TEST(SessionChannel, IsLeftForOthersByTheOwnerAndTheServerAlone) {
  WorldOfTwo world;
  world.publish(kAnna, "join", R"({"user":7})");
  EXPECT_EQ(world.publish(kBob, "leave", R"({"user":7})"), "forbidden");
  EXPECT_EQ(world.publish(kGuest, "leave", R"({"user":7})"), "forbidden");
  EXPECT_EQ(world.publish(kServer, "leave"), "invalid_event");
  EXPECT_EQ(world.publish(kAnna, "leave", R"({"user":"nobody"})"), "invalid_event");
  EXPECT_EQ(world.publish(kServer, "leave", R"({"user":"nobody"})"), "invalid_event");
  EXPECT_EQ(world.publish(kAnna, "leave", R"({"user":"7"})"), "ok");
  EXPECT_EQ(world.publish(kServer, "leave", R"({"user":"bob"})"), "ok");
  EXPECT_EQ(world.session.members().size(), 1u);
}

TEST(SessionChannel, IsInheritedByTheLongestMember) {
  WorldOfTwo world;
  world.publish(kAnna, "join", R"({"user":7})");
  EXPECT_EQ(world.publish(kAnna, "leave"), "ok");
  EXPECT_EQ(world.session.members()[0].user_id, "bob");
  EXPECT_TRUE(world.session.members()[0].owner);
  EXPECT_EQ(world.publish(kBob, "join", R"({"user":"anna"})"), "ok");
  EXPECT_FALSE(world.session.members()[2].owner);
  for (const char* user : {R"({"user":"bob"})", R"({"user":7})", R"({"user":"anna"})"})
    EXPECT_EQ(world.publish(kServer, "leave", user), "ok");
  EXPECT_THAT(world.shown(), HasSubstr(R"("members":[])"));
  // One that all have left does not open itself to strangers.
  EXPECT_EQ(world.publish(kSeven, "join"), "forbidden");
  EXPECT_EQ(world.publish(kServer, "join", R"({"user":7})"), "ok");
  EXPECT_TRUE(world.session.members()[0].owner);
}

TEST(SessionChannel, CountsWhatOthersWroteAsUnread) {
  WorldOfTwo world;
  world.publish(kAnna, "message");    // 3
  world.publish(kBob, "message");     // 4
  world.publish(kServer, "message");  // 5
  world.publish(kAnna, "custom");     // 6
  world.publish(kAnna, "");           // 7, a message by default
  EXPECT_EQ(world.session.members()[0].unread, 2u);
  EXPECT_EQ(world.session.members()[1].unread, 3u);
  EXPECT_EQ(world.session.members()[1].read, 2u);
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":3})"), "ok");
  EXPECT_EQ(world.session.members()[1].unread, 2u);
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":3})"), "ok");
  EXPECT_EQ(world.publish(kServer, "delete", R"({"seq":7})"), "ok");
  EXPECT_EQ(world.session.members()[1].unread, 1u);
  EXPECT_EQ(world.publish(kAnna, "delete", R"({"seq":3})"), "ok");
  EXPECT_EQ(world.session.members()[1].unread, 1u);
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":11})"), "ok");
  EXPECT_EQ(world.session.members()[1].unread, 0u);
  EXPECT_EQ(world.session.members()[1].read, 11u);
}

TEST(SessionChannel, StartsANewMemberWithNothingUnread) {
  WorldOfTwo world;
  world.publish(kAnna, "message");
  world.publish(kAnna, "join", R"({"user":7})");
  EXPECT_EQ(world.session.members()[2].read, 4u);
  EXPECT_EQ(world.session.members()[2].unread, 0u);
  EXPECT_EQ(world.publish(kAnna, "delete", R"({"seq":3})"), "ok");
  EXPECT_EQ(world.session.members()[2].unread, 0u);
}

TEST(SessionChannel, RefusesAReadThatGoesBackOrBeyondTheLastSeq) {
  WorldOfTwo world;
  world.publish(kAnna, "message");
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":4})"), "invalid_event");
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":1})"), "invalid_event");
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":3,"at":"noon"})"), "ok");
  EXPECT_EQ(world.publish(kBob, "read", R"({"seq":2})"), "invalid_event");
  EXPECT_EQ(world.publish(kServer, "read", R"({"seq":3})"), "invalid_event");
  EXPECT_EQ(world.publish(kGuest, "read", R"({"seq":3})"), "invalid_event");
}

TEST(SessionChannel, LetsTheAuthorTheOwnerAndTheServerChangeAMessage) {
  WorldOfTwo world;
  world.publish(kAnna, "join", R"({"user":7})");  // 3
  world.publish(kBob, "message");                 // 4
  world.publish(kServer, "message");              // 5
  world.publish({"null", true}, "message");       // 6
  for (const char* name : {"edit", "delete"}) {
    EXPECT_EQ(world.publish(kSeven, name, R"({"seq":4})"), "forbidden") << name;
    EXPECT_EQ(world.publish(kGuest, name, R"({"seq":4})"), "forbidden") << name;
    EXPECT_EQ(world.publish(kBob, name, R"({"seq":5})"), "forbidden") << name;
    EXPECT_EQ(world.publish({"null", true}, name, R"({"seq":6})"), "unauthorized") << name;
  }
  EXPECT_EQ(world.publish(kBob, "edit", R"({"seq":4,"text":"better"})"), "ok");
  EXPECT_EQ(world.publish(kAnna, "edit", R"({"seq":4})"), "ok");
  EXPECT_EQ(world.publish(kServer, "edit", R"({"seq":4})"), "ok");
  EXPECT_EQ(world.publish(kAnna, "edit", R"({"seq":5})"), "ok");
  EXPECT_EQ(world.publish(kBob, "delete", R"({"seq":4})"), "ok");
  EXPECT_EQ(world.publish(kAnna, "delete", R"({"seq":5})"), "ok");
}

TEST(SessionChannel, RefusesToChangeWhatIsNoMessage) {
  WorldOfTwo world;
  world.publish(kAnna, "message");  // 3
  world.publish(kAnna, "custom");   // 4
  world.publish(kAnna, "delete", R"({"seq":3})");
  for (const char* name : {"edit", "delete"})
    for (const int seq : {0, 1, 2, 3, 4, 5, 6, 7})
      EXPECT_EQ(world.publish(kAnna, name, fmt::format("{{\"seq\":{}}}", seq)), "invalid_event") << seq;
}

TEST(SessionChannel, RefusesASeqOfAnotherShape) {
  WorldOfTwo world;
  world.publish(kAnna, "message");
  for (const char* name : {"edit", "delete", "read"})
    for (const char* data : {"null", "3", "\"3\"", "[3]", "{}", R"({"seq":"3"})", R"({"seq":3.0})",
                             R"({"seq":3e0})", R"({"seq":-3})", R"({"seq":null})", R"({"seq":[3]})",
                             R"({"seq":9007199254740992})", R"({"seq":18446744073709551619})"})
      EXPECT_EQ(world.publish(kAnna, name, data), "invalid_event") << name << data;
}

TEST(SessionChannel, KnowsWhichEventsAreEphemeral) {
  WorldOfTwo world;
  for (const char* name : {"", "message", "edit", "delete", "read", "join", "leave"})
    EXPECT_EQ(world.publish(kAnna, name, R"({"seq":2})", true), "invalid_event") << name;
  EXPECT_EQ(world.publish(kAnna, "typing", "{}", true), "ok");
  EXPECT_EQ(world.publish(kAnna, "cursor", "[1]", true), "ok");
  EXPECT_EQ(world.publish(kAnna, "typing"), "invalid_event");
  EXPECT_EQ(world.publish(kAnna, "cursor"), "ok");
  EXPECT_EQ(world.seq, 3u);
}

TEST(SessionChannel, RefusesMergesAndPatches) {
  WorldOfTwo world;
  for (const char* name : {"message", "custom", "join"}) {
    EXPECT_EQ(world.publish(kAnna, name, "{}", false, "merge"), "invalid_event");
    EXPECT_EQ(world.publish(kAnna, name, "[]", false, "patch"), "invalid_event");
    EXPECT_EQ(world.publish(kAnna, name, "{}", true, "merge"), "invalid_event");
  }
}

TEST(SessionChannel, KnowsWhichEventsAreMessages) {
  EXPECT_TRUE(SessionChannel::is_message(Written{.seq = 1, .name = "message"}.event()));
  EXPECT_TRUE(SessionChannel::is_message(Written{.seq = 1}.event()));
  EXPECT_FALSE(SessionChannel::is_message(Written{.seq = 1, .name = "edit"}.event()));
  EXPECT_FALSE(SessionChannel::is_message(Written{.seq = 1, .name = "custom"}.event()));
  EXPECT_FALSE(SessionChannel::is_message(Written{.seq = 0, .name = "message"}.event()));
}

TEST(SessionChannel, ForgetsTheOldestMessagesPastItsBound) {
  World world({.messages_max = 2});
  world.publish(kAnna, "join");
  world.publish(kAnna, "join", R"({"user":"bob"})");
  for (int i = 0; i < 4; ++i) world.publish(kAnna, "message");  // 3..6
  EXPECT_EQ(world.session.members()[1].unread, 2u);
  EXPECT_EQ(world.publish(kAnna, "edit", R"({"seq":4})"), "invalid_event");
  EXPECT_EQ(world.publish(kAnna, "edit", R"({"seq":5})"), "ok");
  world.publish(kAnna, "delete", R"({"seq":5})");
  EXPECT_EQ(world.session.members()[1].unread, 1u);
  world.publish(kAnna, "message");  // 9
  EXPECT_EQ(world.session.members()[1].unread, 2u);
  world.publish(kBob, "read", R"({"seq":6})");
  EXPECT_EQ(world.session.members()[1].unread, 1u);
}

TEST(SessionChannel, SavesItsState) {
  WorldOfTwo world;
  world.publish(kBob, "message");
  world.publish(kServer, "message");
  world.publish(kAnna, "custom");
  world.publish(kBob, "message");
  world.publish(kSeven, "join");
  const std::string saved = world.session.save();
  EXPECT_EQ(saved, R"({"v":1,"last_seq":6,"founded":true,"members":[["anna",1,3],["bob",2,1]],)"
                   R"("authors":["bob",null],"messages":[-2,0,1,-1,0]})");
  SessionChannel other({});
  ASSERT_TRUE(other.restore(saved));
  EXPECT_EQ(other.save(), saved);
  EXPECT_EQ(other.snapshot(0), world.shown());
  EXPECT_TRUE(other.owned_by("bob"));
  world.publish(kBob, "leave");
  const std::string left = world.session.save();
  EXPECT_THAT(left, HasSubstr(R"("members":[["anna",1,3]],"left":[["bob",2,7]],"authors")"));
  ASSERT_TRUE(other.restore(left));
  EXPECT_EQ(other.save(), left);
}

TEST(SessionChannel, SavesTenThousandMessagesInLittle) {
  WorldOfTwo world;
  std::uint64_t seq = 2;
  while (seq < 10'002)
    world.session.replay(
        Written{.seq = ++seq, .name = "message", .author = seq % 3 ? "\"anna\"" : "7"}.event());
  EXPECT_LT(world.session.save().size(), 21'000u);
  SessionChannel other({});
  ASSERT_TRUE(other.restore(world.session.save()));
  EXPECT_EQ(other.save(), world.session.save());
}

TEST(SessionChannel, IsAsNewWhenTheSavedStateCantBeRead) {
  WorldOfTwo world;
  const std::string good = world.session.save();
  const std::string empty = SessionChannel({}).save();
  EXPECT_EQ(empty, R"({"v":1,"last_seq":0,"founded":false,"members":[],"authors":[],"messages":[]})");
  for (const char* saved : {
           "",
           "null",
           "[]",
           "{",
           "{}",
           R"({"v":2,"last_seq":0,"members":[],"authors":[],"messages":[]})",
           R"({"last_seq":0,"members":[],"authors":[],"messages":[]})",
           R"({"v":1,"members":[],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":-1,"members":[],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":0,"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":0,"members":{},"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":0,"members":[],"messages":[]})",
           R"({"v":1,"last_seq":0,"members":[],"authors":[]})",
           R"({"v":1,"last_seq":9,"members":[1],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[["a",1]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[["a",10,0]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[["a",1,1]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[["a",-1,0]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[["a b",1,0]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[["1",1,0],[1,1,0]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[],"left":1,"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[],"left":[["a",1]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[],"left":[["a",5,4]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[],"left":[["a",1,10]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[],"left":[["a",1,4],["b",1,4]],"authors":[],"messages":[]})",
           R"({"v":1,"last_seq":9,"members":[],"authors":[""],"messages":[0]})",
           R"({"v":1,"last_seq":9,"members":[],"authors":["a"],"messages":[1]})",
           R"({"v":1,"last_seq":9,"members":[],"authors":["a"],"messages":["0"]})",
           R"({"v":1,"last_seq":9,"members":[],"authors":["a"],"messages":[-9,0]})",
           R"({"v":1,"last_seq":9,"members":[],"authors":["a"],"messages":[-9223372036854775808,0]})",
           R"({"v":1,"last_seq":9,"members":[],"authors":["a"],"messages":[]})",
       }) {
    ASSERT_TRUE(world.session.restore(good));
    EXPECT_FALSE(world.session.restore(saved)) << saved;
    EXPECT_EQ(world.session.save(), empty) << saved;
  }
}

TEST(SessionChannel, ReplaysAnEventOnceAndCountsWhatItCantRead) {
  WorldOfTwo world;
  world.publish(kAnna, "message");
  const std::string before = world.session.save();
  world.session.replay(Written{.seq = 0, .name = "message", .author = "7"}.event());
  world.session.replay(Written{.seq = 3, .name = "message", .author = "7"}.event());
  EXPECT_EQ(world.session.save(), before);
  const std::string members = world.shown().substr(0, world.shown().find("last_seq"));
  std::uint64_t seq = 4;
  for (const auto& [name, data] :
       std::vector<std::pair<const char*, const char*>>{{"join", "[]"},
                                                        {"join", R"({"user":""})"},
                                                        {"leave", R"({"user":"nobody"})"},
                                                        {"read", "{}"},
                                                        {"read", R"({"seq":3})"},
                                                        {"edit", R"({"seq":1})"},
                                                        {"delete", R"({"seq":4})"}})
    world.session.replay(Written{.seq = seq++, .name = name, .author = "7", .data = data}.event());
  world.session.replay(Written{.seq = seq, .name = "message", .author = "7", .form = "merge"}.event());
  EXPECT_EQ(world.shown(), members + fmt::format("last_seq\":{}}}", seq));
}

}  // namespace
}  // namespace tidewire::kinds
