#include "audio/mel.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <complex>
#include <kissfft/kissfft.hh>
#include <numbers>
#include <vector>

#include "audio/config.h"

namespace carat {
namespace {

constexpr std::size_t kStep = 160;
constexpr std::size_t kWindow = 320;
constexpr std::size_t kLead = 160;   // zeros before the sound
constexpr std::size_t kReach = 321;  // samples a frame must find, one more than it uses
constexpr std::size_t kFft = 512;
constexpr std::size_t kBins = kFft / 2 + 1;
constexpr std::size_t kPadTo = 128;  // the sound is padded to a multiple
constexpr double kFloor = 1e-3;
constexpr double kHighest = 8000;  // Hz

// Frames over a sound padded with zeros to a multiple of kPadTo.
std::size_t all_frames(std::size_t samples) {
  const std::size_t padded = kLead + (samples + kPadTo - 1) / kPadTo * kPadTo;
  return padded < kReach ? 0 : (padded - kReach) / kStep + 1;
}

double hz_to_mel(double hz) {
  return 2595.0 * std::log10(1.0 + hz / 700.0);
}
double mel_to_hz(double mel) {
  return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0);
}

// A triangle over the bins of the transform; only those above zero are kept.
struct Triangle {
  std::size_t first = 0;
  std::vector<double> weights;
};

std::vector<Triangle> mel_triangles() {
  std::array<double, kMelBins + 2> corners{};
  const double highest = hz_to_mel(kHighest);
  for (std::size_t i = 0; i < corners.size(); ++i) {
    corners[i] = mel_to_hz(highest * static_cast<double>(i) / static_cast<double>(corners.size() - 1));
  }
  std::vector<Triangle> triangles(kMelBins);
  for (std::size_t m = 0; m < kMelBins; ++m) {
    Triangle& triangle = triangles[m];
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      const double hz = kHighest * static_cast<double>(bin) / static_cast<double>(kBins - 1);
      const double rise = (hz - corners[m]) / (corners[m + 1] - corners[m]);
      const double fall = (corners[m + 2] - hz) / (corners[m + 2] - corners[m + 1]);
      const double weight = std::min(rise, fall);
      if (weight <= 0) continue;
      if (triangle.weights.empty()) triangle.first = bin;
      triangle.weights.push_back(weight);
    }
  }
  return triangles;
}

std::array<double, kWindow> hann_window() {
  std::array<double, kWindow> window{};
  for (std::size_t i = 0; i < kWindow; ++i) {
    window[i] = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * static_cast<double>(i) / kWindow);
  }
  return window;
}

}  // namespace

MatView<const float> LogMel::all() const {
  return values.mat(frames, kMelBins);
}
MatView<const float> LogMel::heard() const {
  return values.mat(valid, kMelBins);
}

std::size_t valid_mel_frames(std::size_t samples) {
  // The last sample that frame i must find is number i * kStep + kReach - 1 - kLead of the sound.
  const std::size_t first_needs = kReach - kLead;
  return samples < first_needs ? 0 : (samples - first_needs) / kStep + 1;
}

LogMel log_mel(ThreadPool& pool, std::span<const float> samples) {
  assert(samples.size() <= kMaxSoundSamples);
  LogMel mel;
  mel.frames = all_frames(samples.size());
  mel.valid = std::min(mel.frames, valid_mel_frames(samples.size()));
  mel.values = AlignedBuffer<float>(std::max<std::size_t>(mel.frames, 1) * kMelBins, "log-mel frames");

  const std::vector<Triangle> triangles = mel_triangles();
  const std::array<double, kWindow> window = hann_window();
  const kissfft<double> fft(kFft / 2, false);  // real input, two samples a complex number
  pool.parallel_for(mel.valid, [&](std::size_t frame, std::size_t) {
    std::array<double, kFft> in{};
    for (std::size_t i = 0; i < kWindow; ++i) {
      const std::size_t at = frame * kStep + i;
      if (at >= kLead) in[i] = double{samples[at - kLead]} * window[i];
    }
    std::array<std::complex<double>, kFft / 2> spectrum{};
    fft.transform_real(in.data(), spectrum.data());
    std::array<double, kBins> magnitude{};
    magnitude[0] = std::abs(spectrum[0].real());          // the first entry packs the two
    magnitude[kBins - 1] = std::abs(spectrum[0].imag());  // that are real
    for (std::size_t i = 1; i + 1 < kBins; ++i) magnitude[i] = std::abs(spectrum[i]);

    float* out = mel.values.data() + frame * kMelBins;
    for (std::size_t m = 0; m < kMelBins; ++m) {
      double sum = 0;
      for (std::size_t i = 0; i < triangles[m].weights.size(); ++i) {
        sum += triangles[m].weights[i] * magnitude[triangles[m].first + i];
      }
      out[m] = static_cast<float>(std::log(sum + kFloor));
    }
  });
  return mel;
}

}  // namespace carat
