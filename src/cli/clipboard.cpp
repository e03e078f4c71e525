#include "cli/clipboard.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/subprocess.h"
#include "cli/terminal.h"

namespace carat {

namespace {

struct ClipboardProgram {
  const char* display;  // the environment variable that says its desktop is there
  std::vector<std::string> command;
};

std::vector<ClipboardProgram> programs() {
  return {{"WAYLAND_DISPLAY", {"wl-copy"}},
          {"DISPLAY", {"xclip", "-selection", "clipboard", "-in"}},
          {"DISPLAY", {"xsel", "--clipboard", "--input"}}};
}

// RFC 4648, section 4.
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      three = three << 8U | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? kDigits[three >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

}  // namespace

void copy_to_clipboard(std::string_view text) {
  for (const ClipboardProgram& program : programs()) {
    const char* display = std::getenv(program.display);
    if (display == nullptr || *display == '\0') continue;
    if (run_program(program.command, text) == 0) return;
  }
  write_stdout(str("\x1b]52;c;", base64(text), "\x07"));
}

}  // namespace carat
