#include "cli/serve_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/error.h"

namespace carat {
namespace {

// A pipe that says it can be written to takes PIPE_BUF bytes without waiting (POSIX, write()). False when nobody reads
// any more, or, once a stop is asked for, when nobody reads now.
bool write_when_ready(std::string_view text, const std::stop_token& stop) {
  constexpr int kPatience = 100;  // ms
  while (!text.empty()) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, kPatience) <= 0) {
      if (stop.stop_requested()) return false;
      continue;
    }
    const ssize_t size = ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (size < 0 && errno != EINTR && errno != EAGAIN) return false;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(0, size)));
  }
  return true;
}

}  // namespace

void notify_systemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || std::strlen(path) < 2 || std::strlen(path) >= sizeof address.sun_path) return;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, std::strlen(path));      // what follows is zero
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  [[maybe_unused]] const ssize_t sent =
      ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size);
  ::close(fd);
}

ServeSignals::ServeSignals() : had_terminal_(::isatty(STDERR_FILENO) == 1) {
  ::sigemptyset(&signals_);
  ::sigaddset(&signals_, SIGINT);
  ::sigaddset(&signals_, SIGTERM);
  ::sigaddset(&signals_, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

LineLog::LineLog() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

void LineLog::write(std::string line) {
  {
    const std::lock_guard lock(mutex_);
    if (lines_.size() >= kMostWaiting) {
      ++dropped_;
      return;
    }
    if (dropped_ > 0) lines_.push_back(str("{\"dropped_lines\":", std::exchange(dropped_, 0), "}"));
    lines_.push_back(std::move(line));
  }
  has_lines_.notify_one();
}

void LineLog::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (has_lines_.wait(lock, stop, [this] { return !lines_.empty(); }) || !lines_.empty()) {
    const std::string line = std::move(lines_.front()) + "\n";
    lines_.pop_front();
    lock.unlock();
    const bool is_written = write_when_ready(line, stop);
    lock.lock();
    if (!is_written && stop.stop_requested()) return;
  }
}

bool ServeSignals::asks_to_reload(int signal) const {
  const bool is_terminal_gone = had_terminal_ && ::isatty(STDERR_FILENO) != 1;
  return signal == SIGHUP && !is_terminal_gone;
}

int ServeSignals::await(std::chrono::milliseconds time) const {
  const timespec patience{time.count() / 1000, time.count() % 1000 * 1'000'000};
  return std::max(0, ::sigtimedwait(&signals_, nullptr, &patience));
}

}  // namespace carat
