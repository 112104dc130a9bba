#include "net/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "net/mailbox.h"
#include "net/socket_address.h"
#include "net/thread_start.h"

namespace tidewire::net {

namespace {
constexpr long kMaxRedirects = 3;

struct Job {
  HttpRequest request;
  Loop* loop;
  std::function<void(HttpReply)> on_reply;
};

bool is_token(std::string_view text) {  // RFC 9110 §5.6.2
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
  });
}

bool is_header_value(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7F); });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string scheme_of(const std::string& url) {
  CURLU* parts = curl_url();
  std::string scheme;
  char* text = nullptr;
  if (parts != nullptr &&
      curl_url_set(parts, CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
      curl_url_get(parts, CURLUPART_SCHEME, &text, 0) == CURLUE_OK) {
    scheme = text;
    curl_free(text);
  }
  curl_url_cleanup(parts);
  return scheme;
}
}  // namespace

std::string_view HttpReply::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, [](const auto& header) { return header.first; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

namespace {
// One request under way. Its address is known to curl, so it stays where it is.
class Transfer : public TimerEntry {
 public:
  Transfer(Job job, const HttpClient::Options& options) : job_(std::move(job)), easy_(curl_easy_init()) {
    if (easy_ == nullptr) {
      refuse("no memory");
      return;
    }
    const HttpRequest& request = job_.request;
    const std::string scheme = scheme_of(request.url);
    plain_ = scheme == "http";
    if (scheme != "http" && scheme != "https")
      refuse(scheme.empty() ? "this is no URL" : fmt::format("the scheme {} is not allowed", scheme));
    if (!is_token(request.method)) refuse("the method is not valid");
    for (const auto& [name, value] : request.headers) {
      if (!is_token(name) || !is_header_value(value)) refuse("a header is not valid");
      // "name;" is how curl is told of an empty value.
      header_lines_ =
          curl_slist_append(header_lines_, (value.empty() ? name + ";" : name + ": " + value).c_str());
    }
    // Curl would otherwise wait for a 100 before it sends a larger body.
    header_lines_ = curl_slist_append(header_lines_, "Expect:");
    set_up(options);
  }
  ~Transfer() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(header_lines_);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* easy() const { return easy_; }
  std::int64_t timeout_ms() const { return job_.request.timeout_ms; }
  bool refused() const { return !refusal_.empty(); }

  void finish(CURLcode code) {
    if (refused() && code != CURLE_OK)
      answer(HttpFailure::refused, refusal_);
    else if (too_large_)
      answer(HttpFailure::too_large, fmt::format("the reply has over {} bytes", job_.request.max_bytes));
    else if (code == CURLE_OPERATION_TIMEDOUT)
      answer(HttpFailure::timed_out, fmt::format("no reply within {} ms", job_.request.timeout_ms));
    else if (code != CURLE_OK)
      answer(HttpFailure::failed, error_[0] != '\0' ? error_ : curl_easy_strerror(code));
    else
      answer(HttpFailure::none, {});
  }

  void answer(HttpFailure failure, std::string error) {
    long status = 0;
    if (easy_ != nullptr) curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    reply_.status = static_cast<int>(status);
    reply_.failure = failure;
    reply_.error = std::move(error);
    job_.loop->post([reply = std::move(reply_), on_reply = std::move(job_.on_reply)]() mutable {
      on_reply(std::move(reply));
    });
  }

 private:
  void refuse(std::string why) {
    if (refusal_.empty()) refusal_ = std::move(why);
  }

  template <class T>
  void set(CURLoption option, T value) {
    curl_easy_setopt(easy_, option, value);
  }

  void set_up(const HttpClient::Options& options) {
    const HttpRequest& request = job_.request;
    set(CURLOPT_PRIVATE, this);
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    // Once encrypted, never in the clear again.
    set(CURLOPT_REDIR_PROTOCOLS_STR, plain_ ? "http,https" : "https");
    set(CURLOPT_FOLLOWLOCATION, request.follow_redirects ? 1L : 0L);
    set(CURLOPT_MAXREDIRS, kMaxRedirects);
    set(CURLOPT_PROXY, "");  // a proxy from the environment would hide the address
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TIMEOUT_MS, 0L);  // the engine's wheel also counts the wait for a free connection
    set(CURLOPT_QUICK_EXIT, 1L);  // a name server that hangs must not hold up the thread
    set(CURLOPT_USERAGENT, options.user_agent.c_str());
    if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_HTTPHEADER, header_lines_);
    set(CURLOPT_ERRORBUFFER, error_);

    if (request.method == "HEAD") set(CURLOPT_NOBODY, 1L);
    if (!request.body.empty() || request.method == "POST") {
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      set(CURLOPT_POSTFIELDS, request.body.data());
    }
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());

    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open_socket);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
    set(CURLOPT_PREREQDATA, this);
  }

  bool may_reach(const SocketAddress& address) {
    if (plain_ && job_.request.plain_http_only_loopback && !address.is_loopback()) {
      refuse(fmt::format("plain http to {} is not allowed", address.ip()));
      return false;
    }
    if (!job_.request.allow_private && !address.is_public()) {
      refuse(fmt::format("the address {} is not public", address.ip()));
      return false;
    }
    return true;
  }

  bool count(std::size_t bytes) {
    received_ += bytes;
    too_large_ = too_large_ || received_ > job_.request.max_bytes;
    return !too_large_;
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (!transfer.count(size)) return CURL_WRITEFUNC_ERROR;
    transfer.reply_.body.append(data, size);
    return size;
  }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (!transfer.count(size)) return CURL_WRITEFUNC_ERROR;
    const std::string_view line(data, size);
    const std::size_t colon = line.find(':');
    if (line.starts_with("HTTP/")) {  // another response begins: after a redirect or a 100
      transfer.reply_.headers.clear();
      transfer.reply_.body.clear();
    } else if (colon != std::string_view::npos) {
      std::string name(trimmed(line.substr(0, colon)));
      std::ranges::transform(name, name.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      transfer.reply_.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
    }
    return size;
  }

  static curl_socket_t on_open_socket(void* self, curlsocktype, curl_sockaddr* target) {
    const SocketAddress address = SocketAddress::from_native(&target->addr, target->addrlen);
    if (!static_cast<Transfer*>(self)->may_reach(address)) return CURL_SOCKET_BAD;
    return ::socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
  }

  // Asked for reused connections too, which another request with wider rights may have opened.
  static int on_connected(void* self, char* remote_ip, char*, int remote_port, int) {
    const auto address = SocketAddress::parse_ip(remote_ip, static_cast<std::uint16_t>(remote_port));
    const bool allowed = address.has_value() && static_cast<Transfer*>(self)->may_reach(*address);
    return allowed ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
  }

  Job job_;
  CURL* easy_;
  curl_slist* header_lines_ = nullptr;
  HttpReply reply_;
  std::string refusal_;
  std::size_t received_ = 0;
  bool plain_ = false;
  bool too_large_ = false;
  char error_[CURL_ERROR_SIZE] = {};
};
}  // namespace

class HttpClient::Engine final : private Waker {
 public:
  explicit Engine(Options options) : options_(std::move(options)), multi_(start_curl()), inbox_(*this) {
    curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, options_.connections_per_host);
    thread_ = start_thread("http-client", [this] { run(); });
  }
  ~Engine() {
    stopping_.store(true, std::memory_order_release);
    wake();
    thread_.join();
    curl_multi_cleanup(multi_);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void request(Job job) {
    if (requests_.fetch_add(1, std::memory_order_relaxed) >= options_.max_requests) {
      requests_.fetch_sub(1, std::memory_order_relaxed);
      job.loop->post([on_reply = std::move(job.on_reply)] {
        HttpReply reply;
        reply.failure = HttpFailure::overloaded;
        reply.error = "too many requests are under way";
        on_reply(std::move(reply));
      });
      return;
    }
    inbox_.push(std::move(job));
  }

 private:
  static CURLM* start_curl() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM* multi = started == CURLE_OK ? curl_multi_init() : nullptr;
    if (multi == nullptr) throw std::runtime_error("libcurl cannot start");
    return multi;
  }

  void wake() override { curl_multi_wakeup(multi_); }

  void run() {
    while (!stopping_.load(std::memory_order_acquire)) {
      start_requests();
      int running = 0;
      curl_multi_perform(multi_, &running);
      collect();
      timeouts_.advance(read_clocks().mono_ms(), [this](Transfer& transfer) { give_up(transfer); });
      curl_multi_poll(multi_, nullptr, 0, wait_ms(), nullptr);
    }
    start_requests();
    for (auto& [easy, transfer] : transfers_) {
      curl_multi_remove_handle(multi_, easy);
      transfer->answer(HttpFailure::stopped, "the server is stopping");
    }
    transfers_.clear();
  }

  int wait_ms() {
    constexpr std::int64_t kLongest_ms = 60'000;
    const std::int64_t left_ms = timeouts_.next_deadline_ms().value_or(INT64_MAX) - read_clocks().mono_ms();
    return static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, kLongest_ms));
  }

  void give_up(Transfer& transfer) {
    CURL* easy = transfer.easy();
    curl_multi_remove_handle(multi_, easy);
    transfer.finish(CURLE_OPERATION_TIMEDOUT);
    transfers_.erase(easy);
    requests_.fetch_sub(1, std::memory_order_relaxed);
  }

  void start_requests() {
    inbox_.take(jobs_);
    for (Job& job : jobs_) {
      auto transfer = std::make_unique<Transfer>(std::move(job), options_);
      if (transfer->refused()) {
        transfer->finish(CURLE_ABORTED_BY_CALLBACK);
        requests_.fetch_sub(1, std::memory_order_relaxed);
        continue;
      }
      curl_multi_add_handle(multi_, transfer->easy());
      CURL* easy = transfer->easy();
      timeouts_.schedule(*transfer, read_clocks().mono_ms() + transfer->timeout_ms());
      transfers_.emplace(easy, std::move(transfer));
    }
    jobs_.clear();
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto found = transfers_.find(message->easy_handle);
      const CURLcode code = message->data.result;  // gone with the handle
      curl_multi_remove_handle(multi_, found->first);
      found->second->finish(code);
      transfers_.erase(found);
      requests_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  const Options options_;
  CURLM* multi_;
  Mailbox<Job> inbox_;
  std::vector<Job> jobs_;
  TimerWheel<Transfer> timeouts_{8, read_clocks().mono_ms()};
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> transfers_;
  std::atomic<std::size_t> requests_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

HttpClient::HttpClient(Options options) : engine_(std::make_unique<Engine>(std::move(options))) {}

HttpClient::~HttpClient() = default;

void HttpClient::request(HttpRequest request, Loop& loop, std::function<void(HttpReply)> on_reply) {
  engine_->request({std::move(request), &loop, std::move(on_reply)});
}

}  // namespace tidewire::net
