// A model's eyes from its files.
#pragma once

#include <cstddef>
#include <memory>

#include "model/tower_source.h"
#include "vision/image_encoder.h"

namespace carat {

// Null where the source has none. text_hidden: the decoder's width. Throws Error(kBadFile) naming key or tensor,
// expected and found; Error(kUnsupported) for a tower of another kind.
std::shared_ptr<const ImageEncoder> load_vision(const TowerSource& source, std::size_t text_hidden);

}  // namespace carat
