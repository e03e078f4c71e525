// Films without FFmpeg's libraries: none in containers.
#include "media/video_source.h"

namespace carat {

bool has_video_containers() {
  return false;
}

std::vector<VideoFrame> sample_container(const VideoSource& source) {
  throw source.bad("is a film that this carat can't read.");
}

}  // namespace carat
