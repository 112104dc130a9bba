// The session channel against a model that keeps plain lists and counts everything anew, over random
// events by members, guests, strangers and the server.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kinds/session.h"
#include "kinds/test_written.h"

namespace tidewire::kinds {
namespace {

// One publish: who, what, about whom or which seq.
struct Step {
  std::string name;
  std::string user;  // in string form; empty: anonymous, or the server
  bool server = false;
  bool grant = false;
  bool ephemeral = false;
  std::string about;  // of join and leave; empty: the data names nobody
  std::uint64_t seq = 0;
  bool bad_data = false;
};

struct Model {
  struct Member {
    std::string id;
    std::uint64_t read;
  };
  struct Message {
    std::uint64_t seq;
    std::string author;
  };
  SessionOptions options;
  std::vector<Member> members;
  std::vector<Message> messages;
  std::uint64_t last_seq = 0;
  bool founded = false;

  const Member* member(const std::string& id) const {
    const auto found = std::ranges::find(members, id, &Member::id);
    return found == members.end() || id.empty() ? nullptr : &*found;
  }
  const Message* message(std::uint64_t seq) const {
    const auto found = std::ranges::find(messages, seq, &Message::seq);
    return found == messages.end() ? nullptr : &*found;
  }
  bool owner(const std::string& id) const { return !id.empty() && !members.empty() && members[0].id == id; }
  std::uint64_t unread(const Member& of) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        messages, [&](const Message& m) { return m.seq > of.read && m.author != of.id; }));
  }

  std::string access(const Step& step) const {
    if (step.server) return "ok";
    const std::string no = step.user.empty() ? "unauthorized" : "forbidden";
    const bool self = step.bad_data || step.about.empty() || step.about == step.user;
    if (step.name == "join") {
      if (step.user.empty()) return no;
      if (owner(step.user)) return "ok";
      if (!self) return no;
      return !founded || step.grant || options.open_join || member(step.user) != nullptr ? "ok" : no;
    }
    if (!step.grant && member(step.user) == nullptr) return no;
    if (step.name == "leave" && !self && !owner(step.user)) return no;
    return "ok";
  }

  std::string content(const Step& step) const {
    const bool about_user = step.name == "join" || step.name == "leave";
    const bool about_seq = step.name == "edit" || step.name == "delete" || step.name == "read";
    const std::string who = step.about.empty() ? step.user : step.about;
    if (step.bad_data && (about_user || about_seq)) return "invalid_event";
    if (about_user && who.empty()) return "invalid_event";
    if (step.ephemeral) return step.name == "typing" || step.name == "custom" ? "ok" : "invalid_event";
    if (step.name == "typing") return "invalid_event";
    if (step.name == "edit" || step.name == "delete") {
      const Message* found = message(step.seq);
      if (found == nullptr) return "invalid_event";
      const bool own = !step.user.empty() && found->author == step.user;
      if (own || step.server || owner(step.user)) return "ok";
      return step.user.empty() ? "unauthorized" : "forbidden";
    }
    if (step.name == "read") {
      const Member* reader = member(step.user);
      return reader != nullptr && step.seq >= reader->read && step.seq <= last_seq ? "ok" : "invalid_event";
    }
    if (step.name == "join" && member(who) == nullptr && members.size() >= options.members_max)
      return "invalid_event";
    if (step.name == "leave" && member(who) == nullptr) return "invalid_event";
    return "ok";
  }

  void fold(const Step& step, std::uint64_t seq) {
    const std::string who = step.about.empty() ? step.user : step.about;
    last_seq = seq;
    if (step.name == "join") founded = true;
    if (step.name == "message") messages.push_back({seq, step.user});
    if (messages.size() > options.messages_max) messages.erase(messages.begin());
    if (step.name == "delete") std::erase_if(messages, [&](const Message& m) { return m.seq == step.seq; });
    if (step.name == "read") std::ranges::find(members, step.user, &Member::id)->read = step.seq;
    if (step.name == "join" && member(who) == nullptr) members.push_back({who, seq});
    if (step.name == "leave") std::erase_if(members, [&](const Member& m) { return m.id == who; });
  }
};

class Walk {
 public:
  explicit Walk(unsigned seed)
      : random_(seed),
        options_{.open_join = roll(0, 3) == 0, .members_max = roll(2, 6), .messages_max = roll(3, 20)},
        session_(options_) {
    model_.options = options_;
  }

  void go() {
    for (int i = 0; i < 80 && !testing::Test::HasFailure(); ++i) publish(next_step());
    if (!testing::Test::HasFailure()) replay();
  }

 private:
  std::uint64_t roll(std::uint64_t min, std::uint64_t max) {
    return std::uniform_int_distribution<std::uint64_t>(min, max)(random_);
  }
  // Numbers and words, so that both spellings of an id come up.
  std::string some_user() {
    static constexpr const char* kUsers[] = {"1", "2", "3", "ann", "bob", "cy", "1:x"};
    return kUsers[roll(0, 6)];
  }
  std::string spelled(const std::string& id) {
    const bool number = id.find_first_not_of("0123456789") == std::string::npos;
    return number && roll(0, 1) == 0 ? id : json_string(id);
  }

  Step next_step() {
    static constexpr const char* kNames[] = {"message", "message", "message", "message", "join",
                                             "join",    "leave",   "read",    "read",    "edit",
                                             "delete",  "custom",  "typing"};
    Step step;
    step.name = kNames[roll(0, 12)];
    const std::uint64_t who = roll(0, 19);
    step.server = who == 0;
    if (who > 1) step.user = some_user();
    step.grant = roll(0, 9) == 0;
    step.ephemeral = roll(0, step.name == "typing" ? 1 : 19) == 0;
    if (roll(0, 1) == 0) step.about = some_user();
    step.seq = roll(0, 2) == 0 ? roll(0, model_.last_seq + 2)
                               : model_.last_seq - std::min(model_.last_seq, roll(0, 6));
    step.bad_data = roll(0, 19) == 0;
    return step;
  }

  Event event_of_step(const Step& step) {
    Written written{.seq = step.ephemeral ? 0 : model_.last_seq + 1, .name = step.name};
    if (!step.server) written.author = step.user.empty() ? "null" : spelled(step.user);
    if (step.name == "edit" || step.name == "delete" || step.name == "read")
      written.data = fmt::format(R"({{"seq":{},"text":"x"}})", step.seq);
    else if (step.name == "join" || step.name == "leave")
      written.data = step.about.empty() ? (roll(0, 1) == 0 ? "null" : "{}")
                                        : fmt::format(R"({{"user":{}}})", spelled(step.about));
    if (step.bad_data) {
      static constexpr const char* kBad[] = {"[1]", "true", R"({"seq":-1,"user":""})",
                                             R"({"seq":1.5,"user":1.5})"};
      written.data = kBad[roll(0, 3)];
    }
    return written.event();
  }

  void publish(const Step& step) {
    const Event event = event_of_step(step);
    const Asker asker{.user_id = event.user_id,
                      .user_json = event.user_json,
                      .server = step.server,
                      .may_subscribe = step.grant || step.server,
                      .may_publish = step.grant || step.server};
    const std::string saved = session_.save();
    const std::string shown = session_.snapshot(0);
    std::string expected = model_.access(step);
    std::string result = outcome(session_.admit(event, asker));
    EXPECT_EQ(result, expected) << step.name;
    if (result == "ok") {
      expected = model_.content(step);
      result = outcome(session_.take(event, asker));
      EXPECT_EQ(result, expected) << step.name << " " << event.body.view();
    }
    if (result != "ok" || step.ephemeral) {
      EXPECT_EQ(session_.save(), saved);
      EXPECT_EQ(session_.snapshot(0), shown);
      return;
    }
    model_.fold(step, event.seq);
    taken_.push_back(event);
    saved_.push_back(session_.save());
    compare();
  }

  void compare() {
    const auto& members = session_.members();
    ASSERT_EQ(members.size(), model_.members.size());
    EXPECT_LE(members.size(), options_.members_max);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto& wanted = model_.members[i];
      EXPECT_EQ(members[i].user_id, wanted.id);
      EXPECT_EQ(members[i].owner, i == 0);
      EXPECT_EQ(members[i].read, wanted.read);
      EXPECT_EQ(members[i].unread, model_.unread(wanted));
      EXPECT_TRUE(session_.owned_by(wanted.id));
    }
    const std::string someone = some_user();
    EXPECT_EQ(session_.owned_by(someone), model_.member(someone) != nullptr);
    EXPECT_TRUE(session_.snapshot(0).ends_with(fmt::format("\"last_seq\":{}}}", model_.last_seq)));
  }

  void replay() {
    SessionChannel whole(options_);
    for (const Event& event : taken_) whole.replay(event);
    EXPECT_EQ(whole.save(), session_.save());
    if (taken_.empty()) return;
    const std::size_t cut = roll(0, taken_.size() - 1);
    SessionChannel resumed(options_);
    ASSERT_TRUE(resumed.restore(saved_[cut]));
    EXPECT_EQ(resumed.save(), saved_[cut]);
    for (std::size_t i = cut + 1; i < taken_.size(); ++i) resumed.replay(taken_[i]);
    EXPECT_EQ(resumed.save(), session_.save());
    EXPECT_EQ(resumed.snapshot(0), session_.snapshot(0));
  }

  std::mt19937 random_;
  SessionOptions options_;
  SessionChannel session_;
  Model model_;
  std::vector<Event> taken_;
  std::vector<std::string> saved_;  // after each of these
};

TEST(SessionProperty, IsWhatTheClauseSaysAndWhatAReplayGives) {
  for (unsigned seed = 0; seed < 3000 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Walk(seed).go();
  }
}

TEST(SessionProperty, SurvivesSavedStatesThatWereDamaged) {
  SessionChannel session({});
  const std::string empty = session.save();
  std::uint64_t seq = 0;
  for (const char* author : {"1", "\"b\"", "3"})
    session.replay(Written{.seq = ++seq, .name = "join", .author = author}.event());
  for (const char* author : {"1", "\"b\"", "", "1", "4"})
    session.replay(Written{.seq = ++seq, .name = "message", .author = author}.event());
  const std::string saved = session.save();
  std::mt19937 random(1);
  for (int run = 0; run < 20'000; ++run) {
    if (!session.restore(damaged(saved, random))) {
      EXPECT_EQ(session.save(), empty);
      continue;
    }
    const std::string again = session.save();
    ASSERT_TRUE(session.restore(again));
    EXPECT_EQ(session.save(), again);
    session.replay(Written{.seq = 1'000'000, .name = "delete", .data = R"({"seq":4})"}.event());
    session.replay(Written{.seq = 1'000'001, .name = "leave", .data = R"({"user":1})"}.event());
  }
}

}  // namespace
}  // namespace tidewire::kinds
