// Paths of pictures, sounds and films within a message, as people type them or drop them on a terminal.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "cli/media_files.h"

namespace carat {

struct MediaInText {
  MediaFile file;         // path: without quotes and escapes, the home folder spelt out
  std::size_t begin = 0;  // in bytes, of the word in the text
  std::size_t end = 0;
};

// The words that name such a file by its ending: in quotes, with escaped blanks ("a\ b.png"), with ~/ or file://. A
// word without any slash counts only if there is such a file: people write of "logo.png" without meaning a file of
// theirs. Whether the others can be read is for the caller to find out and to say.
std::vector<MediaInText> find_media(std::string_view text);

}  // namespace carat
