#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.h"

namespace carat {

namespace {

constexpr unsigned char kEscapeByte = 0x1b;
constexpr unsigned char kBell = 0x07;

// True when everything was written.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

bool stdin_is_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}
bool stdout_is_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}
bool stderr_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

bool terminal_has_control_sequences() {
  const char* term = std::getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool wants_color(std::string_view choice, bool is_terminal) {
  if (choice != "auto") return choice == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return is_terminal && terminal_has_control_sequences() && (no_color == nullptr || *no_color == '\0');
}

void write_stdout(std::string_view text) {
  if (write_all(STDOUT_FILENO, text)) return;
  throw Error(ErrorKind::kBadInput, "the output can't be written. Check free space where it goes to.");
}

void write_stderr(std::string_view text) {
  write_all(STDERR_FILENO, text);
}

std::size_t read_stdin_block(std::span<std::byte> block) {
  ssize_t count = 0;
  do {
    count = ::read(STDIN_FILENO, block.data(), block.size());
  } while (count < 0 && errno == EINTR);
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

void TerminalFilter::text_byte(unsigned char byte, std::string& out) {
  if (byte == kEscapeByte) {
    state_ = State::kEscape;
  } else if (byte == 0xc2) {
    state_ = State::kC2;
  } else if ((byte >= 0x20 && byte != 0x7f) || byte == '\n' || byte == '\t') {
    out += static_cast<char>(byte);
  }
}

// byte: the second byte of a C1 control's UTF-8 form, 80..9F, whose seven-bit form is ESC and byte - 40.
void TerminalFilter::control_c1(unsigned char byte) {
  if (byte == 0x9b) {
    state_ = State::kCsi;
  } else if (byte == 0x90 || byte == 0x98 || byte == 0x9d || byte == 0x9e || byte == 0x9f) {
    state_ = State::kString;
  } else {
    state_ = State::kText;
  }
}

// byte: the last of a sequence, or, where it can't belong to one, the first of what follows a sequence cut short.
void TerminalFilter::end_sequence(unsigned char byte, std::string& out) {
  state_ = State::kText;
  if (byte < 0x20 || byte >= 0x80) text_byte(byte, out);
}

std::string TerminalFilter::filter(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (state_) {
      case State::kText:
        text_byte(byte, out);
        break;
      case State::kC2:
        if (byte >= 0x80 && byte < 0xa0) {
          control_c1(byte);
        } else {
          state_ = State::kText;
          out += '\xc2';
          text_byte(byte, out);
        }
        break;
      case State::kEscape:
        if (byte >= 0x40 && byte < 0x60) {
          control_c1(static_cast<unsigned char>(byte + 0x40));
        } else if (byte >= 0x20 && byte < 0x30) {
          state_ = State::kIntermediate;
        } else {
          end_sequence(byte, out);
        }
        break;
      case State::kIntermediate:
        if (byte < 0x20 || byte >= 0x30) end_sequence(byte, out);
        break;
      case State::kCsi:
        if (byte < 0x20 || byte >= 0x40) end_sequence(byte, out);
        break;
      case State::kString:
        if (byte == kBell) {
          state_ = State::kText;
        } else if (byte == kEscapeByte) {
          state_ = State::kStringEscape;
        } else if (byte == 0xc2) {
          state_ = State::kStringC2;
        } else if (byte == '\n') {  // no terminal string of use spans lines: don't swallow the rest of an answer
          state_ = State::kText;
          out += '\n';
        }
        break;
      case State::kStringEscape:
        state_ = byte == '\\' ? State::kText : State::kString;
        break;
      case State::kStringC2:
        state_ = byte == 0x9c ? State::kText : State::kString;
        break;
    }
  }
  return out;
}

}  // namespace carat
