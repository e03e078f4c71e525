// Cuts long recordings where nobody speaks.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace carat {

// Samples [begin, end) of a sound at kSoundRate.
struct SoundPiece {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const SoundPiece&) const = default;
};

// Pieces of at most max_samples that cover the sound, one after another. Each ends where the voice is weakest in its
// second half: at the middle of the quietest 300 ms, later ones preferred where they are about as quiet. A sound that
// is short enough is one piece. max_samples: at least a second's.
std::vector<SoundPiece> cut_at_silences(std::span<const float> sound, std::size_t max_samples);

// Samples of the first of these pieces, for which a sound that is still coming in must have max_samples +
// kPieceLookAhead at least.
std::size_t first_piece(std::span<const float> sound, std::size_t max_samples);
inline constexpr std::size_t kPieceLookAhead = 2400;  // 150 ms: half a pause

// False for digital silence and noise below -60 dB of full scale, in which a model would hear words that nobody said.
bool has_sound(std::span<const float> sound);

}  // namespace carat
