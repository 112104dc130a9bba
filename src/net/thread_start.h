// How this program starts threads: named, and with all signals blocked, so that signals reach only the
// thread that waits for them and a broken pipe is an error code everywhere.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace tidewire::net {

// The first 15 bytes of the name are what the system shows. Throws std::system_error when the system
// has no threads left.
std::thread start_thread(const std::string& name, std::function<void()> body);

}  // namespace tidewire::net
