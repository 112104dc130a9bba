#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

namespace logload {

namespace {

constexpr const char* kHelp = R"(logload MODE [options]
modes
  publish   acknowledged publishes: --links N with --depth D in flight on each, for --dur S after --warm S
  fill      --messages N into each of --channels C, and the positions after the first --skip of each into --positions FILE
  resume    --links N come at once, each reads one channel from its position until it has --messages of them
  catchup   --links N readers start from a position while one publisher goes on at --rate R; until all are live,
            or for --dur S when each reads at most --read-rate B bytes a second
options
  --dialect tidewire|nats|redis   --host A --port N   --pid P[,P]  --core K (the server's)
  --token T | --lines FILE (one token a link)         --size B (payload)   --create (JetStream: make the stream first)
  --inflight N (connections being made at once)       --srcs N (source addresses, from 127.0.1.1 on)
  --drain S (without a sign, then it is lost)         --limit S (gives up after that)
The last line of output is `JSON {...}`.)";

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) die("cannot read " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

std::vector<int> numbers_of(const std::string& text) {
  std::vector<int> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) numbers.push_back(std::atoi(part.c_str()));
  return numbers;
}

}  // namespace

void die(const std::string& why) {
  std::fprintf(stderr, "logload: %s\n", why.c_str());
  std::exit(2);
}

Options options_from(int count, char** words) {
  if (count < 2 || std::string(words[1]) == "--help") {
    std::puts(kHelp);
    std::exit(count < 2 ? 2 : 0);
  }
  Options o;
  o.mode = words[1];
  using Take = std::function<void(const std::string&)>;
  const auto text = [](std::string& into) -> Take { return [&into](const std::string& v) { into = v; }; };
  const auto whole = [](unsigned& into) -> Take {
    return
        [&into](const std::string& v) { into = static_cast<unsigned>(std::strtoul(v.c_str(), nullptr, 10)); };
  };
  const auto real = [](double& into) -> Take {
    return [&into](const std::string& v) { into = std::strtod(v.c_str(), nullptr); };
  };
  const std::map<std::string, Take> takes = {
      {"--dialect", text(o.dialect)},
      {"--host", text(o.host)},
      {"--port", [&](const std::string& v) { o.port = std::atoi(v.c_str()); }},
      {"--token", [&](const std::string& v) { o.tokens = {v}; }},
      {"--lines", [&](const std::string& v) { o.tokens = lines_of(v); }},
      {"--positions", text(o.positions)},
      {"--pid", [&](const std::string& v) { o.pids = numbers_of(v); }},
      {"--core", [&](const std::string& v) { o.server_core = std::atoi(v.c_str()); }},
      {"--links", whole(o.links)},
      {"--depth", whole(o.depth)},
      {"--channels", whole(o.channels)},
      {"--messages", whole(o.messages)},
      {"--skip", whole(o.skip)},
      {"--size", whole(o.size)},
      {"--inflight", whole(o.inflight)},
      {"--srcs", whole(o.sources)},
      {"--dur", real(o.seconds)},
      {"--warm", real(o.warm_seconds)},
      {"--drain", real(o.drain_seconds)},
      {"--limit", real(o.limit_seconds)},
      {"--rate", real(o.rate)},
      {"--read-rate", real(o.read_rate)},
  };
  for (int i = 2; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--create") {
      o.create = true;
      continue;
    }
    const auto take = takes.find(word);
    if (take == takes.end()) die("unknown option " + word);
    if (++i >= count) die(word + " needs a value");
    take->second(words[i]);
  }
  if (o.links == 0 || o.channels == 0 || o.depth == 0) die("--links, --channels and --depth are at least 1");
  if (o.size < 16 || o.size > (1u << 20)) die("--size is 16 to 1048576");
  return o;
}

}  // namespace logload
