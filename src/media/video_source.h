// What the readers of films share.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "media/video.h"

namespace carat {

// The frame rate of films that state none; the reference assumes it too.
inline constexpr double kUnknownFps = 24;

struct VideoSource {
  std::span<const std::byte> file;
  const std::string& where;
  const FrameSampling& sampling;
  const VideoLimits& limits;

  Error bad(const std::string& what) const { return {ErrorKind::kBadInput, str(where, ": ", what)}; }

  // Throws unless a frame of that size is within the limits, and so many of them together.
  void check_size(std::size_t width, std::size_t height, std::size_t frames) const {
    if (width == 0 || height == 0 || width > limits.max_pixels / height) {
      throw bad(str("its frames are ", width, " x ", height, " pixels, the limit is ", limits.max_pixels >> 20,
                    " million. Make the film smaller."));
    }
    if (frames > limits.max_sampled_bytes / (3 * width * height)) {
      throw bad(
          str(frames, " frames of ", width, " x ", height, " pixels are too much at once. Take fewer (--max-frames)."));
    }
  }
  // The same for the number of frames of the film.
  void check_frames(std::size_t frames) const {
    if (frames == 0) throw bad("holds no frame of a film that can be decoded.");
    if (frames > limits.max_frames) {
      throw bad(str("has more than ", limits.max_frames, " frames. Cut it into parts."));
    }
  }
};

std::vector<VideoFrame> sample_gif(const VideoSource& source);        // video_gif.cpp
std::vector<VideoFrame> sample_container(const VideoSource& source);  // video_ffmpeg.cpp, or video_none.cpp

}  // namespace carat
