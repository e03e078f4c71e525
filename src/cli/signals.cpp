#include "cli/signals.h"

#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>

#include "cli/exit_code.h"

namespace carat {

namespace {

// A signal handler gets nothing but the number, so what it needs lies at namespace scope.
std::atomic<bool> g_is_guarded{false};
std::atomic<bool> g_is_interrupted{false};
bool g_has_terminal = false;  // written while no guard is on
termios g_terminal{};

static_assert(std::atomic<bool>::is_always_lock_free);

void write_quietly(int descriptor, const char* text) {
  if (::isatty(descriptor) == 0) return;
  [[maybe_unused]] const ssize_t written = ::write(descriptor, text, std::strlen(text));
}

// Only async-signal-safe calls.
void on_signal(int number) {
  if (number == SIGINT && g_is_guarded) {
    g_is_interrupted = true;
    return;
  }
  if (g_is_guarded && g_has_terminal) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &g_terminal);
    write_quietly(STDOUT_FILENO, "\x1b[?2004l");  // bracketed paste off
  }
  write_quietly(STDERR_FILENO, "\x1b[0m\n");  // a dimmed thought may be open
  ::_exit(kExitSignalBase + number);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read at the prompt has to come back when Ctrl-C is pressed.
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_DFL;  // even when a parent process ignores it
  ::sigaction(SIGPIPE, &action, nullptr);
}

InterruptGuard::InterruptGuard() {
  g_has_terminal = ::tcgetattr(STDIN_FILENO, &g_terminal) == 0;
  g_is_interrupted = false;
  g_is_guarded = true;
}

InterruptGuard::~InterruptGuard() {
  g_is_guarded = false;
}

bool InterruptGuard::is_interrupted() const {
  return g_is_interrupted;
}

void InterruptGuard::clear() {
  g_is_interrupted = false;
}

}  // namespace carat
