// How long a model takes to see and to hear, from pixels or samples to soft tokens:
//   bench_media MODEL MMPROJ THREADS CASE...      cases: see bench/media_cases.h
// MMPROJ may be "-" where MODEL has eyes and ears itself. bench/compare_media runs it beside llama.cpp.
#include <cstdlib>

#include "audio/audio_encoder.h"
#include "base/error.h"
#include "base/rgb_image.h"
#include "bench/media_cases.h"
#include "engine/compute_context.h"
#include "model/model.h"
#include "vision/image_encoder.h"

namespace {

std::size_t encode(const carat::Model& model, const carat::Compute& compute, const carat::RgbImage& image) {
  return model.require_vision().encode(compute, image, carat::MediaKind::kImage, nullptr).count();
}

void run(char** words, int count) {
  const std::string mmproj = words[2];
  const auto model = carat::Model::load(words[1], {.mmproj = mmproj == "-" ? "" : mmproj});
  const carat::ComputeContext context({.threads = std::strtoul(words[3], nullptr, 10)});
  for (int i = 4; i < count; ++i) {
    bench::Case c;
    if (!bench::parse_case(words[i], c)) throw carat::Error(carat::ErrorKind::kBadInput, "no such case");
    if (c.seconds > 0) {
      const std::vector<float> sound = bench::samples_of(c);
      bench::time_case(c,
                       [&] { return model->require_audio().encode(context.media_compute(), sound, nullptr).count(); });
    } else {
      const carat::RgbImage image{{c.width, c.height}, bench::pixels_of(c)};
      bench::time_case(c, [&] { return encode(*model, context.media_compute(), image); });
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_media MODEL MMPROJ THREADS CASE...\n");
    return 2;
  }
  try {
    run(argv, argc);
  } catch (const carat::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
