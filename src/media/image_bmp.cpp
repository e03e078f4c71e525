// BMP, read by ourselves: palettes, 16 to 32 bits with masks, run lengths. Format: Microsoft, "Bitmap Storage".
#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "media/image_decoder.h"

namespace carat::media {
namespace {

enum Compression : std::uint32_t { kRgb = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaBitFields = 6 };

constexpr std::size_t kFileHeaderBytes = 14;
constexpr std::size_t kCoreHeaderBytes = 12;  // OS/2, with 16-bit sizes and palettes of 3 bytes a colour
constexpr std::size_t kInfoHeaderBytes = 40;

struct Rgba {
  std::uint8_t r = 0;
  std::uint8_t g = 0;
  std::uint8_t b = 0;
  std::uint8_t a = 255;
};

// One channel of a pixel with masks: its bits, scaled to 0 .. 255.
class Channel {
 public:
  explicit Channel(std::uint32_t mask)
      : mask_(mask), shift_(mask == 0 ? 0 : std::countr_zero(mask)), max_(mask == 0 ? 0 : mask >> shift_) {}

  std::uint8_t of(std::uint32_t pixel, std::uint8_t otherwise) const {
    if (max_ == 0) return otherwise;
    return static_cast<std::uint8_t>((std::uint64_t{(pixel & mask_) >> shift_} * 255 + max_ / 2) / max_);
  }

 private:
  std::uint32_t mask_;
  int shift_;
  std::uint32_t max_;
};

class BmpReader {
 public:
  explicit BmpReader(const ImageSource& source) : source_(source) { read_header(); }

  DecodedImage read() {
    DecodedImage image;
    image.size = size_;
    image.channels = 4;
    image.pixels = make_pixels(source_, size_, image.channels);
    if (compression_ == kRle8 || compression_ == kRle4) {
      read_runs(image);
    } else {
      read_rows(image);
    }
    return image;
  }

 private:
  // Little-endian, of at most 4 bytes. Running off the end is an error that names the offset.
  std::uint32_t number(std::size_t offset, std::size_t bytes) const {
    if (offset > source_.size() || source_.size() - offset < bytes) {
      throw source_.bad(str("damaged BMP (it ends at byte ", source_.size(), ", in the middle)."));
    }
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::uint32_t{source_.data()[offset + i]} << (8 * i);
    return value;
  }

  void read_header() {
    pixels_at_ = number(10, 4);
    const std::size_t header_bytes = number(kFileHeaderBytes, 4);
    const bool is_core = header_bytes == kCoreHeaderBytes;
    if (!is_core && (header_bytes < kInfoHeaderBytes || header_bytes > 1024)) {
      throw source_.bad(str("damaged BMP (a header of ", header_bytes, " bytes)."));
    }
    const auto width = is_core ? static_cast<std::int64_t>(number(18, 2))
                               : static_cast<std::int64_t>(static_cast<std::int32_t>(number(18, 4)));
    const auto height = is_core ? static_cast<std::int64_t>(number(20, 2))
                                : static_cast<std::int64_t>(static_cast<std::int32_t>(number(22, 4)));
    is_top_down_ = height < 0;
    source_.check_size(static_cast<std::uint64_t>(std::max<std::int64_t>(width, 0)),
                       static_cast<std::uint64_t>(is_top_down_ ? -height : height), 5);
    size_ = {static_cast<std::size_t>(width), static_cast<std::size_t>(is_top_down_ ? -height : height)};
    bits_ = number(is_core ? 24 : 28, 2);
    compression_ = is_core ? std::uint32_t{kRgb} : number(30, 4);
    check_kind();

    std::size_t at = kFileHeaderBytes + header_bytes;
    if (compression_ == kBitFields || compression_ == kAlphaBitFields) {
      // Behind a plain header the masks stand by themselves, in longer ones within.
      const std::size_t masks = kFileHeaderBytes + kInfoHeaderBytes;
      red_ = Channel(number(masks, 4));
      green_ = Channel(number(masks + 4, 4));
      blue_ = Channel(number(masks + 8, 4));
      const bool has_alpha = compression_ == kAlphaBitFields || header_bytes >= 56;
      if (has_alpha) alpha_ = Channel(number(masks + 12, 4));
      if (header_bytes == kInfoHeaderBytes) at += has_alpha ? 16 : 12;
    } else if (bits_ == 16) {
      red_ = Channel(0x7c00);
      green_ = Channel(0x03e0);
      blue_ = Channel(0x001f);
    } else {
      red_ = Channel(0xff0000);
      green_ = Channel(0x00ff00);
      blue_ = Channel(0x0000ff);
    }
    if (bits_ <= 8) read_palette(at, is_core ? 3 : 4, is_core ? 0 : number(46, 4));
  }

  void check_kind() const {
    const bool has_masks = compression_ == kBitFields || compression_ == kAlphaBitFields;
    const bool is_known = (compression_ == kRgb &&
                           (bits_ == 1 || bits_ == 4 || bits_ == 8 || bits_ == 16 || bits_ == 24 || bits_ == 32)) ||
                          (compression_ == kRle8 && bits_ == 8 && !is_top_down_) ||
                          (compression_ == kRle4 && bits_ == 4 && !is_top_down_) ||
                          (has_masks && (bits_ == 16 || bits_ == 32));
    if (!is_known) {
      throw source_.bad(str("a BMP of ", bits_, " bits with compression ", compression_, " is not supported."));
    }
  }

  void read_palette(std::size_t at, std::size_t entry_bytes, std::size_t declared) {
    const std::size_t most = std::size_t{1} << bits_;
    const std::size_t entries = declared == 0 ? most : std::min(declared, most);
    for (std::size_t i = 0; i < entries; ++i, at += entry_bytes) {
      if (at + 3 > pixels_at_) break;  // older writers leave colours out that no pixel has
      palette_[i] = {static_cast<std::uint8_t>(number(at + 2, 1)), static_cast<std::uint8_t>(number(at + 1, 1)),
                     static_cast<std::uint8_t>(number(at, 1))};
    }
  }

  std::uint8_t* row_of(DecodedImage& image, std::size_t line) const {
    const std::size_t y = is_top_down_ ? line : size_.height - 1 - line;
    return image.pixels.data() + y * size_.width * 4;
  }
  static void put(std::uint8_t*& out, const Rgba& color) {
    *out++ = color.r;
    *out++ = color.g;
    *out++ = color.b;
    *out++ = color.a;
  }

  void read_rows(DecodedImage& image) const {
    const std::size_t row_bytes = (size_.width * bits_ + 31) / 32 * 4;
    if (pixels_at_ > source_.size() || (source_.size() - pixels_at_) / row_bytes < size_.height) {
      throw source_.bad(str("damaged BMP (its pixels take ", row_bytes * size_.height, " bytes, ",
                            source_.size() - std::min<std::size_t>(pixels_at_, source_.size()), " are there)."));
    }
    for (std::size_t line = 0; line < size_.height; ++line) {
      const std::uint8_t* in = source_.data() + pixels_at_ + line * row_bytes;
      std::uint8_t* out = row_of(image, line);
      for (std::size_t x = 0; x < size_.width; ++x) put(out, color_at(in, x));
    }
  }

  Rgba color_at(const std::uint8_t* row, std::size_t x) const {
    if (bits_ <= 8) {
      const std::size_t bit = x * bits_;
      const std::uint32_t index = (std::uint32_t{row[bit / 8]} >> (8 - bits_ - bit % 8)) & ((1U << bits_) - 1);
      return palette_[index];
    }
    std::uint32_t pixel = 0;
    for (std::size_t i = 0; i < bits_ / 8; ++i) pixel |= std::uint32_t{row[x * bits_ / 8 + i]} << (8 * i);
    return {red_.of(pixel, 0), green_.of(pixel, 0), blue_.of(pixel, 0), alpha_.of(pixel, 255)};
  }

  // Runs: a count and a colour; or 0 and: 0 end of line, 1 end of picture, 2 a move, 3.. that many colours as they are.
  void read_runs(DecodedImage& image) const {
    std::size_t at = pixels_at_;
    std::size_t x = 0;
    std::size_t line = 0;
    const auto set = [&](std::uint32_t index) {
      if (x >= size_.width || line >= size_.height) return;
      std::uint8_t* out = row_of(image, line) + 4 * x++;
      put(out, palette_[index]);
    };
    // The i-th colour of bytes that hold one, or two a byte.
    const auto index_of = [&](std::uint32_t byte, std::size_t i) {
      if (compression_ == kRle8) return byte;
      return i % 2 == 0 ? byte >> 4 : byte & 15;
    };
    while (line < size_.height) {
      const std::uint32_t count = number(at, 1);
      const std::uint32_t value = number(at + 1, 1);
      at += 2;
      if (count > 0) {
        for (std::size_t i = 0; i < count; ++i) set(index_of(value, i));
      } else if (value == 0) {
        x = 0;
        ++line;
      } else if (value == 1) {
        return;
      } else if (value == 2) {
        x += number(at, 1);
        line += number(at + 1, 1);
        at += 2;
      } else {
        const std::size_t per_byte = compression_ == kRle8 ? 1 : 2;
        for (std::size_t i = 0; i < value; ++i) set(index_of(number(at + i / per_byte, 1), i));
        const std::size_t bytes = (value + per_byte - 1) / per_byte;
        at += bytes + bytes % 2;
      }
    }
  }

  const ImageSource& source_;
  std::size_t pixels_at_ = 0;
  ImageSize size_;
  std::size_t bits_ = 0;
  std::uint32_t compression_ = kRgb;
  bool is_top_down_ = false;
  Channel red_{0};
  Channel green_{0};
  Channel blue_{0};
  Channel alpha_{0};
  std::array<Rgba, 256> palette_{};
};

}  // namespace

DecodedImage decode_bmp(const ImageSource& source) {
  return BmpReader(source).read();
}

}  // namespace carat::media
