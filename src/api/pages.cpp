// The demo and the admin page: their files, and the demo's tokens (protocol §8, §9 `--dev`).

#include "api/pages.h"

#include <algorithm>

#include "api/answers.h"
#include "api/encoding.h"
#include "api/router.h"
#include "auth/mint.h"
#include "base/characters.h"
#include "wire/url.h"

namespace tidewire::api {

namespace {

constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
constexpr std::int64_t kDemoToken_s = 3600;
constexpr std::size_t kDemoNameMax = 24;

// What the demo's users may do beyond the built-in namespaces' rules: join any session, write to each
// other's inboxes, feed dashboards, and watch what others upload and run.
std::vector<auth::MintGrant> demo_grants() {
  return {{"session:*", {"publish"}},
          {"user:*", {"publish"}},
          {"dashboard:*", {"publish"}},
          {"upload:*", {"subscribe"}},
          {"agent:*", {"subscribe"}}};
}

bool is_demo_name(std::string_view name) {
  const auto fits = [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= kDemoNameMax && std::ranges::all_of(name, fits);
}

wire::HttpAnswer redirect(bool enabled, std::string_view to) {
  if (!enabled) return problem_answer(ErrorCode::not_found);
  wire::HttpAnswer answer;
  answer.status = 307;  // not for good: the page can be turned off
  answer.fields.emplace_back("Location", to);
  return answer;
}

// An empty name is that of the folder itself.
wire::HttpAnswer file(bool enabled, std::span<const Page> pages, std::string_view name,
                      const wire::HttpHeaders& headers) {
  const auto page = std::ranges::find(pages, name.empty() ? "index.html" : name, &Page::name);
  if (!enabled || page == pages.end()) return problem_answer(ErrorCode::not_found);
  wire::HttpAnswer answer;
  answer.body = page->body;
  if (!page->brotli.empty() && choose_coding(headers) == Coding::br) {
    answer.body = page->brotli;
    answer.fields.emplace_back("Content-Encoding", "br");
  }
  answer.content_type = page->content_type;
  answer.fields.emplace_back("Cache-Control", "no-cache");
  answer.fields.emplace_back("Content-Security-Policy", kContentSecurityPolicy);
  answer.fields.emplace_back("Referrer-Policy", "no-referrer");
  return answer;
}

}  // namespace

void Router::demo_redirect(Call& call) { call.respond(redirect(options_.demo_enabled, "/demo/")); }

void Router::demo_file(Call& call) {
  call.respond(file(options_.demo_enabled, demo_pages(), call.segments.empty() ? "" : call.segments.front(),
                    call.request.headers));
}

void Router::admin_redirect(Call& call) { call.respond(redirect(options_.admin_enabled, "/admin/")); }

void Router::admin_file(Call& call) {
  call.respond(file(options_.admin_enabled, admin_pages(), call.segments.empty() ? "" : call.segments.front(),
                    call.request.headers));
}

void Router::demo_token(Call& call) {
  if (!options_.demo_enabled || options_.demo_secret.empty())
    return call.respond(problem_answer(ErrorCode::not_found));
  const auto name = wire::query_parameter(call.request.query, "name");
  if (!name || !is_demo_name(*name))
    return call.respond(problem_answer(
        ErrorCode::invalid_message, "`name` must have 1 to 24 letters, digits, dots, dashes or underscores"));
  auth::MintOptions options{.user = *name,
                            .type = {},
                            .ttl_s = kDemoToken_s,
                            .secret = options_.demo_secret,
                            .kid = {},
                            .tenant = {},
                            .grants = demo_grants(),
                            .claims = {}};
  const auto token = auth::mint(options, call.now);
  if (!token) return call.respond(problem_answer(ErrorCode::internal, token.error()));
  call.respond(json_answer(protocol::MessageWriter().text("token", *token).finish()));
}

}  // namespace tidewire::api
