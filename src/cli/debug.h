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
Command add_text_command(Command debug, TextCommandOptions& options, const char* name, const char* what,
                         const char* lines, const char* example);

// debug_text.cpp
void define_debug_tokenize(Command debug, Action& action);
void define_debug_detokenize(Command debug, Action& action);
// debug_chat.cpp
void define_debug_render(Command debug, Action& action);
void define_debug_parse(Command debug, Action& action);
// debug_model.cpp
void define_debug_logits(Command debug, Action& action);
void define_debug_generate(Command debug, Action& action);
// debug_media.cpp
void define_debug_encode(Command debug, Action& action);
void define_debug_hear(Command debug, Action& action);
// debug_see.cpp
void define_debug_see(Command debug, Action& action);

}  // namespace carat
