#include "model/load_towers.h"

#include "model/load_audio.h"

namespace carat {

Towers load_towers(const TowerSource& source, std::size_t hidden) {
  Towers towers;
  towers.audio = load_audio(source, hidden);
  return towers;
}

}  // namespace carat
