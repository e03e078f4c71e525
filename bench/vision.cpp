// How long a model takes to see: one picture at each budget, from pixels of the right size to soft tokens.
//   bench_vision MODEL [--mmproj F] [--threads N] [--rounds N] [--budget N]...
// Prints a JSON object a line: {"budget": 280, "patches": 2520, "tokens": 280, "seconds": 1.9}, the best of the rounds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>

#include "base/error.h"
#include "engine/compute_context.h"
#include "model/model.h"
#include "vision/image_encoder.h"
#include "vision/picture_size.h"

namespace carat {
namespace {

struct Options {
  std::string model;
  std::string mmproj;
  std::size_t threads = 0;
  std::size_t rounds = 3;
  std::vector<std::size_t> budgets{280, 1120};
};

// A picture of noise that fills the budget: 4 by 3, as photographs are.
RgbImage make_picture(std::size_t budget, std::size_t token_pixels) {
  RgbImage image;
  image.size = size_for_budget({4000, 3000}, budget, token_pixels);
  image.pixels.resize(image.size.width * image.size.height * 3);
  std::mt19937 random(1);
  std::ranges::generate(image.pixels, [&] { return static_cast<std::uint8_t>(random()); });
  return image;
}

void run(const Options& options) {
  const auto model = Model::load(options.model, {.mmproj = options.mmproj});
  const ImageEncoder& encoder = model->require_vision();
  const ComputeContext context({.threads = options.threads});
  for (const std::size_t budget : options.budgets) {
    const RgbImage image = make_picture(budget, encoder.token_pixels());
    std::size_t tokens = 0;
    double best = 1e9;
    for (std::size_t round = 0; round < options.rounds; ++round) {
      const auto start = std::chrono::steady_clock::now();
      tokens = encoder.encode(context.compute(), image, MediaKind::kImage, nullptr).count();
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::cout << R"({"budget": )" << budget << R"(, "size": [)" << image.size.width << ", " << image.size.height
              << R"(], "tokens": )" << tokens << R"(, "seconds": )" << best << "}" << std::endl;
  }
}

}  // namespace
}  // namespace carat

int main(int argc, char** argv) {
  carat::Options options;
  CLI::App app("Times the encoding of pictures");
  app.add_option("MODEL", options.model)->required();
  app.add_option("--mmproj", options.mmproj);
  app.add_option("--threads", options.threads);
  app.add_option("--rounds", options.rounds);
  app.add_option("--budget", options.budgets);
  CLI11_PARSE(app, argc, argv);
  try {
    carat::run(options);
  } catch (const carat::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
