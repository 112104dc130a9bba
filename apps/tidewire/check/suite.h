// The checks in their groups, each recorded under an id. They share the network, the identities and what
// has been learnt on the way.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/mint.h"
#include "check/network.h"
#include "check/report.h"
#include "check/session.h"

namespace tidewire::check {

struct Verdict {
  Outcome outcome = Outcome::passed;
  std::string detail = {};
};
inline Verdict passed(std::string detail = {}) { return {Outcome::passed, std::move(detail)}; }
inline Verdict warned(std::string detail) { return {Outcome::warned, std::move(detail)}; }
inline Verdict failed(std::string detail) { return {Outcome::failed, std::move(detail)}; }
inline Verdict skipped(std::string detail) { return {Outcome::skipped, std::move(detail)}; }

struct SuiteOptions {
  std::string token;                         // of the user to be; or
  std::string secret;                        // that signs tokens; both empty: anonymous
  std::vector<auth::MintClaim> claims = {};  // of those tokens, besides
  std::string name_space = "room";
  int connections = 20;  // of the load
};

class Suite {
 public:
  Suite(Network& network, SuiteOptions options, Report& report);

  // Everything, in order; what makes no sense after a failure is skipped.
  void run();

 private:
  using Check = std::function<Verdict()>;
  void check(std::string_view id, std::string_view title, const Check& check);

  // checks_service.cpp
  void health();
  void tls();
  // checks_connecting.cpp
  void connecting();
  void authentication();
  // checks_messages.cpp
  void subscriptions();
  void messages();
  void errors();
  Verdict refuses_unsigned();
  // checks_endurance.cpp
  void resume();
  void load();

  bool has_identity() const { return !options_.token.empty() || !options_.secret.empty(); }
  // A user's token; with a secret each number is another user.
  std::string token_of(int user) const;
  Headers authorization(const std::string& token) const;
  // A connection with `connected` read and kept in `hello_`; otherwise a sentence.
  std::expected<Session, std::string> connect(std::string_view path, const Headers& headers,
                                              bool offer_deflate = false);
  // As that, with the user's token.
  std::expected<Session, std::string> open(int user = 0, bool offer_deflate = false);
  // The reason why there is no connection, in plain words if it is the address's limit of failed attempts:
  // then nothing more is tried.
  std::string explained(std::string reason);
  std::string channel(std::string_view name) const;

  Network& network_;
  SuiteOptions options_;
  Report& report_;
  std::string tag_;  // no two runs share channels and users
  Pacer pacer_;
  Json hello_;
  bool connects_ = false;
  bool held_back_ = false;  // the server turns this address away
  bool delivers_ = false;
};

// Why a reply is not what was wanted.
std::string instead(const std::optional<Json>& reply);

}  // namespace tidewire::check
