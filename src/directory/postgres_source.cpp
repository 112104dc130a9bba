#include "directory/postgres_source.h"

#include <libpq-fe.h>
#include <sys/epoll.h>

#include <charconv>
#include <cstring>
#include <utility>

namespace tidewire::directory {

namespace {

// The first line, without what libpq puts around it.
std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  return std::string(text);
}

// Where the database gives no reason, the result's kind.
std::string reason_of(const PGresult* result) {
  std::string reason = first_line(PQresultErrorMessage(result));
  return reason.empty() ? PQresStatus(PQresultStatus(result)) : reason;
}

// Empty where the database gives none.
std::string_view sqlstate_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state != nullptr ? state : "";
}

bool is_data_exception(const PGresult* result) { return sqlstate_of(result).starts_with("22"); }

// Among others: a number of parameters that the statement does not have.
bool is_protocol_violation(const PGresult* result) { return sqlstate_of(result) == "08P01"; }

// Only PQconnectPoll would find them: one port, or one for each host, where an empty one is the default.
bool has_good_ports(const PQconninfoOption& option) {
  if (std::string_view(option.keyword) != "port" || option.val == nullptr) return true;
  std::string_view rest(option.val);
  for (;;) {
    const std::string_view port = rest.substr(0, rest.find(','));
    unsigned number = 1;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (!port.empty() &&
        (error != std::errc() || end != port.data() + port.size() || number < 1 || number > 65535))
      return false;
    if (port.size() == rest.size()) return true;
    rest.remove_prefix(port.size() + 1);
  }
}

}  // namespace

PostgresSource::PostgresSource(net::Loop& loop, PostgresSourceOptions options)
    : loop_(loop),
      options_(std::move(options)),
      names_tenant_(options_.query.find("$2") != std::string::npos),
      timer_([this] { look_at_time(); }),
      alive_(std::make_shared<bool>(true)) {}

PostgresSource::~PostgresSource() { disconnect(); }

std::expected<void, std::string> PostgresSource::check_url(const std::string& url) {
  char* message = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(url.c_str(), &message);
  // What libpq says repeats the URL, and so its password.
  PQfreemem(message);
  if (parsed == nullptr) return std::unexpected("is no connection string of PostgreSQL");
  bool good = true;
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option)
    good = good && has_good_ports(*option);
  PQconninfoFree(parsed);
  if (!good) return std::unexpected("has a port that is none from 1 to 65535");
  return {};
}

void PostgresSource::ask(const Question& question, Answer answer) {
  Asked asked;
  asked.question = question;
  asked.names_tenant = names_tenant_;
  asked.answer = std::move(answer);
  if (state_ == State::ready) return send(std::move(asked));
  waiting_.push_back(std::move(asked));
  // Later, since it may fail at once and an answer must not come from within this call.
  if (state_ == State::down) {
    state_ = State::connecting;
    loop_.defer([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) connect();
    });
  }
}

// ---- connecting ----

void PostgresSource::connect() {
  const char* names[] = {"dbname", "fallback_application_name", "client_encoding", nullptr};
  const char* values[] = {options_.url.c_str(), "tidewire", "UTF8", nullptr};
  connection_ = PQconnectStartParams(names, values, 1);
  if (connection_ == nullptr) return lose("out of memory");
  if (PQstatus(connection_) == CONNECTION_BAD) return lose(error_text());
  // What the server says besides would go to standard error.
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  connect_by_ms_ = loop_.now().mono_ms() + options_.timeout_ms;
  loop_.timers().schedule(timer_, connect_by_ms_);
  watch(EPOLLOUT);  // PQconnectPoll is first called when the socket can be written to
}

void PostgresSource::go_on_connecting() {
  unwatch();  // libpq may go on with another socket: the host's next address
  switch (PQconnectPoll(connection_)) {
    case PGRES_POLLING_READING:
      return watch(EPOLLIN);
    case PGRES_POLLING_WRITING:
      return watch(EPOLLOUT);
    case PGRES_POLLING_OK:
      break;
    default:
      return lose(error_text());
  }
  if (PQsetnonblocking(connection_, 1) != 0 || PQenterPipelineMode(connection_) != 1)
    return lose(error_text());
  state_ = State::ready;
  connect_by_ms_ = 0;
  watch(EPOLLIN);
  for (Asked& asked : std::exchange(waiting_, {})) send(std::move(asked));
}

// ---- asking ----

void PostgresSource::send(Asked&& asked) {
  // Which flush() says; here the caller may be in the middle of a list.
  if (!send_stage(asked) || PQpipelineSync(connection_) != 1) is_broken_ = true;
  asked.give_up_ms = loop_.now().mono_ms() + options_.timeout_ms;
  under_way_.push_back(std::move(asked));
  if (under_way_.size() == 1) loop_.timers().schedule(timer_, under_way_.front().give_up_ms);
  flush_later();
}

// Statements are unnamed, so that a pooler in front of the database need not keep them.
bool PostgresSource::send_stage(const Asked& asked) {
  if (asked.stage == Stage::describing)
    return PQsendPrepare(connection_, "", options_.query.c_str(), 0, nullptr) == 1 &&
           PQsendDescribePrepared(connection_, "") == 1;
  const bool converts = asked.stage == Stage::converting;
  const char* values[] = {asked.question.user.c_str(), asked.question.tenant.c_str()};
  const char* query = !converts ? options_.query.c_str() : asked.names_tenant ? "select $1, $2" : "select $1";
  return PQsendQueryParams(connection_, query, asked.parameters(), converts ? asked.types.data() : nullptr,
                           values, nullptr, nullptr, 0) == 1;
}

// One write for what a turn brings.
void PostgresSource::flush_later() {
  if (std::exchange(flush_is_due_, true)) return;
  loop_.defer([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    flush_is_due_ = false;
    if (state_ == State::ready) flush();
  });
}

void PostgresSource::flush() {
  const int left = PQflush(connection_);
  if (left < 0 || is_broken_) return lose(error_text());
  watch(left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// ---- answers ----

void PostgresSource::on_events(std::uint32_t) {
  if (state_ == State::connecting) return go_on_connecting();
  if (state_ == State::ready) read();
}

void PostgresSource::read() {
  if (PQconsumeInput(connection_) != 1) return lose(error_text());
  // A null separates one question's results from the next one's.
  int nulls = 0;
  while (!under_way_.empty() && nulls < 2 && PQisBusy(connection_) == 0) {
    PGresult* result = PQgetResult(connection_);
    nulls = result == nullptr ? nulls + 1 : 0;
    if (result != nullptr) take(result);
    if (state_ != State::ready) return;
  }
  if (PQstatus(connection_) == CONNECTION_BAD) return lose(error_text());
  flush();
}

void PostgresSource::take(pg_result* result) {
  Asked& front = under_way_.front();
  if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
    Asked done = std::move(front);
    under_way_.pop_front();
    PQclear(result);
    if (needs_more(done)) return send(std::move(done));
    done.answer(std::move(done.outcome));
    return;
  }
  take_rows(front, result);
  PQclear(result);
}

void PostgresSource::take_rows(Asked& asked, pg_result* result) {
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
      if (asked.stage != Stage::asking) return;
      asked.outcome.what = PQntuples(result) > 0 ? Outcome::What::exists : Outcome::What::absent;
      names_tenant_ = asked.names_tenant;
      return;
    case PGRES_COMMAND_OK:
      if (asked.stage == Stage::asking) asked.outcome.reason = "directory.query does not ask for rows";
      for (int i = 0; i < PQnparams(result) && i < asked.parameters(); ++i)
        asked.types[static_cast<std::size_t>(i)] = PQparamtype(result, i);
      return;
    case PGRES_PIPELINE_ABORTED:  // what stood behind a failure, which has its reason
      return;
    default:
      asked.has_data_exception = is_data_exception(result);
      if (asked.stage != Stage::asking) return;
      asked.is_refused_two = asked.names_tenant && is_protocol_violation(result);
      asked.outcome.reason = reason_of(result);
      asked.outcome.of_this_user = asked.has_data_exception;
  }
}

// Whether the question, whose stage is over, has a next one. Its outcome is known where not.
bool PostgresSource::needs_more(Asked& asked) const {
  const bool has_data_exception = std::exchange(asked.has_data_exception, false);
  switch (asked.stage) {
    case Stage::asking:
      if (std::exchange(asked.is_refused_two, false)) {
        asked.names_tenant = false;
        asked.outcome = {};
        return true;
      }
      asked.stage = Stage::describing;
      return has_data_exception;
    case Stage::describing:
      asked.stage = Stage::converting;
      return asked.types[0] != 0;
    case Stage::converting:
      break;
  }
  if (has_data_exception) asked.outcome = {.what = Outcome::What::absent};
  return false;
}

// ---- trouble ----

void PostgresSource::watch(std::uint32_t events) {
  const int fd = PQsocket(connection_);
  if (fd < 0) return lose("it has no socket");
  if (fd == watched_) {
    if (interest_ != events) loop_.modify(fd, events, this);
  } else {
    unwatch();
    if (!loop_.add(fd, events, this)) return lose(std::strerror(errno));
    watched_ = fd;
  }
  interest_ = events;
}

void PostgresSource::unwatch() {
  // libpq closes the socket itself when the connection breaks.
  if (watched_ >= 0 && PQsocket(connection_) == watched_)
    loop_.remove(watched_, this);
  else
    loop_.forget(this);
  watched_ = -1;
  interest_ = 0;
}

void PostgresSource::disconnect() {
  unwatch();
  if (connection_ != nullptr) PQfinish(connection_);
  connection_ = nullptr;
  state_ = State::down;
  connect_by_ms_ = 0;
  is_broken_ = false;
}

// The connection is gone. What was under way is asked once more on the next one; what waited for a
// connection in vain has failed.
void PostgresSource::lose(const std::string& reason) {
  const bool was_ready = state_ == State::ready;
  disconnect();
  if (!was_ready) return fail_all(reason);
  std::deque<Asked> failed;
  for (Asked& asked : std::exchange(under_way_, {})) {
    if (std::exchange(asked.again, true)) {
      failed.push_back(std::move(asked));
    } else {
      asked.outcome = {};
      asked.stage = Stage::asking;
      waiting_.push_back(std::move(asked));
    }
  }
  if (!waiting_.empty()) {
    state_ = State::connecting;
    loop_.defer([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) connect();
    });
  }
  for (Asked& asked : failed) asked.answer({.what = Outcome::What::failed, .reason = reason});
}

void PostgresSource::fail_all(const std::string& reason) {
  std::deque<Asked> failed = std::exchange(under_way_, {});
  for (Asked& asked : std::exchange(waiting_, {})) failed.push_back(std::move(asked));
  for (Asked& asked : failed) asked.answer({.what = Outcome::What::failed, .reason = reason});
}

void PostgresSource::look_at_time() {
  const std::int64_t now_ms = loop_.now().mono_ms();
  if (state_ == State::connecting && connect_by_ms_ != 0) {
    if (connect_by_ms_ > now_ms) return loop_.timers().schedule(timer_, connect_by_ms_);
    return lose("no connection within the time limit");
  }
  if (under_way_.empty()) return;
  // Answers come in order, so nothing behind the first can come before it.
  if (under_way_.front().give_up_ms > now_ms)
    return loop_.timers().schedule(timer_, under_way_.front().give_up_ms);
  disconnect();
  fail_all("no answer within the time limit");
}

std::string PostgresSource::error_text() const { return first_line(PQerrorMessage(connection_)); }

}  // namespace tidewire::directory
