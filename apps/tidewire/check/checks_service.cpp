// Is there a service, and can it be trusted?

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "check/suite.h"

namespace tidewire::check {

namespace {
constexpr std::int64_t kRenewSoonDays = 14;
constexpr int kLatencySamples = 5;
constexpr double kSlowReplyMs = 250;
}  // namespace

void Suite::tls() {
  check("tls.certificate", "the certificate is trusted and will be for two weeks", [&]() -> Verdict {
    if (!network_.options().address.tls) {
      if (network_.options().address.is_loopback()) return skipped("plain HTTP on this machine");
      return warned("plain HTTP: tokens can be read on the way; put TLS in front");
    }
    const auto certificate = network_.certificate();
    if (!certificate) return failed(certificate.error());
    if (!certificate->fault.empty())
      return network_.options().insecure ? warned(certificate->fault) : failed(certificate->fault);
    const std::string detail = fmt::format("{}, {} days left", certificate->version, certificate->days);
    return certificate->days < kRenewSoonDays ? warned(detail) : passed(detail);
  });
}

void Suite::health() {
  check("health.live", "GET /healthz answers", [&]() -> Verdict {
    const auto reply = network_.get("/healthz");
    if (!reply) return failed(reply.error());
    return reply->status == 200 ? passed() : failed(fmt::format("HTTP {}", reply->status));
  });
  check("health.ready", "GET /readyz says that it takes connections", [&]() -> Verdict {
    const auto reply = network_.get("/readyz");
    if (!reply) return failed(reply.error());
    return reply->status == 200 ? passed() : failed(fmt::format("HTTP {}", reply->status));
  });
  check("health.latency", "an answer takes less than 250 ms", [&]() -> Verdict {
    std::vector<double> took;
    for (int i = 0; i < kLatencySamples; ++i)
      if (const auto reply = network_.get("/healthz")) took.push_back(reply->took_ms);
    if (took.empty()) return skipped("there are no answers");
    std::ranges::sort(took);
    const double median = took[took.size() / 2];
    const std::string detail = fmt::format("{:.1f} ms, the connection included", median);
    return median > kSlowReplyMs ? warned(detail) : passed(detail);
  });
  check("health.described", "the API is described at /openapi.json and /asyncapi.json", [&]() -> Verdict {
    for (const std::string_view path : {"/openapi.json", "/asyncapi.json"}) {
      const auto reply = network_.get(path);
      if (!reply || reply->status != 200 || !parsed(reply->body).is_object())
        return warned(fmt::format("{} is not there", path));
    }
    return passed();
  });
  check("health.closed", "operators' pages ask for an API key", [&]() -> Verdict {
    for (const std::string_view path : {"/api/ws/stats", "/api/health/detailed", "/api/v1/channels"}) {
      const auto reply = network_.get(path);
      if (!reply) return failed(reply.error());
      if (reply->status == 200) return failed(fmt::format("{} is open to everybody", path));
    }
    return passed();
  });
}

}  // namespace tidewire::check
