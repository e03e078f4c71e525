// `carat convert`: a Hugging Face folder becomes a GGUF file.
#include <memory>

#include "base/error.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
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

void define_convert(Command root, Action& action) {
  auto flags = std::make_shared<ConvertFlags>();
  const Command verb = root.add_verb("convert", "Convert a Hugging Face folder to GGUF",
                                     "carat convert gemma-4-E2B-it model.gguf --mmproj mmproj.gguf");
  verb.option("FOLDER", flags->folder, "A folder with config.json and safetensors, of a model or of an assistant")
      .required()
      .value("FOLDER");
  verb.option("OUT", flags->output, "The file to write").required().value("FILE");
  const Option projector =
      verb.option("--mmproj", flags->projector,
                  "Write the vision and audio towers to a file of their own, as llama.cpp wants them")
          .value("FILE");
  verb.clearing_flag("--no-media", flags->has_towers, "Leave the vision and audio towers out").excludes(projector);
  verb.option("--type", flags->type, "Type of the matrices").one_of({"as-stored", "f32", "f16", "bf16"}).with_default();
  verb.flag("--json", flags->is_json, "Print progress as JSON, a line a second");
  set_action(verb, action, flags, run_convert);
}

}  // namespace carat
