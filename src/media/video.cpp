#include "media/video.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <system_error>

#include "base/error.h"
#include "media/image.h"
#include "media/video_source.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

bool is_gif(std::span<const std::byte> file) {
  return file.size() >= 6 && (std::memcmp(file.data(), "GIF87a", 6) == 0 || std::memcmp(file.data(), "GIF89a", 6) == 0);
}

// Regular files of a folder by name, hidden ones left out.
std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored) && !entry.path().filename().string().starts_with('.')) {
      files.push_back(entry.path());
    }
  }
  if (error) throw Error(ErrorKind::kBadInput, str(folder.string(), ": can't be read (", error.message(), ")."));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::size_t> sampled_frames(std::size_t frames, double fps, const FrameSampling& sampling) {
  std::size_t wanted = sampling.max_frames;
  if (sampling.fps) {
    const double seconds = static_cast<double>(frames) / fps;
    const double asked = std::floor(seconds * *sampling.fps);
    wanted = static_cast<std::size_t>(std::clamp(asked, 1.0, static_cast<double>(sampling.max_frames)));
  }
  wanted = std::min(wanted, frames);
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < wanted; ++i) {
    // The reference steps in float32: its product, rounded down.
    const double step = static_cast<double>(frames) / static_cast<double>(wanted);
    numbers.push_back(static_cast<std::size_t>(static_cast<double>(i) * step));
  }
  return numbers;
}

std::vector<VideoFrame> sample_video(std::span<const std::byte> file, const std::string& where,
                                     const FrameSampling& sampling, const VideoLimits& limits) {
  if (file.size() > limits.max_bytes) {
    throw Error(ErrorKind::kBadInput, str(where, ": has ", file.size() >> 20, " MiB, the limit for a film is ",
                                          limits.max_bytes >> 20, " MiB."));
  }
  const VideoSource source{file, where, sampling, limits};
  if (is_gif(file)) return sample_gif(source);
  if (has_video_containers()) return sample_container(source);
  throw Error(ErrorKind::kUnsupported,
              str(where,
                  ": this carat was built without FFmpeg's libraries and reads animated GIFs and folders of "
                  "pictures only. Take the pictures out first: `ffmpeg -i FILE -r 1 folder/%04d.png`."));
}

std::vector<VideoFrame> sample_folder(const fs::path& folder, const FrameSampling& sampling,
                                      const VideoLimits& limits) {
  const std::vector<fs::path> files = files_of(folder);
  if (files.empty()) throw Error(ErrorKind::kBadInput, folder.string() + ": holds no pictures.");
  constexpr double kFps = 1;
  std::vector<VideoFrame> frames;
  std::size_t bytes = 0;
  for (const std::size_t number : sampled_frames(files.size(), kFps, sampling)) {
    const std::string where = printable(files[number].string(), 4096);
    frames.push_back({static_cast<double>(number) / kFps, decode_image(read_image_file(files[number]), where)});
    bytes += frames.back().image.pixels.size();
    if (bytes > limits.max_sampled_bytes) {
      throw Error(ErrorKind::kBadInput, str(folder.string(),
                                            ": the pictures taken are too large together. Take fewer "
                                            "(--max-frames) or make them smaller."));
    }
  }
  return frames;
}

std::string timestamp_text(double seconds) {
  const auto whole = static_cast<unsigned long long>(std::max(0.0, seconds));
  const auto two_digits = [](unsigned long long n) { return str(n < 10 ? "0" : "", n); };
  return str(two_digits(whole / 60), ":", two_digits(whole % 60));
}

}  // namespace carat
