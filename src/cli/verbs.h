// The verbs of carat: each declares its options on the root command and, when it is the one that was asked for, leaves
// what is to be done in `action`.
#pragma once

#include "cli/command.h"

namespace carat {

void define_run(Command root, Action& action);
void define_serve(Command root, Action& action);
void define_show(Command root, Action& action);
void define_perplexity(Command root, Action& action);
void define_bench(Command root, Action& action);
void define_convert(Command root, Action& action);
void define_transcribe(Command root, Action& action);
void define_quantize(Command root, Action& action);
void define_pull(Command root, Action& action);
void define_list(Command root, Action& action);
void define_rm(Command root, Action& action);
void define_cp(Command root, Action& action);
void define_prune(Command root, Action& action);
void define_ps(Command root, Action& action);
void define_stop(Command root, Action& action);
void define_tokenize(Command root, Action& action);
void define_embed(Command root, Action& action);
void define_doctor(Command root, Action& action);
void define_imatrix(Command root, Action& action);
void define_plan(Command root, Action& action);
void define_verify(Command root, Action& action);
void define_debug(Command root, Action& action);
void define_completion(Command root, Action& action);
void define_man(Command root, Action& action);
void define_help(Command root, Action& action);
void define_version(Command root, Action& action);

}  // namespace carat
