// A model's eyes and ears, whichever of them its files hold.
#pragma once

#include <memory>

#include "audio/audio_encoder.h"
#include "model/tower_source.h"
#include "vision/image_encoder.h"

namespace carat {

struct Towers {
  std::shared_ptr<const ImageEncoder> vision;  // null where the source has none
  std::shared_ptr<const AudioEncoder> audio;
};

// hidden: the decoder's width, which the projectors have to meet. Throws Error(kBadFile) as load_decoder does.
Towers load_towers(const TowerSource& source, std::size_t hidden);

}  // namespace carat
