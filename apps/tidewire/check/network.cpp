#include "check/network.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/version.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <optional>
#include <type_traits>

#include "check/session.h"

namespace tidewire::check {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using Tcp = asio::ip::tcp;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr std::size_t kMessageMax = std::size_t{64} << 20;
constexpr std::size_t kBodyMax = std::size_t{16} << 20;

// What Beast and OpenSSL say, as one sentence.
std::string sentence(const error_code& error) {
  if (error == asio::error::operation_aborted || error == beast::error::timeout) return "no answer in time";
  return error.message();
}

// What a problem document says, behind a colon; nothing where there is none.
std::string detail_of(std::string_view body) {
  const std::string detail = text_of(parsed(body), "detail");
  return detail.empty() ? detail : ": " + detail;
}

template <class Stream>
class SocketOf final : public Socket, public std::enable_shared_from_this<SocketOf<Stream>> {
 public:
  SocketOf(Network& network, Stream stream) : network_(network), stream_(std::move(stream)) {}
  ~SocketOf() override = default;

  std::optional<Refusal> shake_hands(const std::string& path, const Headers& headers, bool offer_deflate) {
    beast::get_lowest_layer(stream_).expires_never();
    stream_.set_option(websocket::stream_base::decorator([&headers](websocket::request_type& request) {
      request.set(http::field::user_agent, "tidewire-check");
      for (const auto& [name, value] : headers) request.insert(name, value);
    }));
    websocket::permessage_deflate deflate_options;
    deflate_options.client_enable = offer_deflate;
    stream_.set_option(deflate_options);
    stream_.read_message_max(kMessageMax);
    stream_.control_callback([this](websocket::frame_type kind, beast::string_view) {
      if (kind == websocket::frame_type::pong) ++pongs;
    });
    websocket::response_type response;
    std::optional<error_code> result;
    stream_.async_handshake(response, network_.options().address.authority(), path,
                            [&result](error_code error) { result = error; });
    if (!network_.wait([&] { return result.has_value(); })) {
      drop();
      network_.wait([&] { return result.has_value(); });
      return Refusal{.status = 0, .reason = "the upgrade was not answered in time"};
    }
    if (*result == websocket::error::upgrade_declined)
      return Refusal{.status = response.result_int(),
                     .reason = fmt::format("HTTP {}{}", response.result_int(), detail_of(response.body()))};
    if (*result) return Refusal{.status = 0, .reason = sentence(*result)};
    subprotocol = response[http::field::sec_websocket_protocol];
    deflate = response[http::field::sec_websocket_extensions].find("permessage-deflate") !=
              beast::string_view::npos;
    read();
    return std::nullopt;
  }

  bool send(std::string_view text, bool binary) override {
    if (ended) return false;
    stream_.binary(binary);
    const auto kept = std::make_shared<std::string>(text);
    return finishes([&](auto done) {
      stream_.async_write(asio::buffer(*kept), [kept, done](error_code error, std::size_t) { done(error); });
    });
  }

  bool ping() override {
    return !ended && finishes([&](auto done) { stream_.async_ping({}, done); });
  }

  void close() override {
    if (ended) return;
    finishes([&](auto done) { stream_.async_close(websocket::close_code::normal, done); });
    network_.wait([this] { return ended; });
    drop();
  }

  void drop() override {
    error_code ignored;
    beast::get_lowest_layer(stream_).socket().close(ignored);
  }

 private:
  // Starts an operation and waits for it; one that takes too long ends the connection.
  template <class Start>
  bool finishes(Start&& start) {
    const auto result = std::make_shared<std::optional<error_code>>();
    start([self = this->shared_from_this(), result](error_code error) { *result = error; });
    if (!network_.wait([&] { return result->has_value(); })) {
      drop();
      return false;
    }
    return !**result;
  }

  void read() {
    stream_.async_read(buffer_, [self = this->shared_from_this()](error_code error, std::size_t) {
      if (error) {
        self->ended = true;
        if (self->stream_.reason().code != websocket::close_code::none) {
          self->close_code = static_cast<std::uint16_t>(self->stream_.reason().code);
          self->close_reason = self->stream_.reason().reason.c_str();
        }
        return;
      }
      self->inbox.push_back({.text = beast::buffers_to_string(self->buffer_.data()),
                             .binary = self->stream_.got_binary(),
                             .at = Clock::now()});
      self->buffer_.clear();
      self->read();
    });
  }

  Network& network_;
  websocket::stream<Stream> stream_;
  beast::flat_buffer buffer_;
};

}  // namespace

class Network::Engine {
 public:
  Engine(Network& network, Options given)
      : options(std::move(given)),
        network_(network),
        tls_(asio::ssl::context::tls_client),
        work_(loop.get_executor()) {
    error_code ignored;
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                         asio::ssl::context::no_tlsv1_1,
                     ignored);
  }

  // The trusted certificates; a sentence when they can't be read.
  std::string prepare_tls() {
    if (prepared_) return {};
    error_code error;
    if (options.ca_file.empty())
      tls_.set_default_verify_paths(error);
    else
      tls_.load_verify_file(options.ca_file, error);
    if (error) return fmt::format("the trusted certificates can't be read: {}", error.message());
    prepared_ = true;
    return {};
  }

  std::expected<beast::tcp_stream, std::string> connect() {
    Tcp::resolver resolver(loop);
    error_code error;
    const auto places = resolver.resolve(options.address.host, options.address.port, error);
    if (error) return std::unexpected(fmt::format("{}: {}", options.address.host, error.message()));
    beast::tcp_stream stream(loop);
    stream.expires_after(options.timeout);
    std::optional<error_code> result;
    stream.async_connect(places, [&result](error_code failed, const Tcp::endpoint&) { result = failed; });
    // The stream's own deadline ends it.
    while (!result) network_.wait([&] { return result.has_value(); });
    if (*result)
      return std::unexpected(fmt::format("{}: {}", options.address.authority(), sentence(*result)));
    stream.socket().set_option(Tcp::no_delay(true), error);
    return stream;
  }

  std::expected<TlsStream, std::string> connect_tls(bool verified) {
    if (auto fault = prepare_tls(); !fault.empty()) return std::unexpected(std::move(fault));
    auto plain = connect();
    if (!plain) return std::unexpected(plain.error());
    TlsStream stream(*std::move(plain), tls_);
    const std::string& host = options.address.host;
    error_code error;
    const bool is_name =
        host.find_first_not_of("0123456789.") != std::string::npos && host.find(':') == std::string::npos;
    if (is_name) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());
    if (verified) {
      stream.set_verify_mode(asio::ssl::verify_peer, error);
      stream.set_verify_callback(asio::ssl::host_name_verification(host), error);
    } else {
      stream.set_verify_mode(asio::ssl::verify_none, error);
    }
    beast::get_lowest_layer(stream).expires_after(options.timeout);
    std::optional<error_code> result;
    stream.async_handshake(asio::ssl::stream_base::client, [&result](error_code failed) { result = failed; });
    while (!result) network_.wait([&] { return result.has_value(); });
    if (*result) return std::unexpected("TLS: " + sentence(*result));
    return stream;
  }

  template <class Stream>
  std::expected<HttpReply, std::string> exchange(Stream stream, std::string_view path,
                                                 const Headers& headers) {
    const auto began = Clock::now();
    http::request<http::empty_body> request(http::verb::get, options.address.prefix + std::string(path), 11);
    request.set(http::field::host, options.address.authority());
    request.set(http::field::user_agent, "tidewire-check");
    request.set(http::field::connection, "close");
    for (const auto& [name, value] : headers) request.set(name, value);
    beast::get_lowest_layer(stream).expires_after(options.timeout);
    std::optional<error_code> result;
    const auto finish = [&result](error_code error, std::size_t) { result = error; };
    http::async_write(stream, request, finish);
    while (!result) network_.wait([&] { return result.has_value(); });
    if (*result) return std::unexpected(sentence(*result));
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kBodyMax);
    result.reset();
    http::async_read(stream, buffer, parser, finish);
    while (!result) network_.wait([&] { return result.has_value(); });
    if (*result) return std::unexpected(sentence(*result));
    return HttpReply{.status = parser.get().result_int(),
                     .body = parser.get().body(),
                     .took_ms = std::chrono::duration<double, std::milli>(Clock::now() - began).count()};
  }

  template <class Stream>
  std::expected<std::shared_ptr<Socket>, Refusal> upgrade(std::expected<Stream, std::string> stream,
                                                          std::string_view path, const Headers& headers,
                                                          bool offer_deflate) {
    if (!stream) return std::unexpected(Refusal{.status = 0, .reason = stream.error()});
    auto socket = std::make_shared<SocketOf<Stream>>(network_, *std::move(stream));
    if (auto refusal =
            socket->shake_hands(options.address.prefix + std::string(path), headers, offer_deflate))
      return std::unexpected(*std::move(refusal));
    return socket;
  }

  Options options;
  asio::io_context loop{1};

 private:
  Network& network_;
  asio::ssl::context tls_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  bool prepared_ = false;
};

Network::Network(Options options) : engine_(std::make_unique<Engine>(*this, std::move(options))) {}
Network::~Network() = default;

const Network::Options& Network::options() const { return engine_->options; }

bool Network::wait(const std::function<bool()>& done, Clock::time_point deadline) {
  while (!done()) {
    if (Clock::now() >= deadline) return false;
    engine_->loop.run_one_until(deadline);
  }
  return true;
}

bool Network::wait(const std::function<bool()>& done) {
  return wait(done, Clock::now() + engine_->options.timeout);
}

std::expected<HttpReply, std::string> Network::get(std::string_view path, const Headers& headers) {
  if (engine_->options.address.tls) {
    auto stream = engine_->connect_tls(!engine_->options.insecure);
    if (!stream) return std::unexpected(stream.error());
    return engine_->exchange(*std::move(stream), path, headers);
  }
  auto stream = engine_->connect();
  if (!stream) return std::unexpected(stream.error());
  return engine_->exchange(*std::move(stream), path, headers);
}

std::expected<std::shared_ptr<Socket>, Refusal> Network::open(std::string_view path, const Headers& headers,
                                                              bool offer_deflate) {
  if (engine_->options.address.tls)
    return engine_->upgrade(engine_->connect_tls(!engine_->options.insecure), path, headers, offer_deflate);
  return engine_->upgrade(engine_->connect(), path, headers, offer_deflate);
}

std::expected<Certificate, std::string> Network::certificate() {
  auto stream = engine_->connect_tls(false);
  if (!stream) return std::unexpected(stream.error());
  SSL* tls = stream->native_handle();
  Certificate out{.version = SSL_get_version(tls), .days = 0, .fault = {}};
  X509* certificate = SSL_get1_peer_certificate(tls);
  if (certificate == nullptr) return std::unexpected("the server showed no certificate");
  int days = 0, seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) == 1) out.days = days;
  X509_free(certificate);
  if (auto verified = engine_->connect_tls(true); !verified) out.fault = verified.error();
  return out;
}

}  // namespace tidewire::check
