// What goes to the terminal: colours where they are wanted, and model output without control sequences.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace carat {

bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();
// True when the terminal knows control sequences: TERM is set and not "dumb".
bool terminal_has_control_sequences();
// The width of the terminal at stdout as it is now; 0 where there is none that is known.
std::size_t terminal_columns();

// choice: "auto", "always" or "never". auto means a terminal that can show colours (TERM is not "dumb") and no
// NO_COLOR in the environment (no-color.org).
bool wants_color(std::string_view choice, bool is_terminal);

// Writes all of text to stdout and flushes. Throws Error(kBadInput) when it can't be written (a full disk).
void write_stdout(std::string_view text);
// The same on stderr, where failures are of no interest.
void write_stderr(std::string_view text);

// Reads what has come in on standard input, waiting for some; 0 at its end, or where it can't be read.
std::size_t read_stdin_block(std::span<std::byte> block);

// Takes control sequences out of text that comes in pieces: escape sequences (CSI, OSC and other strings, two-byte
// ones), C0 controls except line feed and tab, DEL and C1. A model must not be able to move the cursor, set the
// window's title or fill the clipboard. Source of the grammar: ECMA-48, sections 5.2 to 5.6.
class TerminalFilter {
 public:
  std::string filter(std::string_view text);

 private:
  enum class State : std::uint8_t {
    kText,
    kC2,            // after byte C2, which begins U+0080..U+00BF
    kEscape,        // after ESC
    kIntermediate,  // after ESC and an intermediate byte
    kCsi,           // within a control sequence
    kString,        // within OSC, DCS, SOS, PM or APC, up to BEL or ST
    kStringEscape,  // there, after ESC
    kStringC2,      // there, after byte C2: a C1 ST may follow
  };
  void text_byte(unsigned char byte, std::string& out);
  void control_c1(unsigned char byte);
  void end_sequence(unsigned char byte, std::string& out);

  State state_ = State::kText;
};

}  // namespace carat
