#include "server/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

namespace tidewire::server {

std::expected<DataDirectory, std::string> DataDirectory::open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return std::unexpected(fmt::format("the data directory {} can't be made: {}", path, error.message()));
  const std::string lock = path + "/LOCK";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return std::unexpected(fmt::format("{} can't be opened: {}", lock, std::strerror(errno)));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return std::unexpected(fmt::format("the data directory {} is locked by another tidewire", path));
  }
  return DataDirectory(fd);
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DataDirectory::~DataDirectory() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace tidewire::server
