#include "model/load_towers.h"

#include "model/load_audio.h"
#include "model/load_vision.h"

namespace carat {

Towers load_towers(const TowerSource& source, std::size_t hidden) {
  return {.vision = load_vision(source, hidden), .audio = load_audio(source, hidden)};
}

}  // namespace carat
