// GIF by giflib: the first frame on its canvas, the rest of which is transparent.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "media/image_decoder.h"

namespace carat::media {
namespace {

// Steps over a GIF's blocks without decoding any, to count its frames. GIF89a specification, section "Blocks".
class GifBlocks {
 public:
  explicit GifBlocks(std::span<const std::uint8_t> file) : file_(file) {}

  // Frames that begin in the file, but no more than `most`.
  std::size_t count_frames(std::size_t most) {
    constexpr std::size_t kHeaderBytes = 13;
    std::size_t frames = 0;
    skip(kHeaderBytes - 3);
    skip_color_table(byte());
    skip(2);
    while (at_ < file_.size() && frames < most) {
      const std::uint8_t kind = byte();
      if (kind == kImage) {
        ++frames;
        skip(8);
        skip_color_table(byte());
        skip(1);
      } else if (kind == kExtension) {
        skip(1);
      } else {
        break;  // the trailer, or what is no block
      }
      while (const std::uint8_t size = byte()) skip(size);
    }
    return frames;
  }

 private:
  static constexpr std::uint8_t kImage = 0x2c;
  static constexpr std::uint8_t kExtension = 0x21;

  std::uint8_t byte() { return at_ < file_.size() ? file_[at_++] : std::uint8_t{0}; }
  void skip(std::size_t bytes) { at_ += bytes; }
  // flags: bit 7 says that a table is there, bits 0 to 2 how long. It stands behind what is still to be skipped, which
  // makes no difference to where the next block begins.
  void skip_color_table(std::uint8_t flags) {
    if ((flags & 0x80) != 0) skip(std::size_t{3} << ((flags & 7) + 1));
  }

  std::span<const std::uint8_t> file_;
  std::size_t at_ = 0;
};

struct Reader {
  std::span<const std::uint8_t> rest;

  static int read(GifFileType* gif, GifByteType* out, int size) {
    auto& rest = static_cast<Reader*>(gif->UserData)->rest;
    const std::size_t n = std::min(rest.size(), static_cast<std::size_t>(std::max(size, 0)));
    std::memcpy(out, rest.data(), n);
    rest = rest.subspan(n);
    return static_cast<int>(n);
  }
};

struct Close {
  void operator()(GifFileType* gif) const {
    int ignored = 0;
    DGifCloseFile(gif, &ignored);
  }
};

class GifDecoder {
 public:
  GifDecoder(GifFileType& gif, const ImageSource& source) : gif_(gif), source_(source) {}

  DecodedImage first_frame() {
    while (true) {
      GifRecordType type = UNDEFINED_RECORD_TYPE;
      if (DGifGetRecordType(&gif_, &type) == GIF_ERROR) throw bad();
      if (type == IMAGE_DESC_RECORD_TYPE) return frame();
      if (type != EXTENSION_RECORD_TYPE) throw source_.bad("damaged GIF (it holds no frame).");
      read_extension();
    }
  }

 private:
  Error bad() const {
    const char* message = GifErrorString(gif_.Error);
    return source_.bad(str("damaged GIF (", message == nullptr ? "unknown" : message, ")."));
  }

  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;  // its length, then its bytes
    if (DGifGetExtension(&gif_, &code, &block) == GIF_ERROR) throw bad();
    while (block != nullptr) {
      GraphicsControlBlock control;
      if (code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
        transparent_ = control.TransparentColor;
      }
      if (DGifGetExtensionNext(&gif_, &block) == GIF_ERROR) throw bad();
    }
  }

  DecodedImage frame() {
    if (DGifGetImageDesc(&gif_) == GIF_ERROR) throw bad();
    const GifImageDesc& area = gif_.Image;
    // Files whose canvas is smaller than their frame are met in the wild; the frame counts then.
    const auto right = static_cast<std::uint64_t>(std::max(area.Left + area.Width, 0));
    const auto bottom = static_cast<std::uint64_t>(std::max(area.Top + area.Height, 0));
    const std::uint64_t width = std::max(right, static_cast<std::uint64_t>(std::max(gif_.SWidth, 0)));
    const std::uint64_t height = std::max(bottom, static_cast<std::uint64_t>(std::max(gif_.SHeight, 0)));
    source_.check_size(width, height, 5);
    const ColorMapObject* colors = area.ColorMap != nullptr ? area.ColorMap : gif_.SColorMap;
    if (colors == nullptr) throw source_.bad("damaged GIF (it has no table of colours).");

    DecodedImage image;
    image.size = {width, height};
    image.channels = 4;
    image.pixels = make_pixels(source_, image.size, image.channels);
    std::vector<GifByteType> line(static_cast<std::size_t>(area.Width));
    const auto read_line = [&](std::size_t y) {
      if (DGifGetLine(&gif_, line.data(), area.Width) == GIF_ERROR) throw bad();
      std::uint8_t* out = image.pixels.data() +
                          ((static_cast<std::size_t>(area.Top) + y) * width + static_cast<std::size_t>(area.Left)) * 4;
      for (const GifByteType index : line) {
        if (index != transparent_ && index < colors->ColorCount) {
          const GifColorType& color = colors->Colors[index];
          const std::array<std::uint8_t, 4> rgba{color.Red, color.Green, color.Blue, 255};
          std::copy(rgba.begin(), rgba.end(), out);
        }
        out += 4;
      }
    };
    // An interlaced frame comes in four passes.
    struct Pass {
      std::size_t first;
      std::size_t step;
    };
    const std::vector<Pass> passes =
        area.Interlace ? std::vector<Pass>{{0, 8}, {4, 8}, {2, 4}, {1, 2}} : std::vector<Pass>{{0, 1}};
    for (const Pass& pass : passes) {
      for (std::size_t y = pass.first; y < static_cast<std::size_t>(area.Height); y += pass.step) read_line(y);
    }
    return image;
  }

  GifFileType& gif_;
  const ImageSource& source_;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

}  // namespace

DecodedImage decode_gif(const ImageSource& source) {
  const std::span<const std::uint8_t> file(source.data(), source.size());
  if (GifBlocks(file).count_frames(source.limits.max_frames + 1) > source.limits.max_frames) {
    throw source.bad(str("the animation has more than ", source.limits.max_frames, " frames. Cut it first."));
  }
  Reader reader{file};
  int error = 0;
  const std::unique_ptr<GifFileType, Close> gif(DGifOpen(&reader, Reader::read, &error));
  if (gif == nullptr) {
    const char* message = GifErrorString(error);
    throw source.bad(str("damaged GIF (", message == nullptr ? "unknown" : message, ")."));
  }
  return GifDecoder(*gif, source).first_frame();
}

}  // namespace carat::media
