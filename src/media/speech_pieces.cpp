#include "media/speech_pieces.h"

#include <algorithm>
#include <cmath>

#include "media/audio.h"

namespace carat {
namespace {

constexpr std::size_t kFrame = kSoundRate / 100;  // samples in 10 ms
constexpr std::size_t kGapFrames = 30;            // a pause between words is seldom shorter than 300 ms
static_assert(kGapFrames / 2 * kFrame == kPieceLookAhead);
// How much louder, in decibels, the end of the range may be than its beginning and still be preferred: pieces should be
// long, and a pause is a pause.
constexpr double kLatePreference = 6;
constexpr float kPreEmphasis = 0.97F;  // takes hum and rumble out of the energy, as front ends of recognisers do
constexpr float kAudible = 1e-3F;      // -60 dB
constexpr double kQuietest = 1e-10;    // energy taken for silence, so that its logarithm exists

// Mean squares of each 10 ms after pre-emphasis; the last frame may be short.
std::vector<double> voice_energy(std::span<const float> sound) {
  std::vector<double> energy((sound.size() + kFrame - 1) / kFrame);
  float before = 0;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    const double x = double{sound[i]} - double{kPreEmphasis} * double{before};
    before = sound[i];
    energy[i / kFrame] += x * x / kFrame;
  }
  return energy;
}

// The frame in [first, end) around which the voice is weakest.
std::size_t quietest_frame(std::span<const double> energy, std::size_t first, std::size_t end) {
  std::size_t best = end;
  double best_score = 0;
  for (std::size_t at = first; at < end; ++at) {
    const std::size_t from = at - std::min(at, kGapFrames / 2);
    const std::size_t to = std::min(at + kGapFrames / 2, energy.size());
    double sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += energy[i];
    const double decibels = 10 * std::log10(sum / static_cast<double>(kGapFrames) + kQuietest);
    const double lateness = static_cast<double>(at - first) / static_cast<double>(end - first);
    const double score = decibels - kLatePreference * lateness;
    if (best == end || score <= best_score) {
      best = at;
      best_score = score;
    }
  }
  return best;
}

}  // namespace

std::size_t first_piece(std::span<const float> sound, std::size_t max_samples) {
  if (sound.size() <= max_samples) return sound.size();
  const std::vector<double> energy = voice_energy(sound.first(std::min(sound.size(), max_samples + kPieceLookAhead)));
  const std::size_t max_frames = max_samples / kFrame;
  return quietest_frame(energy, max_frames / 2, max_frames) * kFrame;
}

std::vector<SoundPiece> cut_at_silences(std::span<const float> sound, std::size_t max_samples) {
  std::vector<SoundPiece> pieces;
  std::size_t begin = 0;
  do {
    const std::size_t end = begin + first_piece(sound.subspan(begin), max_samples);
    pieces.push_back({begin, end});
    begin = end;
  } while (begin < sound.size());
  return pieces;
}

bool has_sound(std::span<const float> sound) {
  return std::any_of(sound.begin(), sound.end(), [](float x) { return std::abs(x) >= kAudible; });
}

}  // namespace carat
