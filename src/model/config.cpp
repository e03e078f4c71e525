#include "model/config.h"

namespace carat {

std::optional<MediaKind> MediaTokenIds::kind_of(std::int32_t id) const {
  if (id < 0) return std::nullopt;
  if (id == image) return MediaKind::kImage;
  if (id == audio) return MediaKind::kAudio;
  if (id == video) return MediaKind::kVideo;
  return std::nullopt;
}

}  // namespace carat
