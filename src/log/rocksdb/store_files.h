// What tests find in a store's files, and do to them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace tidewire::log {

// The store's files that have any bytes and this ending, in the order of their names.
inline std::vector<std::filesystem::path> files_of(const std::string& path, const std::string& ending) {
  std::vector<std::filesystem::path> found;
  for (const auto& file : std::filesystem::directory_iterator(path))
    if (file.path().extension() == ending && file.file_size() > 0) found.push_back(file.path());
  std::ranges::sort(found);
  return found;
}

inline void flip_byte(const std::filesystem::path& path, std::uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char flipped = static_cast<char>(file.get() ^ 0x55);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(flipped);
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::string with_zeros(std::string bytes, std::uint64_t from, std::uint64_t to) {
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from),
            bytes.begin() + static_cast<std::ptrdiff_t>(to), '\0');
  return bytes;
}

inline std::string with_flip(std::string bytes, std::uint64_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
  return bytes;
}

}  // namespace tidewire::log
