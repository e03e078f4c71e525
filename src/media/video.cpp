#include "media/video.h"

#include <algorithm>
#include <array>
#include <cctype>
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

// By its name's ending.
bool is_picture(const fs::path& file) {
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 6> kEndings{".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Names in the order people count in: frame2 before frame10. Numbers of one value, as 2 and 02, by their text.
bool is_before(const fs::path& left, const fs::path& right) {
  const std::string a = left.filename().string();
  const std::string b = right.filename().string();
  std::size_t i = 0;
  std::size_t j = 0;
  const auto number = [](const std::string& text, std::size_t& at) {  // without leading zeros
    while (at < text.size() && text[at] == '0') ++at;
    const std::size_t begin = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return std::string_view(text).substr(begin, at - begin);
  };
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view of_a = number(a, i);
      const std::string_view of_b = number(b, j);
      if (of_a.size() != of_b.size()) return of_a.size() < of_b.size();
      if (of_a != of_b) return of_a < of_b;
    } else {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i;
      ++j;
    }
  }
  if (i < a.size() || j < b.size()) return j < b.size();
  return a < b;
}

// The pictures of a folder in their order, hidden ones left out.
std::vector<fs::path> pictures_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    const bool is_hidden = entry.path().filename().string().starts_with('.');
    if (entry.is_regular_file(ignored) && !is_hidden && is_picture(entry.path())) files.push_back(entry.path());
  }
  if (error) {
    throw Error(ErrorKind::kBadInput,
                str(printable(folder.string(), 4096), ": can't be read (", error.message(), ")."));
  }
  std::sort(files.begin(), files.end(), is_before);
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
  for (std::size_t i = 0; i < wanted; ++i) numbers.push_back(i * frames / wanted);
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
  const std::vector<fs::path> files = pictures_of(folder);
  if (files.empty()) {
    throw Error(ErrorKind::kBadInput,
                str(printable(folder.string(), 4096), ": holds no pictures (.png, .jpg, .jpeg, .webp, .gif or .bmp)."));
  }
  constexpr double kFps = 1;
  std::vector<VideoFrame> frames;
  std::size_t bytes = 0;
  for (const std::size_t number : sampled_frames(files.size(), kFps, sampling)) {
    const std::string where = printable(files[number].string(), 4096);
    frames.push_back({static_cast<double>(number) / kFps, decode_image(read_image_file(files[number]), where)});
    bytes += frames.back().image.pixels.size();
    if (bytes > limits.max_sampled_bytes) {
      throw Error(ErrorKind::kBadInput, str(printable(folder.string(), 4096),
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
