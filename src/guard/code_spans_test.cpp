#include "guard/code_spans.h"

#include <gtest/gtest.h>

#include "guard/content_scan.h"

namespace tidewire::guard {
namespace {

TEST(CodeSpans, LeaveOutWhatStandsBetweenRunsOfAsManyBackticks) {
  EXPECT_EQ(without_code(R"("a `<b>` c")"), R"("a `` c")");
  EXPECT_EQ(without_code(R"("``a ` b`` c")"), R"("```` c")");
  EXPECT_EQ(without_code(R"("```html\n<script>\n``` c")"), R"("`````` c")");
  EXPECT_EQ(without_code(R"(["`a`", "`b`"])"), R"(["``", "``"])");
}

TEST(CodeSpans, KeepWhatIsNoCode) {
  for (const char* json : {R"("a ` b")", R"("``a ` b")", R"({"`":"<script>","b":"`"})",
                           R"("```````````a```````````")", R"("\\` \" <b>")", R"("a")", R"(1)"})
    EXPECT_EQ(without_code(json), json);
}

TEST(CodeSpans, GoOnBehindAnEscapedQuote) { EXPECT_EQ(without_code(R"("`\"x\\` y")"), R"("`` y")"); }

TEST(CodeSpans, AreInnocentAndTheRestIsNot) {
  EXPECT_TRUE(scan_outside_code(R"("put `<script>` into the head")").empty());
  EXPECT_TRUE(scan_outside_code(R"("```html\n<a onclick=\"x()\">\n``` it says")").empty());
  EXPECT_TRUE(scan_outside_code(R"("`a` <script> `b`")").has(ContentRule::script_tag));
  EXPECT_TRUE(scan_outside_code(R"("``` <script>")").has(ContentRule::script_tag));
  EXPECT_TRUE(scan_outside_code(R"(["`","<script>","`"])").has(ContentRule::script_tag));
  EXPECT_TRUE(scan_content(R"("put `<script>` into the head")").has(ContentRule::script_tag));
}

TEST(CodeSpans, TakeManyBackticksInLinearTime) {
  std::string json = "\"<script>";
  for (int i = 0; i < 200'000; ++i) json += std::string(static_cast<std::size_t>(i % 9 + 1), '`') + 'a';
  EXPECT_TRUE(scan_outside_code(json + '"').has(ContentRule::script_tag));
}

}  // namespace
}  // namespace tidewire::guard
