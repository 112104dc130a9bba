// What describes the API to tools: /openapi.json and /asyncapi.json (protocol §8, T6).

#include <algorithm>

#include "api/answers.h"
#include "api/pages.h"
#include "api/route.h"
#include "api/router.h"

namespace tidewire::api {

void Router::description(Call& call) {
  const std::string_view name = call.route.pattern.substr(1);
  const auto page = std::ranges::find(spec_pages(), name, &Page::name);
  if (page == spec_pages().end()) return call.respond(problem_answer(ErrorCode::not_found));
  wire::HttpAnswer answer;
  answer.body = page->body;
  answer.content_type = page->content_type;
  answer.fields.emplace_back("Cache-Control", "no-cache");
  call.respond(std::move(answer));
}

}  // namespace tidewire::api
