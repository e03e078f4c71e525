// The clipboard of the person at the terminal.
#pragma once

#include <string_view>

namespace carat {

// Puts text there: through the desktop's own program (wl-copy, xclip, xsel) where one is installed and the desktop is
// there, else by asking the terminal (OSC 52, which also works over SSH; not every terminal listens).
void copy_to_clipboard(std::string_view text);

}  // namespace carat
