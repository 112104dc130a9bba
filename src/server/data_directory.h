// The directory that holds the server's data, locked while it runs so that two servers never share it.
#pragma once

#include <expected>
#include <string>

namespace tidewire::server {

class DataDirectory {
 public:
  // Makes the directory where it is missing. The error names it and says what is wrong, such as another
  // server that has it locked.
  static std::expected<DataDirectory, std::string> open(const std::string& path);
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;
  ~DataDirectory();

 private:
  explicit DataDirectory(int fd) : fd_(fd) {}
  int fd_;  // of the lock file
};

}  // namespace tidewire::server
