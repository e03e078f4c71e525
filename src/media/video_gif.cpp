// Animated GIFs by giflib, each frame put together from those before it. GIF89a specification, section 23.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "media/memory_file.h"
#include "media/video_source.h"

namespace carat {
namespace {

// What browsers take for frames that state no time or hardly any: a tenth of a second.
constexpr int kShortestDelay = 2;  // hundredths
constexpr int kDefaultDelay = 10;

struct Close {
  void operator()(GifFileType* gif) const {
    int ignored = 0;
    DGifCloseFile(gif, &ignored);
  }
};

// A pass over a file's frames.
class GifFilm {
 public:
  explicit GifFilm(const VideoSource& source) : source_(source), memory_(source.file) {
    int error = 0;
    gif_.reset(DGifOpen(
        &memory_,
        [](GifFileType* gif, GifByteType* out, int size) {
          return static_cast<int>(static_cast<MemoryFile*>(gif->UserData)->read(out, size));
        },
        &error));
    if (gif_ == nullptr) throw source_.bad("damaged GIF.");
  }

  // Steps to the next frame; its control block is read, its pixels are not. False at the end, or where the file breaks
  // off: what came before is a film too.
  bool next() {
    control_ = {DISPOSAL_UNSPECIFIED, false, 0, NO_TRANSPARENT_COLOR};
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    while (DGifGetRecordType(gif_.get(), &type) == GIF_OK) {
      if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif_.get()) == GIF_OK;
      if (type != EXTENSION_RECORD_TYPE || !read_extension()) return false;
    }
    return false;
  }

  int delay() const { return control_.DelayTime < kShortestDelay ? kDefaultDelay : control_.DelayTime; }
  std::size_t width() const { return static_cast<std::size_t>(std::max(gif_->SWidth, 0)); }
  std::size_t height() const { return static_cast<std::size_t>(std::max(gif_->SHeight, 0)); }

  // Past the frame's pixels. False where the file breaks off.
  bool skip() {
    int size = 0;
    GifByteType* block = nullptr;
    if (DGifGetCode(gif_.get(), &size, &block) == GIF_ERROR) return false;
    while (block != nullptr) {
      if (DGifGetCodeNext(gif_.get(), &block) == GIF_ERROR) return false;
    }
    return true;
  }

  // Draws the frame on the canvas, after what the frame before wanted done to it. False where the file breaks off.
  bool draw(RgbImage& canvas) {
    dispose(canvas);
    const GifImageDesc& area = gif_->Image;
    before_ = control_.DisposalMode == DISPOSE_PREVIOUS ? canvas.pixels : std::vector<std::uint8_t>();
    disposal_ = control_.DisposalMode;
    area_ = area;
    const ColorMapObject* colors = area.ColorMap != nullptr ? area.ColorMap : gif_->SColorMap;
    if (colors == nullptr || area.Width <= 0 || area.Height <= 0) return false;
    std::vector<GifByteType> line(static_cast<std::size_t>(area.Width));
    const std::array<int, 4> firsts{0, 4, 2, 1};
    const std::array<int, 4> steps{8, 8, 4, 2};
    for (std::size_t pass = 0; pass < (area.Interlace ? 4U : 1U); ++pass) {
      const int step = area.Interlace ? steps[pass] : 1;
      for (int y = area.Interlace ? firsts[pass] : 0; y < area.Height; y += step) {
        if (DGifGetLine(gif_.get(), line.data(), area.Width) == GIF_ERROR) return false;
        put_line(*colors, line, area.Top + y, canvas);
      }
    }
    return true;
  }

 private:
  bool read_extension() {
    int code = 0;
    GifByteType* block = nullptr;  // its length, then its bytes
    if (DGifGetExtension(gif_.get(), &code, &block) == GIF_ERROR) return false;
    while (block != nullptr) {
      if (code == GRAPHICS_EXT_FUNC_CODE) DGifExtensionToGCB(block[0], block + 1, &control_);
      if (DGifGetExtensionNext(gif_.get(), &block) == GIF_ERROR) return false;
    }
    return true;
  }

  void put_line(const ColorMapObject& colors, std::span<const GifByteType> line, int y, RgbImage& canvas) const {
    if (y < 0 || static_cast<std::size_t>(y) >= canvas.size.height) return;
    std::uint8_t* row = canvas.row(static_cast<std::size_t>(y));
    for (std::size_t i = 0; i < line.size(); ++i) {
      const auto x = static_cast<std::ptrdiff_t>(i) + gif_->Image.Left;
      if (x < 0 || static_cast<std::size_t>(x) >= canvas.size.width) continue;
      if (line[i] == control_.TransparentColor || line[i] >= colors.ColorCount) continue;
      const GifColorType& color = colors.Colors[line[i]];
      const std::array<std::uint8_t, 3> rgb{color.Red, color.Green, color.Blue};
      std::copy(rgb.begin(), rgb.end(), row + 3 * x);
    }
  }

  void dispose(RgbImage& canvas) {
    if (disposal_ == DISPOSE_PREVIOUS && !before_.empty()) canvas.pixels = before_;
    if (disposal_ != DISPOSE_BACKGROUND) return;
    // To transparency, which is white here as in pictures.
    for (int y = std::max(area_.Top, 0); y < area_.Top + area_.Height; ++y) {
      if (static_cast<std::size_t>(y) >= canvas.size.height) break;
      const auto left = static_cast<std::size_t>(std::max(area_.Left, 0));
      const auto right = std::min(static_cast<std::size_t>(std::max(area_.Left + area_.Width, 0)), canvas.size.width);
      if (left < right) std::memset(canvas.row(static_cast<std::size_t>(y)) + 3 * left, 255, 3 * (right - left));
    }
  }

  const VideoSource& source_;
  MemoryFile memory_;
  std::unique_ptr<GifFileType, Close> gif_;
  GraphicsControlBlock control_{};
  // Of the frame before: what is to be done with it.
  int disposal_ = DISPOSAL_UNSPECIFIED;
  GifImageDesc area_{};
  std::vector<std::uint8_t> before_;
};

}  // namespace

std::vector<VideoFrame> sample_gif(const VideoSource& source) {
  std::size_t count = 0;
  double seconds = 0;
  for (GifFilm film(source); film.next();) {
    ++count;
    seconds += film.delay() / 100.0;
    if (count > source.limits.max_frames || !film.skip()) break;
  }
  source.check_frames(count);
  const double fps = static_cast<double>(count) / seconds;
  const std::vector<std::size_t> numbers = sampled_frames(count, fps, source.sampling);

  GifFilm film(source);
  source.check_size(film.width(), film.height(), numbers.size() + 2);  // the canvas, and what it was before
  RgbImage canvas{{film.width(), film.height()}, std::vector<std::uint8_t>(film.width() * film.height() * 3, 255)};
  std::vector<VideoFrame> frames;
  for (std::size_t number = 0; frames.size() < numbers.size() && film.next(); ++number) {
    const bool is_whole = film.draw(canvas);
    if (number == numbers[frames.size()]) frames.push_back({static_cast<double>(number) / fps, canvas});
    if (!is_whole) break;
  }
  if (frames.empty()) throw source.bad("damaged GIF.");
  return frames;
}

}  // namespace carat
