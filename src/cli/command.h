// The verbs of carat: each defines its options on the root application and, when it is the one that was asked for,
// leaves what is to be done in `action`. Actions throw Error; they end normally for exit code 0.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <stdexcept>

namespace carat {

// Thrown for a command line that can't be understood: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Action = std::function<void()>;

void define_run(CLI::App& root, Action& action);
void define_serve(CLI::App& root, Action& action);
void define_show(CLI::App& root, Action& action);
void define_perplexity(CLI::App& root, Action& action);
void define_bench(CLI::App& root, Action& action);
void define_convert(CLI::App& root, Action& action);
void define_transcribe(CLI::App& root, Action& action);
void define_quantize(CLI::App& root, Action& action);
void define_pull(CLI::App& root, Action& action);
void define_list(CLI::App& root, Action& action);
void define_rm(CLI::App& root, Action& action);
void define_cp(CLI::App& root, Action& action);
void define_prune(CLI::App& root, Action& action);
void define_ps(CLI::App& root, Action& action);
void define_stop(CLI::App& root, Action& action);
void define_tokenize(CLI::App& root, Action& action);
void define_embed(CLI::App& root, Action& action);
void define_doctor(CLI::App& root, Action& action);
void define_imatrix(CLI::App& root, Action& action);
void define_plan(CLI::App& root, Action& action);
void define_verify(CLI::App& root, Action& action);
void define_debug(CLI::App& root, Action& action);
void define_completion(CLI::App& root, Action& action);
void define_man(CLI::App& root, Action& action);
void define_help(CLI::App& root, Action& action);
void define_version(CLI::App& root, Action& action);

// A verb of the given name with a line on what it does and one example. run is called once all options are parsed.
CLI::App& add_verb(CLI::App& parent, const char* name, const char* what, const char* example);

// What `verb` does with its options: action becomes a call of run(*options) when the verb was asked for.
template <typename Options, typename Run>
void set_action(CLI::App& verb, Action& action, std::shared_ptr<Options> options, Run run) {
  verb.callback([&action, options, run] { action = [options, run] { run(*options); }; });
}

}  // namespace carat
