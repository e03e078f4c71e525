// How long a model takes to hear: `build/release/bench/bench_encode_sound MMPROJ [THREADS]` prints the time from
// samples to soft tokens for 10 s and 30 s of sound. MMPROJ: a projector's GGUF, such as bench/make_synthetic_gguf.py
// writes.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "audio/audio_encoder.h"
#include "base/error.h"
#include "engine/compute_context.h"
#include "model/load_audio.h"

namespace {

constexpr std::size_t kRounds = 5;

// A tone and some noise: no value of it matters for the time.
std::vector<float> sound_of(std::size_t seconds) {
  std::vector<float> sound(seconds * 16'000);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    state = state * 1'664'525U + 1'013'904'223U;
    const float noise = static_cast<float>(state >> 8) / 16'777'216.0F - 0.5F;
    sound[i] = 0.3F * std::sin(0.05F * static_cast<float>(i)) + 0.05F * noise;
  }
  return sound;
}

void run(const char* file, std::size_t threads) {
  const carat::Gguf gguf(file);
  // The projection says how wide the text model is.
  const carat::Tensor* projection = gguf.find("mm.a.input_projection.weight");
  const auto encoder =
      projection == nullptr ? nullptr : carat::load_audio({.checkpoint = &gguf, .gguf = &gguf}, projection->shape[0]);
  if (encoder == nullptr) throw carat::Error(carat::ErrorKind::kBadInput, carat::str(file, ": has no ears."));
  const carat::ComputeContext context({.threads = threads});
  for (const std::size_t seconds : {10U, 30U}) {
    const std::vector<float> sound = sound_of(seconds);
    std::vector<double> times;  // ms
    std::size_t tokens = 0;
    for (std::size_t round = 0; round < kRounds; ++round) {
      const auto start = std::chrono::steady_clock::now();
      tokens = encoder->encode(context.compute(), sound, nullptr).count();
      times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    std::printf("%zu s of sound, %zu tokens: median %.0f ms, best %.0f ms\n", seconds, tokens, times[kRounds / 2],
                times[0]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_encode_sound MMPROJ [THREADS]\n");
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0);
  } catch (const carat::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
