// Options that several verbs share, and how they become what the library takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/pull_model.h"
#include "engine/session.h"
#include "sampling/sampling_params.h"

namespace carat {

inline constexpr std::size_t kMaxThreads = 1024;
inline constexpr std::size_t kMaxContext = std::size_t{1} << 24;
inline constexpr const char* kComputingGroup = "Computing";  // heads these options in --help

// How a model is run.
struct ComputeFlags {
  std::size_t context = 0;
  std::size_t threads = 0;
  std::string isa{};
  std::string activations = "i8";
  std::string kv_type = "f16";
};

// The MODEL argument.
void add_model(Command verb, std::string& model);
// --assistant MODEL.
void add_assistant(Command verb, std::string& assistant);

// set_action for verbs with a MODEL argument (Options::model): a name of the store becomes its path when the verb is
// run, not while the command line is read, so that a misspelled option is told before a missing model. Where the verb
// has --mmproj and none was given, the store's projector of that model is it. Where it has --assistant, its name
// becomes a path as well.
template <typename Options, typename Run>
void set_model_action(Command verb, Action& action, std::shared_ptr<Options> options, Run run) {
  set_action(verb, action, std::move(options), [run](Options& given) {
    if (!given.model.empty()) {
      const StoredModel files = model_files(given.model);
      given.model = files.path.string();
      const auto take_projector = [&](std::string& mmproj) {
        if (mmproj.empty()) mmproj = files.projector.string();
      };
      if constexpr (requires { given.mmproj; }) take_projector(given.mmproj);
      if constexpr (requires { given.media.mmproj; }) take_projector(given.media.mmproj);
    }
    if constexpr (requires { given.assistant; }) {
      if (!given.assistant.empty()) given.assistant = model_files(given.assistant).path.string();
    }
    run(given);
  });
}

// A number between two bounds, with a default.
Option add_count(Command verb, const char* name, std::size_t& count, std::size_t least, std::size_t most,
                 const char* what);
// --kv-type, --isa, --activations; the defaults are those in flags.
void add_kernel_flags(Command verb, ComputeFlags& flags);
// The same with --ctx and --threads.
void add_compute_flags(Command verb, ComputeFlags& flags);
// --temperature and the other parameters of the sampler.
void add_sampling_flags(Command verb, SamplingParams& params);

ComputeOptions compute_options(const ComputeFlags& flags);  // refers to flags.isa
SessionOptions session_options(const ComputeFlags& flags);

// "12=-1.5" -> token 12, bias -1.5; "-inf" bans. nullopt where the text is something else.
std::optional<LogitBias> parse_logit_bias(std::string_view text);

// One setting of the sampler by its flag's name without dashes ("top-k"): for /set. Throws Error(kBadInput) for an
// unknown name or a value that is no number. Ranges are checked by validate().
void set_sampling_param(SamplingParams& params, std::string_view name, std::string_view value);
std::vector<std::string_view> sampling_param_names();
// All of them with their values, a line each.
std::string sampling_params_text(const SamplingParams& params);

// A text file that a person names on the command line, "-" for stdin. Throws Error(kBadInput), whatever is wrong:
// exit code 3 is for models.
std::string read_input_file(const std::string& path);
std::string read_stdin();

}  // namespace carat
