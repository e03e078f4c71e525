// `carat debug see`: a picture as the model gets it.
#include <fstream>
#include <optional>

#include "base/error.h"
#include "cli/debug.h"
#include "cli/media_files.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/media_store.h"
#include "vision/image_encoder.h"
#include "vision/picture_size.h"

namespace carat {

namespace {

struct SeeOptions {
  std::string model;
  std::string mmproj;
  std::string image;
  std::string budget = std::to_string(kDefaultImageBudget);
  std::string out;
};

// "640 x 480 -> 768 x 576 pixels, 48 x 36 patches, 192 soft tokens of at most 280": what becomes of the picture.
std::string description(ImageSize before, ImageSize after, std::size_t token_pixels, ImageBudget budget) {
  constexpr std::size_t kPatchPixels = 16;  // of every model of the family; the unified one joins 3 x 3 of them
  return str(before.width, " x ", before.height, " -> ", after.width, " x ", after.height, " pixels, ",
             after.width / kPatchPixels, " x ", after.height / kPatchPixels, " patches, ",
             after.width * after.height / (token_pixels * token_pixels), " soft tokens of at most ",
             budget.value_or(budget_for(before, token_pixels)));
}

void run_see(const SeeOptions& options) {
  const auto model = Model::load(options.model, {.mmproj = options.mmproj});
  const ImageBudget budget = parse_image_budget(options.budget);
  const std::string where = printable(options.image, 4096);
  const std::vector<std::byte> file = read_image_file(options.image);
  const std::size_t token_pixels = model->require_vision().token_pixels();
  const RgbImage seen = MediaStore(model).prepare_image(file, budget, where);
  write_stderr(description(decode_image(file, where).size, seen.size, token_pixels, budget) + "\n");

  const std::vector<std::byte> png = encode_png(seen);
  const std::string_view bytes(reinterpret_cast<const char*>(png.data()), png.size());
  if (options.out.empty()) {
    if (stdout_is_terminal()) throw UsageError("a PNG on the terminal is no use: give --out FILE, or a pipe");
    write_stdout(bytes);
    return;
  }
  std::ofstream out(options.out, std::ios::binary);
  out << bytes;
  out.close();
  if (!out) throw Error(ErrorKind::kBadInput, printable(options.out, 4096) + ": can't be written.");
}

}  // namespace

void define_debug_see(Command debug, Action& action) {
  auto options = std::make_shared<SeeOptions>();
  const Command verb = debug.add_verb("see", "Write a picture as the model gets it, as PNG, and say how large it is",
                                      "carat debug see model.gguf --image photo.jpg --budget 560 --out seen.png");
  add_model(verb, options->model);
  add_mmproj(verb, options->mmproj);
  verb.option("--image", options->image, "A picture: JPEG, PNG, WebP, GIF or BMP").required().value("FILE");
  verb.option("--budget", options->budget, "Most soft tokens; auto keeps the picture's own resolution")
      .one_of({"70", "140", "280", "560", "1120", "auto"})
      .with_default();
  verb.option("--out", options->out, "Where to write the PNG (default: stdout)").value("FILE");
  set_model_action(verb, action, options, run_see);
}

}  // namespace carat
