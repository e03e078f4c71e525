// `carat convert`: a Hugging Face folder becomes a GGUF file.
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "convert/convert.h"

namespace carat {
namespace {

struct ConvertFlags {
  std::string folder;
  std::string output;
  std::string projector{};
  std::string type = "as-stored";
  bool has_towers = true;
  bool is_json = false;
};

void run_convert(const ConvertFlags& flags) {
  ConvertOptions options{.folder = flags.folder, .output = flags.output, .projector = flags.projector};
  options.has_towers = flags.has_towers;
  options.matrix_type = dtype_from_name(flags.type);
  ProgressBar bar("Converting", flags.is_json);
  convert_to_gguf(options, bar.callback());
}

}  // namespace

void define_convert(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App& verb = add_verb(root, "convert", "Convert a Hugging Face folder to GGUF",
                            "carat convert gemma-4-E2B-it model.gguf --mmproj mmproj.gguf");
  verb.add_option("FOLDER", flags->folder, "A folder with config.json and safetensors, of a model or of an assistant")
      ->required()
      ->type_name("FOLDER");
  verb.add_option("OUT", flags->output, "The file to write")->required()->type_name("FILE");
  CLI::Option* projector =
      verb.add_option("--mmproj", flags->projector,
                      "Write the vision and audio towers to a file of their own, as llama.cpp wants them")
          ->type_name("FILE");
  verb.add_flag("!--no-media", flags->has_towers, "Leave the vision and audio towers out")->excludes(projector);
  verb.add_option("--type", flags->type, "Type of the matrices")
      ->check(CLI::IsMember({"as-stored", "f32", "f16", "bf16"}))
      ->capture_default_str();
  verb.add_flag("--json", flags->is_json, "Print progress as JSON, a line a second");
  set_action(verb, action, flags, run_convert);
}

}  // namespace carat
