// Users as rows of a PostgreSQL database, over libpq in pipeline mode: many questions are on their way
// at once on one connection, each with a synchronisation point of its own, so that the failure of one is
// not that of the next.
//
// It connects when it is first asked, and again after a loss; what was under way then is asked once more.
// A value that the parameter's type can't hold (a word where ids are numbers) names nobody; whether a data
// exception was that, or one of the rows, is found out by handing the database the value alone. Whether a
// query with a `$2` has it as a parameter, and not in a literal or comment, the database says too, when it is
// handed two. Owned by its loop's thread, which should serve nothing else: libpq looks up names without a
// time limit.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <string>

#include "directory/source.h"
#include "net/loop.h"

struct pg_conn;
struct pg_result;

namespace tidewire::directory {

struct PostgresSourceOptions {
  std::string url;    // as libpq takes it
  std::string query;  // a row for each user; $1 is the id, $2, where it stands, the tenant
  std::int64_t timeout_ms = 2'000;
};

class PostgresSource final : public Source, private net::Watcher {
 public:
  PostgresSource(net::Loop& loop, PostgresSourceOptions options);
  ~PostgresSource();
  PostgresSource(const PostgresSource&) = delete;
  PostgresSource& operator=(const PostgresSource&) = delete;

  void ask(const Question& question, Answer answer) override;

  // Whether libpq can read the URL; the error says why not, without repeating it.
  static std::expected<void, std::string> check_url(const std::string& url);

 private:
  enum class State : std::uint8_t { down, connecting, ready };
  // What a question is waiting for: its answer; after a data exception, the types of the query's
  // parameters; then whether values of these types can be made of the user and the tenant.
  enum class Stage : std::uint8_t { asking, describing, converting };
  struct Asked {
    Question question;
    Answer answer;
    std::int64_t give_up_ms = 0;  // mono
    bool again = false;           // a connection was lost under it before
    Stage stage = Stage::asking;
    bool has_data_exception = false;          // in this stage
    bool names_tenant = false;                // is asked with both parameters
    bool is_refused_two = false;              // with both it was no question, perhaps with one
    std::array<std::uint32_t, 2> types = {};  // OIDs; known from `converting` on
    Outcome outcome;

    int parameters() const { return names_tenant ? 2 : 1; }
  };

  void on_events(std::uint32_t events) override;
  void connect();
  void go_on_connecting();
  void send(Asked&& asked);
  bool send_stage(const Asked& asked);
  void flush_later();
  void flush();
  void read();
  void take(pg_result* result);
  void take_rows(Asked& asked, pg_result* result);
  bool needs_more(Asked& asked) const;
  void watch(std::uint32_t events);
  void unwatch();
  void disconnect();
  void lose(const std::string& reason);
  void fail_all(const std::string& reason);
  void look_at_time();
  std::string error_text() const;

  net::Loop& loop_;
  PostgresSourceOptions options_;
  bool names_tenant_;
  pg_conn* connection_ = nullptr;
  State state_ = State::down;
  int watched_ = -1;
  std::uint32_t interest_ = 0;
  std::deque<Asked> waiting_;    // for the connection
  std::deque<Asked> under_way_;  // sent, in order
  std::int64_t connect_by_ms_ = 0;
  bool flush_is_due_ = false;
  bool is_broken_ = false;  // it did not take a question
  net::FunctionTimer timer_;
  std::shared_ptr<bool> alive_;  // for what was deferred
};

}  // namespace tidewire::directory
