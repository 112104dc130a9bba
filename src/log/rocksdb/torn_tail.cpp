#include "log/rocksdb/torn_tail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "log/rocksdb/encoding.h"

namespace tidewire::log {

namespace {

namespace fs = std::filesystem;

// RocksDB's format of the log: blocks of fragments, each with a checksum (4 bytes), a length (2) and a
// type (1) in front, little endian; the rest of a block that has no room for these seven is left out.
constexpr std::size_t kHead = 7;
enum FragmentType : std::uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };
constexpr std::size_t kBatchHead = 12;  // of a write: sequence number (8 bytes), count (4)

struct Fragment {
  std::uint8_t type = 0;
  std::string_view bytes;
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<std::uint8_t>(bytes[i - 1]);
  return value;
}

std::uint32_t crc32c(std::string_view bytes) {
#ifdef __SSE4_2__
  // All of the log is summed up each time that the store is opened.
  std::uint64_t sum = 0xFFFFFFFF;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    sum = __builtin_ia32_crc32di(sum, word);
  }
  auto rest = static_cast<std::uint32_t>(sum);
  for (const char byte : bytes) rest = __builtin_ia32_crc32qi(rest, static_cast<std::uint8_t>(byte));
  return ~rest;
#else
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> sum;
  sum.process_bytes(bytes.data(), bytes.size());
  return sum.checksum();
#endif
}

// The fragment that these bytes begin with, if they do and it is whole.
std::optional<Fragment> fragment_at(std::string_view bytes) {
  const auto type = static_cast<std::uint8_t>(bytes[6]);
  const std::size_t size = little_endian(bytes.substr(4, 2));
  if (type < kFull || type > kLast || kHead + size > bytes.size()) return std::nullopt;
  const std::uint32_t sum = crc32c(bytes.substr(6, size + 1));
  const std::uint32_t masked = ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
  if (little_endian(bytes.substr(0, 4)) != masked) return std::nullopt;
  return Fragment{.type = type, .bytes = bytes.substr(kHead, size)};
}

// Finds the note in a write.
class NoteReader final : public rocksdb::WriteBatch::Handler {
 public:
  std::uint64_t synced_to = 0;
  rocksdb::Status PutCF(std::uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status DeleteCF(std::uint32_t, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status DeleteRangeCF(std::uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return {};
  }
  void LogData(const rocksdb::Slice& blob) override {
    std::string_view bytes(blob.data(), blob.size());
    if (bytes.size() == 8) synced_to = take_u64(bytes);
  }
};

std::uint64_t synced_to(const std::string& write) {
  NoteReader reader;
  rocksdb::WriteBatch(write).Iterate(&reader).PermitUncheckedError();
  return reader.synced_to;
}

Result<void> cut(const fs::path& path, std::uint64_t size) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool done = file >= 0 && ::ftruncate(file, static_cast<off_t>(size)) == 0 && ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) ::close(file);
  if (done) return {};
  return fail(ErrorCode::unavailable,
              fmt::format("the torn end of {} cannot be cut: {}", path.filename().string(), strerror(error)));
}

// Goes through the log's files in their order, up to the first hole and then on in search of a write that
// was made when what is missing had been synced.
class HoleSearch {
 public:
  struct Hole {
    fs::path file;
    std::uint64_t offset = 0;   // where the first write begins that is missing
    std::uint64_t missing = 0;  // a sequence number that it had; 0: not known
  };

  bool read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    file_ = path;
    next_in_file_ = 0;
    in_write_ = false;
    std::string block(kLogBlock, '\0');
    std::uint64_t offset = 0;
    while (file) {
      file.read(block.data(), kLogBlock);
      const auto size = static_cast<std::size_t>(file.gcount());
      walk(std::string_view(block).substr(0, size), offset);
      offset += size;
    }
    if (in_write_) broken(write_at_);
    return file.eof();
  }
  const std::optional<Hole>& hole() const { return hole_; }
  bool damaged() const { return damaged_; }

 private:
  void walk(std::string_view block, std::uint64_t offset) {
    std::size_t at = 0;
    while (block.size() - at >= kHead) {
      const auto fragment = fragment_at(block.substr(at));
      if (fragment) {
        take(*fragment, offset + at);
        at += kHead + fragment->bytes.size();
      } else {
        broken(in_write_ ? write_at_ : offset + at);
        in_write_ = false;
        ++at;
      }
    }
    if (at < block.size() && block.size() < kLogBlock) broken(in_write_ ? write_at_ : offset + at);
  }

  void take(const Fragment& fragment, std::uint64_t offset) {
    if (fragment.type == kFull || fragment.type == kFirst) {
      if (in_write_) broken(write_at_);
      in_write_ = true;
      write_at_ = offset;
      write_.clear();
    }
    if (!in_write_) return broken(offset);
    write_ += fragment.bytes;
    if (fragment.type == kFirst || fragment.type == kMiddle) return;
    in_write_ = false;
    whole_write();
  }

  void whole_write() {
    if (write_.size() < kBatchHead) return broken(write_at_);
    const std::uint64_t first = little_endian(std::string_view(write_).substr(0, 8));
    const std::uint64_t count = little_endian(std::string_view(write_).substr(8, 4));
    if (next_in_file_ != 0 && first != next_in_file_) broken(write_at_);
    if (!hole_) {
      next_ = next_in_file_ = first + count;
      return;
    }
    if (hole_->missing == 0) hole_->missing = first - 1;
    damaged_ |= synced_to(write_) >= hole_->missing;
  }

  void broken(std::uint64_t offset) {
    if (!hole_) hole_ = {.file = file_, .offset = offset, .missing = next_};
  }

  std::optional<Hole> hole_;
  bool damaged_ = false;
  std::uint64_t next_ = 0;  // what follows the last whole write; 0: none so far
  fs::path file_;
  std::uint64_t next_in_file_ = 0;
  bool in_write_ = false;
  std::uint64_t write_at_ = 0;
  std::string write_;
};

// Oldest first.
std::vector<fs::path> log_files(const std::string& directory, std::error_code& error) {
  std::vector<fs::path> files;
  for (auto each = fs::directory_iterator(directory, error); !error && each != fs::directory_iterator();
       each.increment(error)) {
    const std::string stem = each->path().stem();
    const bool numbered = !stem.empty() && stem.find_first_not_of("0123456789") == std::string::npos;
    if (numbered && each->path().extension() == ".log") files.push_back(each->path());
  }
  std::ranges::sort(files, {}, [](const fs::path& path) { return std::stoull(path.stem()); });
  return files;
}

}  // namespace

std::string synced_note(std::uint64_t synced_to) {
  std::string note;
  append_u64(note, synced_to);
  return note;
}

Result<bool> cut_torn_tail(const std::string& directory) {
  std::error_code error;
  const std::vector<fs::path> files = log_files(directory, error);
  if (error)
    return fail(ErrorCode::unavailable, fmt::format("its files cannot be listed: {}", error.message()));
  HoleSearch search;
  for (const fs::path& file : files)
    if (!search.read(file))
      return fail(ErrorCode::unavailable, fmt::format("{} cannot be read", file.filename().string()));
  const auto& hole = search.hole();
  if (!hole) return false;
  if (search.damaged())
    return fail(ErrorCode::internal, fmt::format("{} has a hole at byte {}, before what was acknowledged",
                                                 hole->file.filename().string(), hole->offset));
  const auto torn = std::ranges::find(files, hole->file);
  // From the end, so that what is left never has a hole in it.
  for (auto file = files.end() - 1; file > torn; --file)
    if (auto done = cut(*file, 0); !done) return std::unexpected(std::move(done.error()));
  if (auto done = cut(*torn, hole->offset); !done) return std::unexpected(std::move(done.error()));
  return true;
}

}  // namespace tidewire::log
