// logload: a load generator for durable logs that speaks to Tidewire, NATS JetStream and Redis Streams
// with one code path. One thread, epoll, nothing but libc. README.md here says how to use it.
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "modes.h"

namespace logload {

std::vector<std::string> positions_of(const Options& options) {
  std::ifstream file(options.positions);
  if (!file) die("cannot read " + options.positions + " (made by `fill`)");
  std::vector<std::string> positions;
  for (std::string line; std::getline(file, line);) positions.push_back(line);
  if (positions.empty()) die(options.positions + " is empty");
  return positions;
}

int finish(const Loop& loop, Json& json, bool failed) {
  json.add("errors", static_cast<double>(loop.refusals()));
  if (loop.refusals() > 0) std::fprintf(stderr, "logload: refused: %s\n", loop.complaint().c_str());
  json.print();
  return failed || loop.refusals() > 0 ? 1 : 0;
}

}  // namespace logload

int main(int count, char** words) {
  using namespace logload;
  std::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const Options options = options_from(count, words);
  if (options.mode == "publish") return run_publish(options);
  if (options.mode == "fill") return run_fill(options);
  if (options.mode == "resume") return run_resume(options);
  if (options.mode == "catchup") return run_catchup(options);
  die("unknown mode " + options.mode);
}
