// For tests: a PostgreSQL of its own in a temporary folder, on a Unix socket alone, ended with the test.
//
// The database refuses to run as root, so a test that does gives it another user's rights.
#pragma once

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace tidewire::directory {

class TestingPostgres {
 public:
  TestingPostgres() : folder_(make_folder()) {
    run({tool("initdb"), "-D", data(), "-U", "tidewire", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"});
    start();
  }
  ~TestingPostgres() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TestingPostgres(const TestingPostgres&) = delete;
  TestingPostgres& operator=(const TestingPostgres&) = delete;

  std::string url() const { return "postgres:///postgres?user=tidewire&host=" + folder_; }

  // Both wait until it is done.
  void start() {
    run({tool("pg_ctl"), "-D", data(), "-w", "-l", folder_ + "/log", "-o",
         "-c listen_addresses='' -c fsync=off -k " + folder_, "start"});
  }
  void stop() { run({tool("pg_ctl"), "-D", data(), "-w", "-m", "immediate", "stop"}, false); }

  void sql(const std::string& statement) {
    run({tool("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-d", url(), "-c", statement});
  }

 private:
  std::string data() const { return folder_ + "/data"; }

  static std::string tool(const std::string& name) {
    glob_t found;
    std::string path = name;
    if (::glob(("/usr/lib/postgresql/*/bin/" + name).c_str(), 0, nullptr, &found) == 0)
      path = found.gl_pathv[found.gl_pathc - 1];
    ::globfree(&found);
    return path;
  }

  static const passwd* other_user() {
    if (::geteuid() != 0) return nullptr;
    const passwd* user = ::getpwnam("postgres");
    return user != nullptr ? user : ::getpwnam("nobody");
  }

  static std::string make_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "tidewire-pg-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    if (const passwd* user = other_user())
      if (::chown(name.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("chown failed");
    return name;
  }

  static void run(const std::vector<std::string>& command, bool must_succeed = true) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const passwd* user = other_user();
    const pid_t child = ::fork();
    if (child == 0) {
      if (user != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 ||
                              ::setuid(user->pw_uid) != 0 || ::chdir("/") != 0))
        ::_exit(126);
      // Not the test's own: whoever waits for its end would wait for the database too.
      const int nothing = ::open("/dev/null", O_RDWR);
      for (const int fd : {0, 1, 2}) ::dup2(nothing, fd);
      ::execvp(arguments.front(), arguments.data());
      ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (must_succeed && status != 0)
      throw std::runtime_error(command.front() + " failed; is the package postgresql installed?");
  }

  std::string folder_;
};

}  // namespace tidewire::directory
