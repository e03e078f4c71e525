#include "agent/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"

extern char** environ;

namespace carat {
namespace {

constexpr std::size_t kMaxErrorBytes = 4096;
constexpr long kPollMilliseconds = 100;  // how often it is looked whether the program has ended

struct Pipe {
  int read = -1;
  int write = -1;

  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw Error(ErrorKind::kInternal, str("a pipe could not be made: ", std::strerror(errno)));
    }
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    close_end(read);
    close_end(write);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  static int take(int& end) { return std::exchange(end, -1); }
};

// posix_spawn's two descriptions, freed at the end.
struct SpawnSettings {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};

  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

// While it lives, writing to a closed pipe is an error and no signal, on this thread.
class PipeSignalGuard {
 public:
  PipeSignalGuard() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~PipeSignalGuard() {
    const timespec now{};
    while (::sigtimedwait(&pipe_, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeSignalGuard(const PipeSignalGuard&) = delete;
  PipeSignalGuard& operator=(const PipeSignalGuard&) = delete;

 private:
  sigset_t pipe_{}, before_{};
};

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  if (command.empty() || command[0].empty()) throw Error(ErrorKind::kBadInput, "a command without a program");
  Pipe in;
  Pipe out;
  Pipe err;
  SpawnSettings settings;
  ::posix_spawn_file_actions_adddup2(&settings.actions, in.read, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&settings.actions, out.write, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&settings.actions, err.write, STDERR_FILENO);
  sigset_t usual;
  ::sigemptyset(&usual);
  ::posix_spawnattr_setsigmask(&settings.attributes, &usual);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM}) ::sigaddset(&usual, number);
  ::posix_spawnattr_setsigdefault(&settings.attributes, &usual);
  ::posix_spawnattr_setpgroup(&settings.attributes, 0);
  ::posix_spawnattr_setflags(&settings.attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int failure =
      ::posix_spawnp(&pid_, arguments[0], &settings.actions, &settings.attributes, arguments.data(), environ);
  if (failure != 0) {
    throw Error(ErrorKind::kNotFound,
                str("\"", printable(command[0]), "\" could not be started: ", std::strerror(failure)));
  }
  input_ = Pipe::take(in.write);
  out_ = Pipe::take(out.read);
  err_ = Pipe::take(err.read);
  for (const int end : {input_, out_, err_}) ::fcntl(end, F_SETFL, O_NONBLOCK);
}

ChildProcess::~ChildProcess() {
  ::kill(-pid_, SIGKILL);
  if (!exit_code_) ::waitpid(pid_, nullptr, 0);
  for (int* end : {&input_, &out_, &err_}) Pipe::close_end(*end);
}

ChildProcess::Outcome ChildProcess::exchange(std::string_view input, bool closes_input, std::size_t max_output_bytes,
                                             Deadline deadline, const std::function<bool()>& is_enough) {
  while (!is_enough()) {
    if (input.empty() && closes_input) Pipe::close_end(input_);
    if (const auto outcome = move(input, max_output_bytes, deadline)) return *outcome;
  }
  return Outcome::kDone;
}

bool ChildProcess::send(std::string_view input, std::size_t max_output_bytes, Deadline deadline) {
  while (!input.empty() && input_ >= 0) {
    if (move(input, max_output_bytes, deadline)) break;
  }
  return input.empty();
}

std::optional<ChildProcess::Outcome> ChildProcess::move(std::string_view& input, std::size_t max_output_bytes,
                                                        Deadline deadline) {
  if (out_ < 0) return Outcome::kClosed;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  if (left <= 0) return Outcome::kTimeout;
  // poll passes over descriptors below 0.
  std::array<pollfd, 3> ends{{{out_, POLLIN, 0}, {err_, POLLIN, 0}, {input.empty() ? -1 : input_, POLLOUT, 0}}};
  const int ready = ::poll(ends.data(), ends.size(), static_cast<int>(std::min<long>(left, kPollMilliseconds)));
  // Others may hold the output open that the program has left.
  if (ready == 0 && has_ended()) return Outcome::kClosed;
  if (ends[0].revents != 0) read_output(max_output_bytes);
  if (ends[1].revents != 0) read_errors();
  if (ends[2].revents != 0) write_input(input);
  return std::nullopt;
}

void ChildProcess::read_output(std::size_t max_output_bytes) {
  std::array<char, 65536> block{};
  const ssize_t count = ::read(out_, block.data(), block.size());
  if (count > 0) {
    const auto size = static_cast<std::size_t>(count);
    output_bytes_ += size;
    output_.append(block.data(), std::min(size, max_output_bytes - std::min(max_output_bytes, output_.size())));
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    Pipe::close_end(out_);
  }
}

void ChildProcess::read_errors() {
  std::array<char, 4096> block{};
  const ssize_t count = ::read(err_, block.data(), block.size());
  if (count > 0) {
    errors_.append(block.data(), static_cast<std::size_t>(count));
    if (errors_.size() > kMaxErrorBytes) errors_.erase(0, errors_.size() - kMaxErrorBytes);
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    Pipe::close_end(err_);
  }
}

void ChildProcess::write_input(std::string_view& input) {
  const PipeSignalGuard guard;
  const ssize_t count = ::write(input_, input.data(), input.size());
  if (count > 0) {
    input.remove_prefix(static_cast<std::size_t>(count));
  } else if (errno != EAGAIN && errno != EINTR) {
    Pipe::close_end(input_);  // the program doesn't want it
  }
}

bool ChildProcess::has_ended() {
  if (exit_code_) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  exit_code_ = exit_code_of(status);
  return true;
}

std::optional<int> ChildProcess::wait(Deadline deadline) {
  while (!has_ended() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return exit_code_;
}

}  // namespace carat
