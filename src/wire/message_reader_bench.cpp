// What one message costs from bytes to event: a chunk full of whole frames, and frames cut in two.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "wire/frame.h"
#include "wire/message_reader.h"

namespace {

using namespace tidewire::wire;

constexpr ReaderLimits kLimits{.message_bytes = 64 << 20, .fragments = 1000000};

// The key is zero, so that reading in place leaves the chunk as it was for the next round. The work is
// that of any key.
std::string frames(Opcode opcode, std::size_t payload_bytes, std::size_t at_least_bytes) {
  char header[kMaxFrameHeaderBytes];
  const std::size_t size = write_frame_header(header, opcode, payload_bytes);
  header[1] = static_cast<char>(header[1] | 0x80);
  std::string out;
  do out += std::string(header, size) + std::string(4, '\0') + std::string(payload_bytes, 'a');
  while (out.size() < at_least_bytes);
  return out;
}

void read_all(benchmark::State& state, Opcode opcode) {
  std::string bytes = frames(opcode, static_cast<std::size_t>(state.range(0)), 32768);
  MessageReader reader(&kLimits);
  std::int64_t messages = 0;
  for (auto _ : state) {
    std::span<char> chunk(bytes);
    while (true) {
      const auto event = reader.next(chunk, nullptr);
      if (event.type == MessageReader::Event::Type::need_more) break;
      benchmark::DoNotOptimize(event.payload.data());
      ++messages;
    }
  }
  state.SetItemsProcessed(messages);
  state.SetBytesProcessed(messages * state.range(0));
  state.counters["ns_per_message"] = benchmark::Counter(
      static_cast<double>(messages) / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void whole_text(benchmark::State& state) { read_all(state, Opcode::text); }
void whole_binary(benchmark::State& state) { read_all(state, Opcode::binary); }
BENCHMARK(whole_text)->Arg(20)->Arg(128)->Arg(1024)->Arg(16384);
BENCHMARK(whole_binary)->Arg(20)->Arg(128)->Arg(1024)->Arg(16384);

void cut_in_two(benchmark::State& state) {
  std::string bytes = frames(Opcode::text, static_cast<std::size_t>(state.range(0)), 0);
  MessageReader reader(&kLimits);
  for (auto _ : state) {
    std::span<char> first(bytes.data(), bytes.size() / 2);
    benchmark::DoNotOptimize(reader.next(first, nullptr).type);
    std::span<char> second(bytes.data() + bytes.size() / 2, bytes.size() - bytes.size() / 2);
    benchmark::DoNotOptimize(reader.next(second, nullptr).payload.data());
    benchmark::DoNotOptimize(reader.next(second, nullptr).type);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(cut_in_two)->Arg(20)->Arg(128)->Arg(1024)->Arg(16384);

}  // namespace
