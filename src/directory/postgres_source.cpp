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
  Asked asked{
      .question = question, .answer = std::move(answer), .give_up_ms = 0, .again = false, .outcome = {}};
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
  const char* values[] = {asked.question.user.c_str(), asked.question.tenant.c_str()};
  // Unnamed, so that a pooler in front of the database need not keep statements.
  const bool sent = PQsendQueryParams(connection_, options_.query.c_str(), names_tenant_ ? 2 : 1, nullptr,
                                      values, nullptr, nullptr, 0) == 1 &&
                    PQpipelineSync(connection_) == 1;
  if (!sent) is_broken_ = true;  // which flush() says; here the caller may be in the middle of a list
  asked.give_up_ms = loop_.now().mono_ms() + options_.timeout_ms;
  under_way_.push_back(std::move(asked));
  if (under_way_.size() == 1) loop_.timers().schedule(timer_, under_way_.front().give_up_ms);
  flush_later();
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
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
      front.outcome.what = PQntuples(result) > 0 ? Outcome::What::exists : Outcome::What::absent;
      break;
    case PGRES_PIPELINE_SYNC: {
      Asked done = std::move(front);
      under_way_.pop_front();
      PQclear(result);
      done.answer(std::move(done.outcome));
      return;
    }
    default: {
      const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      // Class 22, data exception: the id is no value of the column's type.
      if (state != nullptr && std::strncmp(state, "22", 2) == 0)
        front.outcome.what = Outcome::What::absent;
      else
        front.outcome.reason = first_line(PQresultErrorMessage(result));
      break;
    }
  }
  PQclear(result);
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
