// What the command line says. Times in seconds, sizes in bytes, rates per second.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace logload {

struct Options {
  std::string mode;
  std::string dialect = "tidewire";
  std::string host = "127.0.0.1";
  int port = 0;
  std::vector<std::string> tokens;  // Tidewire's; link i takes the i-th, around and around
  std::string positions;            // a file: `fill` writes it, `resume` and `catchup` read it
  std::vector<int> pids;            // the server's processes, whose CPU time and memory count
  int server_core = -1;
  unsigned links = 1;
  unsigned depth = 1;
  unsigned channels = 1;
  unsigned messages = 100;
  unsigned skip = 1;
  unsigned size = 128;
  unsigned inflight = 512;
  unsigned sources = 16;
  double seconds = 3;
  double warm_seconds = 0.5;
  double drain_seconds = 10;
  double limit_seconds = 120;
  double rate = 0;
  double read_rate = 0;
  bool create = false;
};

// Ends the program with a message when something is wrong.
Options options_from(int count, char** words);

[[noreturn]] void die(const std::string& why);

}  // namespace logload
