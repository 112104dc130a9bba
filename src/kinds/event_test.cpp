#include "kinds/event.h"

#include <gtest/gtest.h>

namespace tidewire::kinds {
namespace {

TEST(Event, IsReadFromTheBodyOfADelivery) {
  const SharedBytes body(
      R"("seq":7,"timestamp":1000,"event":"no\"te","from":{"user":{"id":1,"type":"x"},"connection":"c-1"},)"
      R"("priority":"high","data":{"a": [1, 2]}})");
  const Event event = event_of(body, 5);
  EXPECT_EQ(event.seq, 7u);
  EXPECT_EQ(event.timestamp_ms, 1000);
  EXPECT_EQ(event.expires_ms, 5);
  EXPECT_EQ(event.name, "no\"te");
  EXPECT_EQ(event.user_id, "1");
  EXPECT_EQ(event.user_json, "1");
  EXPECT_EQ(event.priority, Priority::high);
  EXPECT_EQ(event.form, Event::Form::data);
  EXPECT_EQ(event.payload, R"({"a": [1, 2]})");
}

TEST(Event, KeepsAnIdThatIsText) {
  const SharedBytes body(
      R"("seq":1,"timestamp":1,"from":{"user":{"id":"a","type":"x"}},"merge":{"b":null}})");
  const Event event = event_of(body, 0);
  EXPECT_EQ(event.user_id, "a");
  EXPECT_EQ(event.user_json, "\"a\"");
  EXPECT_EQ(event.form, Event::Form::merge);
  EXPECT_EQ(event.payload, R"({"b":null})");
}

TEST(Event, HasNoUserWhenTheAuthorIsAnonymousOrTheServer) {
  const SharedBytes anonymous(R"("timestamp":1,"from":{"user":null,"connection":"c-1"},"data":null})");
  EXPECT_EQ(event_of(anonymous, 0).user_id, "");
  EXPECT_EQ(event_of(anonymous, 0).seq, 0u);
  const SharedBytes server(R"("seq":2,"timestamp":1,"data":3})");
  EXPECT_EQ(event_of(server, 0).user_id, "");
  EXPECT_EQ(event_of(server, 0).payload, "3");
}

}  // namespace
}  // namespace tidewire::kinds
