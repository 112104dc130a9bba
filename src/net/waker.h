// What ends a thread's wait. A sender wakes its consumer after it has put something where the
// consumer looks; the consumer decides what waking means (an eventfd for a loop, curl's own wake-up
// for the HTTP client).
#pragma once

namespace tidewire::net {

class Waker {
 public:
  // Thread-safe. Afterwards the consumer looks at its mailboxes at least once more.
  virtual void wake() = 0;

 protected:
  ~Waker() = default;
};

}  // namespace tidewire::net
