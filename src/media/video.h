// Films to the frames that a model looks at.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rgb_image.h"

namespace carat {

struct VideoFrame {
  double seconds = 0;  // from the beginning: its number / frames a second, as the reference reckons
  RgbImage image;
};

// Which frames: so many, evenly spread, as the reference takes 32 of any film; or so many a second, but no more than
// max_frames, spread then.
struct FrameSampling {
  std::optional<double> fps{};
  std::size_t max_frames = 32;
};

struct VideoLimits {
  std::size_t max_bytes = std::size_t{2} << 30;
  std::size_t max_pixels = 16'777'216;                   // of a frame
  std::size_t max_frames = 1'000'000;                    // of the film: nine hours at 30 a second
  std::size_t max_sampled_bytes = std::size_t{1} << 30;  // of the frames taken, as RGB
};

// Numbers of the frames to take of a film of `frames`, ascending: floor(i * frames / n), i < n. A film with fewer
// frames than are wanted gives all of them (the reference refuses it). fps: of the film. Reference:
// BaseVideoProcessor.sample_frames.
std::vector<std::size_t> sampled_frames(std::size_t frames, double fps, const FrameSampling& sampling);

// True where carat was built with FFmpeg's libraries, which read MP4, WebM, MKV, AVI and their like.
bool has_video_containers();

// The frames of a film: any container that FFmpeg's libraries know where carat was built with them; an animated GIF
// otherwise. where: begins messages. Throws Error(kBadInput): no film, damaged, beyond the limits; Error(kUnsupported)
// for a container without those libraries.
std::vector<VideoFrame> sample_video(std::span<const std::byte> file, const std::string& where,
                                     const FrameSampling& sampling, const VideoLimits& limits = {});

// The same of the pictures in a folder, by their names' endings, in the order of their names (2 before 10), a second
// apart; other files are passed over.
std::vector<VideoFrame> sample_folder(const std::filesystem::path& folder, const FrameSampling& sampling,
                                      const VideoLimits& limits = {});

// "mm:ss", both rounded down, minutes beyond 99 with more digits. Reference: Gemma4Processor.
std::string timestamp_text(double seconds);

}  // namespace carat
