// wsload - a neutral, cheap, single-threaded epoll load generator for WebSocket servers.
// Build: make (or: g++ -std=c++20 -O3 -march=native -Wall -Wextra -o wsload wsload.cpp -lz -lssl -lcrypto)
// Needs nothing but libc, zlib, OpenSSL and Linux. Run `wsload --help` for the options; see README.md here.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using u8 = uint8_t; using u16 = uint16_t; using u32 = uint32_t; using u64 = uint64_t; using i64 = int64_t;
using std::string; using std::string_view; using std::vector;

// ---------------------------------------------------------------- small helpers
static u64 now_ns() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return u64(t.tv_sec) * 1000000000ull + u64(t.tv_nsec); }
[[noreturn]] static void die(const char* f, ...) { va_list a; va_start(a, f); fprintf(stderr, "wsload: "); vfprintf(stderr, f, a); fprintf(stderr, "\n"); va_end(a); exit(2); }
static string slurp(const string& p) { std::ifstream f(p); std::stringstream s; s << f.rdbuf(); return s.str(); }
static vector<string> split(const string& s, char c) { vector<string> v; string t; std::stringstream ss(s); while (std::getline(ss, t, c)) if (!t.empty()) v.push_back(t); return v; }
static string subst(string s, const string& key, const string& val) { size_t p = 0; while ((p = s.find(key, p)) != string::npos) { s.replace(p, key.size(), val); p += val.size(); } return s; }

// Log-linear histogram (128 sub-buckets per power of two: better than 0.8 % resolution).
struct Hist {
  vector<u64> c = vector<u64>(64 * 128, 0); u64 n = 0, mx = 0; double sum = 0;
  static u32 idx(u64 v) { if (v < 256) return u32(v); int e = 63 - __builtin_clzll(v); return u32((e - 6) * 128 + ((v >> (e - 7)) & 127)); }
  static u64 val(u32 i) { if (i < 256) return i; u32 e = i / 128 + 6, s = i % 128; return ((128ull + s) << (e - 7)) + (1ull << (e - 7)) / 2; }
  void add(u64 v) { c[idx(v)]++; n++; sum += double(v); if (v > mx) mx = v; }
  void clear() { std::fill(c.begin(), c.end(), 0); n = mx = 0; sum = 0; }
  double pct(double p) const { if (!n) return 0; u64 want = u64(p / 100.0 * double(n) + 0.5), acc = 0; if (want < 1) want = 1; for (u32 i = 0; i < c.size(); i++) { acc += c[i]; if (acc >= want) return double(std::min(val(i), mx)); } return double(mx); }
};

// ---------------------------------------------------------------- what the server costs
static const double TICK = 1.0 / double(sysconf(_SC_CLK_TCK));
struct Cpu { double proc = 0, core = 0, gen = 0, gen_core = 0, steal = 0; u64 t = 0; };  // seconds of CPU
static vector<int> g_pids; static int g_core = -1, g_gen_core = 0;
static Cpu cpu_now() {
  Cpu c; c.t = now_ns();
  for (int p : g_pids) {
    clockid_t clk; timespec ct; if (!clock_getcpuclockid(p, &clk) && !clock_gettime(clk, &ct)) { c.proc += double(ct.tv_sec) + double(ct.tv_nsec) * 1e-9; continue; }  // to the nanosecond; /proc counts in ticks of 10 ms
    string s = slurp("/proc/" + std::to_string(p) + "/stat"); size_t q = s.rfind(')'); if (q == string::npos) continue;
    std::istringstream is(s.substr(q + 2)); string w; u64 ut = 0, st = 0; for (int i = 3; i <= 15 && is >> w; i++) { if (i == 14) ut = strtoull(w.c_str(), 0, 10); if (i == 15) st = strtoull(w.c_str(), 0, 10); }
    c.proc += double(ut + st) * TICK;
  }
  string all = slurp("/proc/stat"); auto busy = [&](int core) {  // whole core: user nice system irq softirq (catches ksoftirqd, which no process is charged for)
    string k = "cpu" + std::to_string(core) + " "; size_t q = all.find(k); if (q == string::npos) return 0.0; std::istringstream is(all.substr(q + k.size())); u64 v[8] = {}; for (auto& x : v) is >> x;
    c.steal += double(v[7]) * TICK; return double(v[0] + v[1] + v[2] + v[5] + v[6]) * TICK; };
  if (g_core >= 0) c.core = busy(g_core);
  c.gen_core = busy(g_gen_core);
  rusage r; getrusage(RUSAGE_SELF, &r); c.gen = double(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + double(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
  return c;
}
struct Mem { u64 rss = 0, pss = 0, anon = 0, tcp_pages = 0, tcp_inuse = 0, slab = 0, sunreclaim = 0, kstack = 0, avail = 0; };
static u64 kv(const string& s, const char* k) { size_t p = s.find(k); return p == string::npos ? 0 : strtoull(s.c_str() + p + strlen(k), 0, 10); }
static Mem mem_now() {
  Mem m; for (int p : g_pids) { string s = slurp("/proc/" + std::to_string(p) + "/smaps_rollup"); m.rss += kv(s, "Rss:"); m.pss += kv(s, "Pss:"); m.anon += kv(s, "Pss_Anon:"); }
  string ss = slurp("/proc/net/sockstat"); size_t p = ss.find("TCP:"); if (p != string::npos) { m.tcp_inuse = kv(ss.substr(p), "inuse "); m.tcp_pages = kv(ss.substr(p), "mem "); }
  string mi = slurp("/proc/meminfo"); m.slab = kv(mi, "Slab:"); m.sunreclaim = kv(mi, "SUnreclaim:"); m.avail = kv(mi, "MemAvailable:"); return m;
}

// ---------------------------------------------------------------- options
enum Proto { P_RAW, P_TCP, P_TMPL, P_SIO, P_NATS, P_MQTT };
struct Opt {
  string mode = "echo", host = "127.0.0.1", proto = "raw", path = "/", sub_path, pub_path, host_hdr, subproto, pub = "{payload}", match, ready, headers, json, channel = "ch";
  vector<string> lines;
  vector<string> hello, sub, pub_hello; int port = 9001;
  u32 conns = 64, depth = 1, subs = 100, pubs = 1, window = 1, srcs = 0, inflight = 256, inflate_every = 64; u32 size = 128, lives = 0; double dur = 5, warm = 1, rate = 0, hold = 2, drain = 2;
  bool text = false, deflate = false, slow_verify = true, rst = false, quiet = false, pub_echo_ok = false, churn_echo = false, tls = false; string src_base = "127.0.1.0";
} O;
static Proto PR = P_RAW; static bool WS = true;  // WS: WebSocket framing is in use

// ---------------------------------------------------------------- connections
enum St : u8 { CONNECTING, HTTP, HELLO, READY, CLOSING, DEAD };
struct Conn {
  int fd = -1; u32 id = 0; St st = DEAD; bool is_pub = false, dirty = false; u8 stage = 0; u16 pad = 0; u32 off = 0;  // off: last seen offset of the payload in a message
  u8* in = nullptr; u32 in_len = 0, in_cap = 0;          // undecoded wire bytes
  u8* sb = nullptr; u32 sb_len = 0, sb_cap = 0;          // undecoded protocol stream (nats, mqtt inside frames)
  u8* out = nullptr; u32 out_len = 0, out_cap = 0;       // unsent bytes
  u64* ts = nullptr; u32 seq_out = 0, seq_in = 0;         // echo: ring of send times; next sequence to send / expect
  u32* last = nullptr;                                     // fanout: last sequence seen per publisher
  u64 t0 = 0; SSL* ssl = nullptr;
  z_stream* z = nullptr; bool takeover = true, cut_compressed = false;  // --deflate: inflater (only while it is needed), the server keeps its context, a fragmented message began compressed
};
static vector<Conn> C; static int EP = -1; static u32 n_ready = 0, n_dead = 0; static u64 n_errors = 0;
static constexpr u32 RB = 256 * 1024; static u8 *rbuf, *sbuf; static u32 sbuf_cap = 8u << 20; static u8* obuf; static u32 obuf_len = 0, obuf_cap = 8u << 20;
static u64 rng = 0x9E3779B97F4A7C15ull; static u32 rnd() { rng ^= rng << 13; rng ^= rng >> 7; rng ^= rng << 17; return u32(rng >> 32); }
static void keep(u8*& b, u32& len, u32& cap, const u8* p, u32 n) { if (n > cap) { cap = std::max(n, 512u); free(b); b = (u8*)malloc(cap); } if (n) memcpy(b, p, n); len = n; }

// Stats
static bool measuring = false, sending = true; static u64 m_msgs = 0, m_bytes = 0, tot_deliv = 0, tot_pub = 0, m_pub = 0, dups = 0, ooo = 0, gaps = 0, bad = 0, rsv1 = 0, n_wire_deflated = 0, n_recv = 0, n_send = 0; static Hist H;
static u64 rx_time = 0; static u32 n_granted = 0;

// ---------------------------------------------------------------- the socket, or TLS on it (a TLS that waits looks like a full or empty socket)
static SSL_CTX* TLS = nullptr;
static ssize_t tls_result(Conn& c, int r) { if (r > 0) return r; int e = SSL_get_error(c.ssl, r); if (e == SSL_ERROR_ZERO_RETURN) return 0; errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET; return -1; }
static ssize_t tx(Conn& c, const u8* p, u32 n) { return c.ssl ? tls_result(c, SSL_write(c.ssl, p, int(n))) : send(c.fd, p, n, MSG_NOSIGNAL); }
static ssize_t rx(Conn& c, u8* p, u32 n) { return c.ssl ? tls_result(c, SSL_read(c.ssl, p, int(n))) : recv(c.fd, p, n, 0); }
static void tls_start(Conn& c) { c.ssl = SSL_new(TLS); SSL_set_fd(c.ssl, c.fd); SSL_set_connect_state(c.ssl); }
static void tls_end(Conn& c) { if (!c.ssl) return; if (!O.rst && SSL_is_init_finished(c.ssl)) SSL_shutdown(c.ssl); SSL_free(c.ssl); c.ssl = nullptr; }
static void tls_setup() { TLS = SSL_CTX_new(TLS_client_method()); SSL_CTX_set_mode(TLS, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS); SSL_CTX_set_verify(TLS, SSL_VERIFY_NONE, nullptr); SSL_CTX_set_session_cache_mode(TLS, SSL_SESS_CACHE_OFF); }

// ---------------------------------------------------------------- outgoing
static bool flush_pending(Conn& c) {
  while (c.out_len) { n_send++; ssize_t r = tx(c, c.out, c.out_len); if (r < 0) return errno == EAGAIN; memmove(c.out, c.out + r, c.out_len - size_t(r)); c.out_len -= u32(r); }
  return true;
}
static bool flush(Conn& c) {  // sends obuf on c; whatever does not fit is kept in c.out
  const u8* p = obuf; u32 n = obuf_len; obuf_len = 0; if (!n) return true;
  if (c.out_len) { if (c.out_len + n > c.out_cap) { c.out_cap = (c.out_len + n) * 2; c.out = (u8*)realloc(c.out, c.out_cap); } memcpy(c.out + c.out_len, p, n); c.out_len += n; return true; }
  n_send++; ssize_t r = tx(c, p, n); if (r < 0) { if (errno != EAGAIN) return false; r = 0; }
  if (u32(r) < n) { u32 l = n - u32(r); if (l > c.out_cap) { c.out_cap = l * 2; free(c.out); c.out = (u8*)malloc(c.out_cap); } memcpy(c.out, p + r, l); c.out_len = l; if (c.ssl && r) return flush_pending(c); }  // TLS takes one record at a time
  return true;
}
static void xor_copy(u8* d, const u8* s, u32 n, u32 key) {
  u64 k = key | (u64(key) << 32); u32 i = 0; for (; i + 8 <= n; i += 8) { u64 v; memcpy(&v, s + i, 8); v ^= k; memcpy(d + i, &v, 8); }
  for (; i < n; i++) d[i] = u8(s[i] ^ (key >> (8 * (i & 3))));
}
static void put(const void* p, u32 n) { if (obuf_len + n + 16 > obuf_cap) die("send buffer overflow"); memcpy(obuf + obuf_len, p, n); obuf_len += n; }
static void frame(u8 opcode, const u8* p, u32 n) {  // one masked client frame appended to obuf
  if (!WS) { put(p, n); return; }
  if (obuf_len + n + 16 > obuf_cap) die("send buffer overflow");
  u8* o = obuf + obuf_len; u32 h; o[0] = 0x80 | opcode;
  if (n < 126) { o[1] = u8(0x80 | n); h = 2; } else if (n < 65536) { o[1] = 0x80 | 126; o[2] = u8(n >> 8); o[3] = u8(n); h = 4; } else { o[1] = 0x80 | 127; memset(o + 2, 0, 4); o[6] = u8(n >> 24); o[7] = u8(n >> 16); o[8] = u8(n >> 8); o[9] = u8(n); h = 10; }
  u32 key = rnd(); memcpy(o + h, &key, 4); h += 4; xor_copy(o + h, p, n, key); obuf_len += h + n;
}
static u8 data_op() { return (PR == P_NATS || PR == P_MQTT) ? 2 : (O.text || PR == P_SIO || PR == P_TMPL) ? 1 : 2; }

// ---------------------------------------------------------------- payload
// echo:   "@@" "AAAAAAAA"(sequence, 32 bits, one nibble per char 0x40|n) fill
// fanout: "@@" 2 chars publisher, 8 chars sequence, 16 chars time, fill
static constexpr const char* MARK = "#=#"; static constexpr u32 MLEN = 3; static constexpr u32 ECHO_HDR = MLEN + 8, FAN_HDR = MLEN + 2 + 8 + 16;
static void enc(u8* p, u64 v, int n) { for (int i = n - 1; i >= 0; i--) { p[i] = u8(0x40 | (v & 15)); v >>= 4; } }
static u64 dec(const u8* p, int n) { u64 v = 0; for (int i = 0; i < n; i++) v = v << 4 | (p[i] & 15); return v; }
static vector<u8> payload_;                                     // the application payload, header rewritten per message
static vector<u8> msg_pre, msg_post; static vector<u8> msg_;     // what surrounds it (template / protocol header)
static void build_payload() { payload_.resize(O.size); for (u32 i = 0; i < O.size; i++) payload_[i] = u8('a' + (i * 7 + i / 26) % 26); memcpy(payload_.data(), MARK, std::min(MLEN, O.size)); }
static u32 pay_off = 0;
static void build_msg(const string& pre, const string& post) { msg_.assign(pre.begin(), pre.end()); pay_off = u32(pre.size()); msg_.insert(msg_.end(), payload_.begin(), payload_.end()); msg_.insert(msg_.end(), post.begin(), post.end()); }
static string mqtt_len(u32 n) { string s; do { u8 b = n & 127; n >>= 7; s += char(n ? b | 128 : b); } while (n); return s; }
static string mqtt_str(const string& s) { return string{char(s.size() >> 8), char(s.size() & 255)} + s; }
static string mqtt_pub_pre(const string& topic) { string v = mqtt_str(topic); return string(1, char(0x30)) + mqtt_len(u32(v.size()) + O.size) + v; }
static string chan_of(u32 id) { return O.mode == "echo" || O.mode == "churn" ? "e" + std::to_string(id) : O.channel; }
static void message_for(u32 id) {  // echo on pub/sub protocols uses one channel per connection, so the text around the payload differs
  if (PR == P_NATS) build_msg("PUB " + chan_of(id) + " " + std::to_string(O.size) + "\r\n", "\r\n");
  else if (PR == P_MQTT) build_msg(mqtt_pub_pre(chan_of(id)), "");
  else { string t = subst(O.pub, "{i}", std::to_string(id)); size_t q = t.find("{payload}"); if (q == string::npos) die("--pub needs {payload}"); build_msg(t.substr(0, q), t.substr(q + 9)); }
}
static bool per_conn_msg() { return O.mode != "fanout" && (PR == P_NATS || PR == P_MQTT || O.pub.find("{i}") != string::npos); }

static void echo_send(Conn& c, u32 k, u64 t) {
  if (per_conn_msg()) message_for(c.id);
  for (u32 i = 0; i < k; i++) { u32 s = c.seq_out++; c.ts[s % O.depth] = t; enc(msg_.data() + pay_off + MLEN, s, 8); frame(data_op(), msg_.data(), u32(msg_.size())); }
}
static void publish(Conn& c, u64 intended) {
  u8* p = msg_.data() + pay_off + MLEN; enc(p, c.id, 2); enc(p + 2, c.seq_out++, 8); enc(p + 10, intended, 16); frame(data_op(), msg_.data(), u32(msg_.size())); tot_pub++; if (measuring) m_pub++;
}

// ---------------------------------------------------------------- connection set-up
static u32 connect_seq = 0; static sockaddr_in dst;
static void ep_add(Conn& c) { epoll_event e{}; e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET; e.data.u32 = u32(&c - C.data()); if (epoll_ctl(EP, EPOLL_CTL_ADD, c.fd, &e)) die("epoll_ctl: %s", strerror(errno)); }
static void drop_inflater(Conn& c) { if (c.z) { inflateEnd(c.z); delete c.z; c.z = nullptr; } }
static void start_connect(Conn& c) {
  drop_inflater(c); c.takeover = true; c.cut_compressed = false;
  c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); if (c.fd < 0) die("socket: %s (raise ulimit -n?)", strerror(errno));
  int one = 1; setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (O.srcs) { setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one); sockaddr_in s{}; s.sin_family = AF_INET; in_addr b; inet_pton(AF_INET, O.src_base.c_str(), &b); s.sin_addr.s_addr = htonl(ntohl(b.s_addr) + 1 + connect_seq % O.srcs); if (bind(c.fd, (sockaddr*)&s, sizeof s)) die("bind source: %s", strerror(errno)); }
  connect_seq++; c.st = CONNECTING; c.stage = 0; c.in_len = c.sb_len = c.out_len = 0; c.t0 = now_ns();
  if (connect(c.fd, (sockaddr*)&dst, sizeof dst) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  ep_add(c);
}
static void conn_close(Conn& c, bool error) { if (c.st == DEAD) return; if (c.st == READY) n_ready--; if (error) n_errors++; tls_end(c); if (O.rst) { linger l{1, 0}; setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &l, sizeof l); } close(c.fd); c.fd = -1; c.st = DEAD; n_dead++; }
static void send_text(Conn& c, const string& s) { frame(1, (const u8*)s.data(), u32(s.size())); flush(c); }
static void send_bin(Conn& c, const string& s) { frame(2, (const u8*)s.data(), u32(s.size())); flush(c); }
static void on_ready(Conn& c);
static size_t next_line = 0;
static void http_request(Conn& c) {
  string path = c.is_pub && !O.pub_path.empty() ? O.pub_path : !c.is_pub && !O.sub_path.empty() ? O.sub_path : O.path; path = subst(path, "{i}", std::to_string(c.id)); if (!O.lines.empty()) path = subst(path, "{line}", O.lines[next_line++ % O.lines.size()]);
  string r = "GET " + path + " HTTP/1.1\r\nHost: " + (O.host_hdr.empty() ? O.host + ":" + std::to_string(O.port) : O.host_hdr) + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  if (!O.subproto.empty()) r += "Sec-WebSocket-Protocol: " + O.subproto + "\r\n";
  if (O.deflate) r += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_no_context_takeover\r\n";
  r += O.headers + "\r\n"; put(r.data(), u32(r.size())); flush(c);
}
static bool is_subscriber(const Conn& c) { return O.mode != "fanout" || !c.is_pub; }
static void after_hello(Conn& c) {  // protocol log-in is done: subscribe (if this connection does) and become ready when acknowledged
  if (PR == P_NATS) { if (is_subscriber(c)) send_bin(c, "SUB " + chan_of(c.id) + " 1\r\nPING\r\n"); else { on_ready(c); return; } c.stage = 2; return; }
  if (PR == P_MQTT) { if (!is_subscriber(c)) { on_ready(c); return; } string v = string{0, 1} + mqtt_str(chan_of(c.id)) + string(1, '\0'); send_bin(c, string(1, char(0x82)) + mqtt_len(u32(v.size())) + v); c.stage = 2; return; }
  const auto& fr = c.is_pub ? O.pub_hello : O.sub; for (auto& s : fr) send_text(c, subst(s, "{i}", std::to_string(c.id)));
  if (O.ready.empty() || c.is_pub) on_ready(c); else c.stage = 2;
}
static void upgraded(Conn& c) {
  c.st = HELLO; c.stage = 1; if (O.mode == "idle" && PR != P_SIO && PR != P_NATS && PR != P_MQTT && O.sub.empty() && O.hello.empty()) { on_ready(c); return; }
  if (PR == P_SIO || PR == P_NATS) return;  // the server speaks first
  if (PR == P_MQTT) { string v = mqtt_str("MQTT") + string{4, 2, 0, 0} + mqtt_str("w" + std::to_string(getpid()) + "-" + std::to_string(c.id) + (c.is_pub ? "p" : "")); send_bin(c, string(1, 0x10) + mqtt_len(u32(v.size())) + v); return; }
  for (auto& s : O.hello) send_text(c, subst(s, "{i}", std::to_string(c.id)));
  after_hello(c);
}
static bool sampled(const Conn& c) { return PR == P_NATS || PR == P_MQTT || ( O.inflate_every && c.id % O.inflate_every == 0); }
static void on_ready(Conn& c) { if (c.st == READY) return; c.st = READY; n_ready++; if (!sampled(c)) drop_inflater(c); }

// ---------------------------------------------------------------- incoming
static u32 echo_credit = 0;
static u8* zbuf; static constexpr u32 ZCAP = 8u << 20;
static u32 inflate_message(Conn& c, const u8* p, u32 n) {  // RFC 7692, 7.2.2: the four bytes that the sender took off, then inflate; the length in zbuf
  if (!zbuf) zbuf = (u8*)malloc(ZCAP);
  if (!c.z) { c.z = new z_stream{}; if (inflateInit2(c.z, -15) != Z_OK) die("inflateInit2"); } else if (!c.takeover) inflateReset(c.z);
  static u8 tail[4] = {0, 0, 0xff, 0xff}; c.z->next_out = zbuf; c.z->avail_out = ZCAP; int r = Z_OK;
  for (int k = 0; k < 2 && r == Z_OK; k++) { c.z->next_in = k ? tail : const_cast<u8*>(p); c.z->avail_in = k ? 4 : n; r = inflate(c.z, Z_SYNC_FLUSH); if (r == Z_BUF_ERROR) r = Z_OK; if (r == Z_STREAM_END) { inflateReset(c.z); r = Z_OK; } }
  if (r != Z_OK || c.z->avail_in) die("connection %u: a compressed message does not inflate (%d)", c.id, r);
  return ZCAP - c.z->avail_out;
}
static void delivery(Conn& c, const u8* p, u32 n) {  // p..p+n is one application message (whatever surrounds the payload included)
  if (O.mode == "fanout") {
    if (c.is_pub) return;
    u32 o = c.off; if (o + FAN_HDR > n || memcmp(p + o, MARK, MLEN)) { auto* q = (const u8*)memmem(p, n, MARK, MLEN); if (!q || q + FAN_HDR > p + n) return; c.off = o = u32(q - p); }
    if (!O.match.empty() && !memmem(p, n, O.match.data(), O.match.size())) return;
    const u8* h = p + o + MLEN; u32 pub = u32(dec(h, 2)), seq = u32(dec(h + 2, 8)); u64 t = dec(h + 10, 16);
    if (pub >= O.pubs) { bad++; return; }
    if (n - o < O.size) bad++;
    u32& want = c.last[pub]; if (seq == want) want++; else if (seq > want) { gaps += seq - want; want = seq + 1; } else if (seq + 1 == want) { dups++; return; } else { ooo++; return; }
    tot_deliv++; if (measuring) { m_msgs++; m_bytes += n; H.add(rx_time > t ? rx_time - t : 0); }
    return;
  }
  // echo (and churn with echo)
  u32 o = c.off; if (o + ECHO_HDR > n || memcmp(p + o, MARK, MLEN)) { auto* q = (const u8*)memmem(p, n, MARK, MLEN); if (!q || q + ECHO_HDR > p + n) return; c.off = o = u32(q - p); }
  if (!O.match.empty() && !memmem(p, n, O.match.data(), O.match.size())) return;
  u32 seq = u32(dec(p + o + MLEN, 8)); if (seq != c.seq_in) { if (seq < c.seq_in) dups++; else gaps += seq - c.seq_in; }
  if (n - o < O.size) bad++;
  c.seq_in = seq + 1; if (measuring) { m_msgs++; m_bytes += n; H.add(rx_time - c.ts[seq % O.depth]); } echo_credit++; tot_deliv++;
}
static void hello_msg(Conn& c, string_view m) {  // messages before READY
  if (PR == P_SIO) { if (c.stage == 1 && !m.empty() && m[0] == '0') { send_text(c, "40"); return; } if (c.stage == 1 && m.substr(0, 2) == "40") { c.stage = 2; const auto& fr = c.is_pub ? O.pub_hello : O.sub; for (auto& s : fr) send_text(c, subst(s, "{i}", std::to_string(c.id))); if (O.ready.empty() || c.is_pub || O.mode == "idle") on_ready(c); return; } if (m.substr(0, 2) == "44") { conn_close(c, true); return; } }
  if (c.stage == 2 && !O.ready.empty() && m.find(O.ready) != string_view::npos) on_ready(c);
}
static void app_msg(Conn& c, const u8* p, u32 n, bool compressed) {  // one complete WebSocket message for message-shaped protocols
  if (PR == P_SIO && n == 1 && p[0] == '2') { send_text(c, "3"); return; }
  if (compressed) n_wire_deflated += n;
  if (compressed && (c.st == HELLO || sampled(c))) { n = inflate_message(c, p, n); p = zbuf; rsv1++; compressed = false; }
  if (c.st == HELLO) { hello_msg(c, string_view((const char*)p, n)); return; }
  if (compressed) { rsv1++; if (O.mode == "echo") { u32 seq = c.seq_in++; if (measuring) { m_msgs++; m_bytes += n; H.add(rx_time - c.ts[seq % O.depth]); } echo_credit++; tot_deliv++; } else if (!c.is_pub) { tot_deliv++; if (measuring) { m_msgs++; m_bytes += n; } } return; }
  delivery(c, p, n);
}
static u32 nats_parse(Conn& c, const u8* p, u32 n) {
  u32 i = 0; while (i < n) {
    auto* e = (const u8*)memchr(p + i, '\n', n - i); if (!e) break; u32 le = u32(e - p) + 1; u8 k = p[i];
    if (k == 'M') { u32 j = le - 2, mul = 1, len = 0; while (p[j - 1] >= '0' && p[j - 1] <= '9') { len += u32(p[j - 1] - '0') * mul; mul *= 10; j--; } if (n - le < len + 2) break; delivery(c, p + le, len); i = le + len + 2; continue; }
    if (k == 'P' && p[i + 1] == 'I') send_bin(c, "PONG\r\n");
    else if (k == 'P') { if (c.st == HELLO) { if (c.stage == 1) after_hello(c); else on_ready(c); } }
    else if (k == 'I') { if (c.st == HELLO && c.stage == 1) send_bin(c, "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"wsload\",\"version\":\"1\",\"protocol\":1}\r\nPING\r\n"); }
    else if (k == '-') { fprintf(stderr, "nats: %.*s\n", int(le - i), p + i); n_errors++; }
    i = le;
  }
  return i;
}
static u32 mqtt_parse(Conn& c, const u8* p, u32 n) {
  u32 i = 0; while (n - i >= 2) {
    u32 len = 0, sh = 0, j = i + 1; bool ok = false; while (j < n && sh < 28) { u8 b = p[j++]; len |= u32(b & 127) << sh; sh += 7; if (!(b & 128)) { ok = true; break; } }
    if (!ok || n - j < len) break;
    u8 t = p[i] >> 4;
    if (t == 3) { u32 tl = u32(p[j]) << 8 | p[j + 1]; delivery(c, p + j + 2 + tl, len - 2 - tl); } else if (t == 2 && c.st == HELLO) { if (O.mode == "idle") on_ready(c); else after_hello(c); } else if (t == 9 && c.st == HELLO) on_ready(c);
    i = j + len;
  }
  return i;
}
static u32 stream_parse(Conn& c, const u8* p, u32 n) { return PR == P_NATS ? nats_parse(c, p, n) : mqtt_parse(c, p, n); }
// Decodes wire bytes; returns how many were consumed.
static u32 wire(Conn& c, u8* p, u32 n) {
  u32 i = 0;
  if (c.st == HTTP) {
    auto* e = (u8*)memmem(p, n, "\r\n\r\n", 4); if (!e) return 0; string_view h((char*)p, size_t(e - p));
    if (h.substr(0, 12) != "HTTP/1.1 101") { if (n_errors < 3) fprintf(stderr, "handshake refused: %.*s\n", int(std::min<size_t>(h.size(), 200)), h.data()); conn_close(c, true); return n; }
    if (h.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == string_view::npos) { if (n_errors < 3) fprintf(stderr, "wrong Sec-WebSocket-Accept\n"); conn_close(c, true); return n; }
    bool granted = memmem(p, size_t(e - p), "permessage-deflate", 18); if (granted) n_granted++; c.takeover = !memmem(p, size_t(e - p), "server_no_context_takeover", 26);
    i = u32(e - p) + 4; upgraded(c);
  }
  if (!WS) { while (n - i >= O.size) { delivery(c, p + i, O.size); i += O.size; } return i; }
  const bool stream = PR == P_NATS || PR == P_MQTT; u32 sl = 0; if (stream && c.sb_len) { memcpy(sbuf, c.sb, c.sb_len); sl = c.sb_len; c.sb_len = 0; }
  while (n - i >= 2) {
    const u8* f = p + i; u8 op = f[0] & 15; u64 len = f[1] & 127; u32 h = 2; if (f[1] & 128) die("server sent a masked frame");
    if (len == 126) { if (n - i < 4) break; len = u64(f[2]) << 8 | f[3]; h = 4; } else if (len == 127) { if (n - i < 10) break; len = 0; for (int k = 0; k < 8; k++) len = len << 8 | f[2 + k]; h = 10; }
    if (n - i - h < len) break;
    const u8* d = f + h; i += h + u32(len);
    if (op >= 8) {
      if (op == 9) { frame(10, d, u32(len)); flush(c); } else if (op == 8) { if (c.st != CLOSING) { if (n_errors < 3) fprintf(stderr, "server closed connection %u: code %d\n", c.id, len >= 2 ? d[0] << 8 | d[1] : 0); conn_close(c, true); return n; } }
      continue;
    }
    if (stream) { if (f[0] & 0x40 || (op == 0 && c.cut_compressed)) { if (!(f[0] & 0x80) || op == 0) die("fragmented compressed frames in a stream protocol"); n_wire_deflated += len; rsv1++; len = inflate_message(c, d, u32(len)); d = zbuf; }
      if (sl + len > sbuf_cap) die("stream buffer overflow");
      memcpy(sbuf + sl, d, len); sl += u32(len); continue; }
    bool fin = f[0] & 0x80; if (!fin || op == 0) {  // fragmented messages are rare: reassembled in c.sb, which message-shaped protocols do not use otherwise
      if (c.sb_len + len > c.sb_cap) { c.sb_cap = u32(c.sb_len + len) * 2; c.sb = (u8*)realloc(c.sb, c.sb_cap); }
      if (op) c.cut_compressed = f[0] & 0x40;
      memcpy(c.sb + c.sb_len, d, len); c.sb_len += u32(len); if (fin) { u32 l = c.sb_len; c.sb_len = 0; app_msg(c, c.sb, l, c.cut_compressed); if (c.st == DEAD) return n; }
      continue;
    }
    app_msg(c, d, u32(len), f[0] & 0x40); if (c.st == DEAD) return n;
  }
  if (stream && sl) { u32 k = stream_parse(c, sbuf, sl); if (k < sl) keep(c.sb, c.sb_len, c.sb_cap, sbuf + k, sl - k); }
  return i;
}
static void readable(Conn& c, bool to_eof) {
  for (;;) {
    u32 have = c.in_len; if (have) memcpy(rbuf, c.in, have);
    u32 room = have + RB; n_recv++; ssize_t r = rx(c, rbuf + have, RB); if (c.ssl && c.out_len && SSL_is_init_finished(c.ssl) && !flush_pending(c)) { conn_close(c, true); return; }
    if (r < 0) { if (errno == EAGAIN) return; if (O.mode == "churn" && c.st == CLOSING) { conn_close(c, false); return; } conn_close(c, true); return; }
    if (r == 0) { conn_close(c, c.st != CLOSING); return; }
    rx_time = now_ns(); u32 n = have + u32(r); c.in_len = 0; u32 k = wire(c, rbuf, n); if (c.st == DEAD) return;
    if (k < n) { if (n - k > (64u << 20)) die("frame too large"); keep(c.in, c.in_len, c.in_cap, rbuf + k, n - k); }
    if (O.mode == "echo" && echo_credit) { u32 e = echo_credit; echo_credit = 0; if (sending) { echo_send(c, e, rx_time); if (!flush(c)) { conn_close(c, true); return; } } }
    if (!to_eof && !c.ssl && have + u32(r) < room) return;  // short read: the socket is drained (edge-triggered epoll tells of more)
  }
}
static void event(Conn& c, u32 ev) {
  if (c.st == DEAD) return;
  if (c.st == CONNECTING) {
    if (ev & (EPOLLERR | EPOLLHUP)) { if (n_errors < 3) { int e = 0; socklen_t l = sizeof e; getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &e, &l); fprintf(stderr, "connect failed: %s\n", strerror(e)); } conn_close(c, true); return; }
    if (!(ev & EPOLLOUT)) return;
    if (WS) { c.st = HTTP; if (O.tls) tls_start(c); http_request(c); } else { c.st = HELLO; if (O.mode == "fanout") { put(c.is_pub ? "P" : "S", 1); flush(c); } on_ready(c); }
    ev &= ~u32(EPOLLOUT);
  }
  if (c.out_len && (ev & EPOLLOUT)) if (!flush_pending(c)) { conn_close(c, true); return; }
  if (ev & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable(c, ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}
static epoll_event EV[1024];
static int poll_once(i64 timeout_ns) {
  timespec t{timeout_ns / 1000000000, timeout_ns % 1000000000}; int n = int(syscall(SYS_epoll_pwait2, EP, EV, 1024, timeout_ns < 0 ? nullptr : &t, nullptr, 0));
  if (n < 0) { if (errno == EINTR) return 0; die("epoll: %s", strerror(errno)); }
  for (int i = 0; i < n; i++) event(C[EV[i].data.u32], EV[i].events);
  return n;
}
static double connect_all(u32 n) {  // opens C[0..n) with at most O.inflight handshakes under way
  u64 t0 = now_ns(), lim = t0 + 120000000000ull; u32 next = 0;
  while (n_ready + n_dead < n) {
    u32 under = next - n_ready - n_dead; while (next < n && under < O.inflight) { start_connect(C[next++]); under++; }
    poll_once(1000000); if (now_ns() > lim) die("connecting took over 120 s: %u of %u ready, %u failed", n_ready, n, n_dead); if (n_dead > 20) die("too many connections failed (%u)", n_dead);
  }
  return double(now_ns() - t0) * 1e-9;
}

// ---------------------------------------------------------------- reporting
static string J; static void jnum(const char* k, double v) { char b[96]; snprintf(b, sizeof b, "%s\"%s\":%.10g", J.empty() ? "" : ",", k, v); J += b; }
static void jstr(const char* k, const string& v) { J += string(J.empty() ? "" : ",") + "\"" + k + "\":\"" + v + "\""; }
static void finish() { if (O.deflate) { printf("permessage-deflate: granted to %u connections, %llu compressed messages, %llu bytes of them\n", n_granted, (unsigned long long)rsv1, (unsigned long long)n_wire_deflated); jnum("granted", n_granted); jnum("compressed", double(rsv1)); jnum("compressed_bytes", rsv1 ? double(n_wire_deflated) / double(rsv1) : 0); }
  printf("JSON {%s}\n", J.c_str()); if (!O.json.empty()) { std::ofstream f(O.json, std::ios::app); f << "{" << J << "}\n"; } }
static void report_cpu(const Cpu& a, const Cpu& b, u64 msgs, const char* what) {
  double w = double(b.t - a.t) * 1e-9, p = b.proc - a.proc, k = b.core - a.core, g = b.gen - a.gen;
  if (!g_pids.empty()) { printf("server CPU: %.3f s per million %s (process; %.0f %% of one core)", msgs ? p / double(msgs) * 1e6 : 0, what, p / w * 100); jnum("cpu_s_per_M", msgs ? p / double(msgs) * 1e6 : 0); jnum("server_cpu_pct", p / w * 100); }
  if (g_core >= 0) { printf("  %.3f (whole core %d; %.0f %% busy)", msgs ? k / double(msgs) * 1e6 : 0, g_core, k / w * 100); jnum("core_s_per_M", msgs ? k / double(msgs) * 1e6 : 0); jnum("core_busy_pct", k / w * 100); }
  printf("  generator: %.0f %% of one core, %.3f s per million\n", g / w * 100, msgs ? g / double(msgs) * 1e6 : 0); jnum("gen_cpu_pct", g / w * 100);
  double f = std::max(b.gen_core - a.gen_core - g, g_core >= 0 && !g_pids.empty() ? k - p : 0.0) + (b.steal - a.steal); f = std::max(f, 0.0) / w * 100;
  printf("other work on the cores: %.0f %% of one\n", f); jnum("foreign_pct", f);
}
static void report_lat() { printf("latency us: p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f  (n=%llu)\n", H.pct(50) / 1e3, H.pct(90) / 1e3, H.pct(99) / 1e3, H.pct(99.9) / 1e3, double(H.mx) / 1e3, (unsigned long long)H.n);
  jnum("p50_us", H.pct(50) / 1e3); jnum("p90_us", H.pct(90) / 1e3); jnum("p99_us", H.pct(99) / 1e3); jnum("p999_us", H.pct(99.9) / 1e3); jnum("max_us", double(H.mx) / 1e3); }

// ---------------------------------------------------------------- modes
static int run_echo() {
  C.resize(O.conns); for (u32 i = 0; i < O.conns; i++) { C[i].id = i; C[i].ts = new u64[O.depth](); } connect_all(O.conns); message_for(0);
  for (auto& c : C) if (c.st == READY) { echo_send(c, O.depth, now_ns()); flush(c); }
  u64 t0 = now_ns(), tm = t0 + u64(O.warm * 1e9), te = tm + u64(O.dur * 1e9); Cpu a;
  for (;;) { poll_once(10000000); u64 t = now_ns(); if (!measuring && t >= tm) { measuring = true; n_recv = n_send = 0; a = cpu_now(); te = a.t + u64(O.dur * 1e9); } if (measuring && t >= te) break; }
  Cpu b = cpu_now(); measuring = false; sending = false; double w = double(b.t - a.t) * 1e-9; u64 rv = n_recv;
  u64 dl = now_ns() + u64(O.drain * 1e9); u64 want = 0; while (now_ns() < dl) { want = 0; for (auto& c : C) want += c.seq_out; if (tot_deliv >= want || !n_ready) break; poll_once(5000000); }
  printf("echo %s: %u connections, depth %u, %u B, %.1f s\n", O.proto.c_str(), O.conns, O.depth, O.size, w); report_cpu(a, b, m_msgs, "messages");
  printf("%.0f msgs/s  %.1f MB/s  (%.2f messages per generator recv)\n", double(m_msgs) / w, double(m_bytes) / w / 1e6, rv ? double(m_msgs) / double(rv) : 0); jnum("messages", double(m_msgs)); jnum("bytes_per_message", m_msgs ? double(m_bytes) / double(m_msgs) : 0); jnum("msgs_per_s", double(m_msgs) / w); report_lat();
  i64 lost = i64(want) - i64(tot_deliv) ; printf("lost %lld  dup %llu  gaps %llu  short %llu  compressed %llu  errors %llu\n", (long long)lost, (unsigned long long)dups, (unsigned long long)gaps, (unsigned long long)bad, (unsigned long long)rsv1, (unsigned long long)n_errors);
  jnum("lost", double(lost)); jnum("dup", double(dups)); jnum("gaps", double(gaps)); jnum("errors", double(n_errors)); jnum("msgs_per_recv", rv ? double(m_msgs) / double(rv) : 0); finish(); return n_errors || lost || dups || gaps || bad;
}
static int run_fanout() {
  u32 N = O.subs, K = O.pubs; if (K > 255) die("at most 255 publishers"); C.resize(N + K);
  for (u32 i = 0; i < N + K; i++) { C[i].id = i; C[i].last = new u32[K](); } for (u32 k = 0; k < K; k++) { C[N + k].id = k; C[N + k].is_pub = true; }
  double tc = connect_all(N + K); if (n_ready != N + K) die("only %u of %u connections came up", n_ready, N + K); message_for(0);
  { u64 s = now_ns() + 300000000ull; while (now_ns() < s) poll_once(10000000); }  // let subscriptions without an acknowledgement settle
  u64 t0 = now_ns(), tm = t0 + u64(O.warm * 1e9), te = tm + u64(O.dur * 1e9); Cpu a; u64 next = t0, step = O.rate > 0 ? u64(1e9 / O.rate) : 0; u32 rr = 0; u64 max_backlog = 0;
  for (;;) {
    u64 t = now_ns(); i64 to = 10000000;
    if (!measuring && t >= tm) { measuring = true; n_recv = 0; a = cpu_now(); te = a.t + u64(O.dur * 1e9); } if (measuring && t >= te) break;
    if (step) { while (next <= t) { Conn& p = C[N + rr++ % K]; publish(p, next); next += step; if (!flush(p)) die("publisher was disconnected"); } i64 d = i64(next - now_ns()); to = d > 80000 ? d - 60000 : 0; }
    else {  // window: at most W publishes whose deliveries are not all in
      u64 done = tot_deliv / N; u64 room = tot_pub - done < O.window ? O.window - (tot_pub - done) : 0; t = now_ns();
      for (u64 i = 0; i < room; i++) { Conn& p = C[N + rr++ % K]; publish(p, t); if (K > 1 || i + 1 == room) if (!flush(p)) die("publisher was disconnected"); }
    }
    max_backlog = std::max(max_backlog, tot_pub * N - tot_deliv); poll_once(to); if (n_dead) { fprintf(stderr, "wsload: %u connections were closed\n", n_dead); break; }
  }
  Cpu b = cpu_now(); measuring = false; double w = double(b.t - a.t) * 1e-9; u64 rv = n_recv, stop = now_ns(), dl = stop + u64(O.drain * 1e9);
  while (tot_deliv < tot_pub * N && now_ns() < dl && !n_dead) poll_once(5000000);
  u64 lost = tot_pub * N - tot_deliv;
  printf("fanout %s: %u publisher(s) -> %u subscribers, %u B, %s, %.1f s (all connected in %.2f s)\n", O.proto.c_str(), K, N, O.size, step ? ("rate " + std::to_string(O.rate) + "/s").c_str() : ("window " + std::to_string(O.window)).c_str(), w, tc);
  report_cpu(a, b, m_msgs, "deliveries"); printf("%.0f deliveries/s  %.1f publishes/s  %.1f MB/s  (%.2f deliveries per generator recv)  largest backlog %llu\n", double(m_msgs) / w, double(m_pub) / w, double(m_bytes) / w / 1e6, rv ? double(m_msgs) / double(rv) : 0, (unsigned long long)max_backlog);
  jnum("messages", double(m_msgs)); jnum("bytes_per_message", m_msgs ? double(m_bytes) / double(m_msgs) : 0); jnum("deliveries_per_s", double(m_msgs) / w); jnum("publishes_per_s", double(m_pub) / w); report_lat();
  printf("lost %llu  dup %llu  out-of-order %llu  gaps %llu  short %llu  errors %llu  (published %llu, delivered %llu)\n", (unsigned long long)lost, (unsigned long long)dups, (unsigned long long)ooo, (unsigned long long)gaps, (unsigned long long)bad, (unsigned long long)n_errors, (unsigned long long)tot_pub, (unsigned long long)tot_deliv);
  jnum("lost", double(lost)); jnum("dup", double(dups)); jnum("ooo", double(ooo)); jnum("gaps", double(gaps)); jnum("errors", double(n_errors)); jnum("msgs_per_recv", rv ? double(m_msgs) / double(rv) : 0); finish(); return lost || dups || ooo || n_errors;
}
static void wait_s(double s) { u64 e = now_ns() + u64(s * 1e9); while (now_ns() < e) poll_once(20000000); }
static int run_idle() {
  Mem m0 = mem_now(); C.resize(O.conns); for (u32 i = 0; i < O.conns; i++) C[i].id = i; Cpu a = cpu_now(); double tc = connect_all(O.conns); Cpu b = cpu_now(); wait_s(1.0); Mem m1 = mem_now(); Cpu h0 = cpu_now(); wait_s(O.hold); Cpu h1 = cpu_now(); Mem m2 = mem_now(); (void)m1; double n = n_ready;
  printf("idle %s: %u connections up (%llu errors) in %.2f s = %.0f connects/s\n", O.proto.c_str(), n_ready, (unsigned long long)n_errors, tc, n / tc); report_cpu(a, b, n_ready, "connects");
  auto per = [&](u64 x, u64 y) { return (double(y) - double(x)) * 1024 / n; };
  printf("server memory per connection: RSS %.0f B  PSS %.0f B  anon %.0f B   (server RSS %llu -> %llu KiB)\n", per(m0.rss, m2.rss), per(m0.pss, m2.pss), per(m0.anon, m2.anon), (unsigned long long)m0.rss, (unsigned long long)m2.rss);
  printf("kernel: slab %.0f B per connection (both ends together, %.0f per socket), sockstat mem %llu -> %llu pages (%.0f B per socket), TCP inuse %llu -> %llu\n", per(m0.slab, m2.slab), per(m0.slab, m2.slab) / 2, (unsigned long long)m0.tcp_pages, (unsigned long long)m2.tcp_pages, (double(m2.tcp_pages) - double(m0.tcp_pages)) * 4096 / n / 2, (unsigned long long)m0.tcp_inuse, (unsigned long long)m2.tcp_inuse);
  printf("held for %.1f s: server CPU %.2f %%; still up %u\n", O.hold, (h1.proc - h0.proc) / (double(h1.t - h0.t) * 1e-9) * 100, n_ready);
  jnum("conns", n); jnum("connects_per_s", n / tc); jnum("rss_per_conn", per(m0.rss, m2.rss)); jnum("pss_per_conn", per(m0.pss, m2.pss)); jnum("rss0_kib", double(m0.rss)); jnum("rss_kib", double(m2.rss)); jnum("slab_per_conn", per(m0.slab, m2.slab)); jnum("avail_per_conn", per(m2.avail, m0.avail)); jnum("sock_pages", double(m2.tcp_pages) - double(m0.tcp_pages)); jnum("hold_cpu_pct", (h1.proc - h0.proc) / (double(h1.t - h0.t) * 1e-9) * 100); jnum("errors", double(n_errors)); finish(); return n_errors != 0;
}
static int run_churn() {  // each slot: connect, handshake, (one echo,) close; again
  u32 S = O.conns; C.resize(S); for (u32 i = 0; i < S; i++) { C[i].id = i; C[i].ts = new u64[O.depth](); C[i].st = DEAD; } message_for(0); u64 done = 0; Cpu a; Mem m0; u64 t0 = now_ns(), tm = t0 + u64(O.warm * 1e9), te = tm + u64(O.dur * 1e9);
  vector<u8> phase(S, 0); static const u8 bye[2] = {0x03, 0xE8};
  for (;;) {
    u64 t = now_ns(); if (!measuring && t >= tm) { measuring = true; done = 0; H.clear(); m0 = mem_now(); a = cpu_now(); te = a.t + u64(O.dur * 1e9); } if (measuring && (O.lives ? done >= O.lives : t >= te)) break; if (n_errors > 100) die("too many errors");
    for (u32 i = 0; i < S; i++) { Conn& c = C[i];
      if (c.st == DEAD) { c.seq_in = c.seq_out = 0; phase[i] = 0; start_connect(c); }
      else if (c.st == READY && phase[i] == 0) { if (O.churn_echo && WS) { echo_send(c, 1, now_ns()); flush(c); phase[i] = 1; } else phase[i] = 2; }
      else if (c.st == READY && phase[i] == 1 && c.seq_in) phase[i] = 2;
      if (c.st == READY && phase[i] == 2) { if (measuring) H.add(now_ns() - c.t0); done++; n_ready--; c.st = CLOSING; if (WS && !O.rst) { frame(8, bye, 2); flush(c); } else { close(c.fd); c.fd = -1; c.st = DEAD; } }
    }
    poll_once(1000000);
  }
  Cpu b = cpu_now(); double w = double(b.t - a.t) * 1e-9; measuring = false;
  for (auto& c : C) { if (c.st == READY) { frame(8, bye, 2); flush(c); n_ready--; c.st = CLOSING; } else if (c.st != CLOSING) conn_close(c, false); }
  wait_s(1.0); Mem m1 = mem_now(); jnum("rss0_kib", double(m0.rss)); jnum("rss_kib", double(m1.rss)); jnum("lives", double(done)); jnum("rss_per_life", done ? (double(m1.rss) - double(m0.rss)) * 1024 / double(done) : 0); printf("server RSS %llu -> %llu KiB\n", (unsigned long long)m0.rss, (unsigned long long)m1.rss);
  printf("churn %s: %u at a time, %.1f s%s\n", O.proto.c_str(), S, w, O.churn_echo ? ", one echo each" : ""); report_cpu(a, b, done, "connections"); printf("%.0f connections/s (connect, handshake, close handshake)  errors %llu; latency is connect to ready\n", double(done) / w, (unsigned long long)n_errors); jnum("churn_per_s", double(done) / w); report_lat(); jnum("errors", double(n_errors)); finish(); return n_errors != 0;
}
static const char* HELP = R"(wsload MODE [options]      MODE: echo | fanout | idle | churn
 --host A --port N          server (127.0.0.1:9001)      --path P  --sub-path P --pub-path P  ({i} = connection number,
                            {line} = the next line of --lines FILE, around and around: a token for each connection, say)
 --proto P                  raw | tcp (no WebSocket; fixed-size messages) | tmpl | socketio | nats-ws | nchan | mqtt
 --size B --dur S --warm S  payload bytes, measured seconds, seconds before measuring    --text  text frames
 --pid P[,P] --core K       server processes / core whose CPU time is charged
 --json FILE                appends one JSON line
 echo:   --conns N --depth D
 fanout: --subs N --pubs K (--window W | --rate R) --channel C
 idle:   --conns N --hold S --inflight N   --srcs N  (use N source addresses from 127.0.1.1 on)
 churn:  --conns N (slots)  --churn-echo   --rst (reset rather than close handshake)  --lives N (as many rather than --dur)
 templates (raw, tmpl, socketio): --hello T (sent after connecting), --sub T (subscribers), --pub-hello T (publishers), all repeatable;
   --ready S (subscriber is ready when a message contains S), --pub T (must contain {payload}), --match S (counts only messages containing S)
 --tls (certificates are not checked)  --subproto S  --header 'K: V'  --deflate (offer permessage-deflate) --inflate-every N (inflates and checks the messages of
   every Nth connection only, 64 by default, and counts the others by their frames: on those loss shows, order and latency do not; 0 = none))";
int main(int ac, char** av) {
  if (ac < 2 || !strcmp(av[1], "--help")) { puts(HELP); return ac < 2; }
  signal(SIGPIPE, SIG_IGN); g_gen_core = sched_getcpu(); prctl(PR_SET_TIMERSLACK, 1ul); O.mode = av[1];
  for (int i = 2; i < ac; i++) {
    string k = av[i]; auto v = [&]() -> string { if (++i >= ac) die("%s needs a value", k.c_str()); return av[i]; }; auto n = [&] { return u32(strtoul(v().c_str(), 0, 10)); }; auto d = [&] { return strtod(v().c_str(), 0); };
    if (k == "--host") O.host = v(); else if (k == "--port") O.port = int(n()); else if (k == "--path") O.path = v(); else if (k == "--sub-path") O.sub_path = v(); else if (k == "--pub-path") O.pub_path = v(); else if (k == "--lines") { FILE* f = fopen(v().c_str(), "r"); if (!f) die("--lines: no such file"); static char b[16384]; while (fgets(b, sizeof b, f)) { string l = b; while (!l.empty() && (l.back() == '\n' || l.back() == '\r')) l.pop_back(); O.lines.push_back(l); } fclose(f); } else if (k == "--proto") O.proto = v();
    else if (k == "--size") O.size = n(); else if (k == "--dur") O.dur = d(); else if (k == "--warm") O.warm = d(); else if (k == "--text") O.text = true; else if (k == "--pid") for (auto& s : split(v(), ',')) g_pids.push_back(atoi(s.c_str())); else if (k == "--core") g_core = int(n());
    else if (k == "--json") O.json = v(); else if (k == "--conns") O.conns = n(); else if (k == "--depth") O.depth = n(); else if (k == "--subs") O.subs = n(); else if (k == "--pubs") O.pubs = n(); else if (k == "--window") O.window = n(); else if (k == "--rate") O.rate = d(); else if (k == "--channel") O.channel = v();
    else if (k == "--hold") O.hold = d(); else if (k == "--drain") O.drain = d(); else if (k == "--inflight") O.inflight = n(); else if (k == "--srcs") O.srcs = n(); else if (k == "--src-base") O.src_base = v(); else if (k == "--churn-echo") O.churn_echo = true; else if (k == "--lives") O.lives = n(); else if (k == "--tls") O.tls = true; else if (k == "--rst") O.rst = true;
    else if (k == "--hello") O.hello.push_back(v()); else if (k == "--sub") O.sub.push_back(v()); else if (k == "--pub-hello") O.pub_hello.push_back(v()); else if (k == "--ready") O.ready = v(); else if (k == "--pub") O.pub = v(); else if (k == "--match") O.match = v(); else if (k == "--subproto") O.subproto = v(); else if (k == "--header") O.headers += v() + "\r\n"; else if (k == "--deflate") O.deflate = true; else if (k == "--inflate-every") O.inflate_every = n();
    else die("unknown option %s", k.c_str());
  }
  const string& p = O.proto; PR = p == "raw" || p == "nchan" ? P_RAW : p == "tcp" ? P_TCP : p == "tmpl" ? P_TMPL : p == "socketio" ? P_SIO : p == "nats-ws" ? P_NATS : p == "mqtt" ? P_MQTT : (die("unknown protocol %s", p.c_str()), P_RAW); WS = PR != P_TCP;
  if (PR == P_SIO) { if (O.path == "/") O.path = "/socket.io/?EIO=4&transport=websocket"; if (O.pub == "{payload}") O.pub = "42[\"msg\",\"{payload}\"]"; }
  if (PR == P_MQTT && O.subproto.empty()) O.subproto = "mqtt";
  if (p == "nchan") { O.text = true; if (O.mode == "fanout") { if (O.sub_path.empty()) O.sub_path = "/sub/" + O.channel; if (O.pub_path.empty()) O.pub_path = "/pub/" + O.channel; } else if (O.path == "/") O.path = "/pubsub/{i}"; }
  u32 hdr = O.mode == "fanout" ? FAN_HDR : ECHO_HDR; if (O.mode != "idle" && O.size < hdr) die("--size must be at least %u here", hdr); if (O.size > (4u << 20)) die("--size too large"); if (!O.depth) O.depth = 1;
  rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl); u32 need = (O.mode == "fanout" ? O.subs + O.pubs : O.conns) + 16; if (need > rl.rlim_cur) die("needs %u descriptors, the limit is %llu", need, (unsigned long long)rl.rlim_cur);
  if (!O.srcs && (O.mode == "churn" || need > 25000)) O.srcs = O.mode == "churn" ? 64 : 16;
  dst.sin_family = AF_INET; dst.sin_port = htons(u16(O.port)); if (inet_pton(AF_INET, O.host.c_str(), &dst.sin_addr) != 1) die("--host must be an IPv4 address");
  rbuf = (u8*)aligned_alloc(4096, RB + (66u << 20)); sbuf = (u8*)aligned_alloc(4096, sbuf_cap); obuf = (u8*)aligned_alloc(4096, obuf_cap); EP = epoll_create1(EPOLL_CLOEXEC); build_payload(); if (O.tls) tls_setup();
  jstr("mode", O.mode); jstr("proto", O.proto); jnum("size", O.size); if (O.mode == "fanout") { jnum("subs", O.subs); jnum("window", O.window); jnum("rate", O.rate); } else { jnum("conns", O.conns); jnum("depth", O.depth); }
  return O.mode == "echo" ? run_echo() : O.mode == "fanout" ? run_fanout() : O.mode == "idle" ? run_idle() : O.mode == "churn" ? run_churn() : (die("unknown mode %s", O.mode.c_str()), 2);
}
