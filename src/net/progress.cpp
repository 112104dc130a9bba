// The kernel's own structures, which do not go together with the C library's.

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net/stream.h"

namespace tidewire::net {

Stream::Progress Stream::progress() const {
  Progress progress;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
    progress.acknowledged = info.tcpi_bytes_acked;
    progress.delivered = info.tcpi_delivered;
    progress.silent_ms = info.tcpi_last_ack_recv;
  }
  int outstanding = 0;
  if (::ioctl(fd_, SIOCOUTQ, &outstanding) == 0) progress.outstanding = static_cast<std::size_t>(outstanding);
  return progress;
}

}  // namespace tidewire::net
