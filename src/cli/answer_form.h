// --format, --regex, --grammar, --choice: the form of an answer from the command line.
#pragma once

#include <optional>

#include "cli/command.h"
#include "cli/run_options.h"
#include "grammar/grammar_spec.h"

namespace carat {

void add_format_flags(Command verb, FormatFlags& flags);

// Reads the files that are named. nullopt: any answer. Throws Error(kBadInput).
std::optional<ContentFormat> content_format(const FormatFlags& flags);

}  // namespace carat
