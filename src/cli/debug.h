// The commands below `carat debug`: parts of carat laid open, for tests against other programs.
#pragma once

#include <string>

#include "cli/command.h"

namespace carat {

// What the commands that read JSON Lines and need no weights have in common.
struct TextCommandOptions {
  std::string model;
  std::string jsonl;
};
CLI::App& add_text_command(CLI::App& debug, TextCommandOptions& options, const char* name, const char* what,
                           const char* lines, const char* example);

// debug_text.cpp
void define_debug_tokenize(CLI::App& debug, Action& action);
void define_debug_detokenize(CLI::App& debug, Action& action);
// debug_chat.cpp
void define_debug_render(CLI::App& debug, Action& action);
void define_debug_parse(CLI::App& debug, Action& action);
// debug_model.cpp
void define_debug_logits(CLI::App& debug, Action& action);
void define_debug_generate(CLI::App& debug, Action& action);
// debug_media.cpp
void define_debug_encode(CLI::App& debug, Action& action);
void define_debug_hear(CLI::App& debug, Action& action);
// debug_see.cpp
void define_debug_see(CLI::App& debug, Action& action);

}  // namespace carat
