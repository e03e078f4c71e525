// MPEG audio (MP3, also layers I and II).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "media/audio.h"

namespace carat {

// True where the bytes begin as MPEG audio does: with an ID3 tag or a frame's header.
bool is_mp3(std::span<const std::byte> file);

// As decode_sound. By libmpg123 itself: libsndfile would let it print its complaints about damaged files.
std::vector<float> decode_mp3(std::span<const std::byte> file, std::string_view name, const SoundLimits& limits);

}  // namespace carat
