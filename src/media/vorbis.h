// Vorbis in OGG.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "media/audio.h"

namespace carat {

// True for an OGG file that doesn't begin with a whole page of Opus or FLAC: past a damaged one, libsndfile would look
// for Vorbis, too.
bool is_ogg_vorbis(std::span<const std::byte> file);

// As decode_sound. By libvorbisfile itself: libsndfile 1.2 does not free what it has read of damaged headers.
std::vector<float> decode_vorbis(std::span<const std::byte> file, std::string_view name, const SoundLimits& limits);

}  // namespace carat
