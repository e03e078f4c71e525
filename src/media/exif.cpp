// The one field of EXIF that matters here. EXIF 2.32, section 4.6: a TIFF file; tag 0x0112 of its first directory.
#include <algorithm>
#include <cstring>
#include <optional>

#include "media/image_decoder.h"

namespace carat::media {
namespace {

constexpr std::uint16_t kOrientationTag = 0x0112;
constexpr std::uint16_t kShortType = 3;
constexpr std::size_t kEntryBytes = 12;

// A TIFF file's numbers, in the byte order it declares; nothing where they lie outside of it.
class Tiff {
 public:
  explicit Tiff(std::span<const std::uint8_t> bytes) : bytes_(bytes), is_big_(!bytes.empty() && bytes[0] == 'M') {}

  std::optional<std::uint32_t> number(std::size_t offset, std::size_t size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value |= std::uint32_t{bytes_[offset + i]} << (8 * (is_big_ ? size - 1 - i : i));
    }
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool is_big_;
};

bool begins_with(std::span<const std::uint8_t> bytes, const char* prefix, std::size_t size) {
  return bytes.size() >= size && std::memcmp(bytes.data(), prefix, size) == 0;
}

}  // namespace

int exif_orientation(std::span<const std::uint8_t> exif) {
  if (begins_with(exif, "Exif\0\0", 6)) exif = exif.subspan(6);
  if (!begins_with(exif, "II*\0", 4) && !begins_with(exif, "MM\0*", 4)) return 1;
  const Tiff tiff(exif);
  const auto directory = tiff.number(4, 4);
  const auto entries = directory ? tiff.number(*directory, 2) : std::nullopt;
  for (std::size_t i = 0; i < entries.value_or(0); ++i) {
    const std::size_t entry = *directory + 2 + i * kEntryBytes;
    const auto tag = tiff.number(entry, 2);
    if (!tag) return 1;
    if (*tag != kOrientationTag) continue;
    const std::uint32_t value = tiff.number(entry + 8, 2).value_or(1);
    return tiff.number(entry + 2, 2) == kShortType && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int jpeg_orientation(std::span<const std::uint8_t> file) {
  constexpr std::uint8_t kApp1 = 0xe1;
  constexpr std::uint8_t kStartOfScan = 0xda;
  std::size_t at = 2;  // behind the start of image
  while (at + 4 <= file.size() && file[at] == 0xff) {
    const std::uint8_t marker = file[at + 1];
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    const std::size_t length = std::size_t{file[at + 2]} << 8 | file[at + 3];  // the length itself included
    if (marker == kStartOfScan || length < 2 || at + 2 + length > file.size()) return 1;
    const auto payload = file.subspan(at + 4, length - 2);
    if (marker == kApp1 && begins_with(payload, "Exif\0\0", 6)) return exif_orientation(payload);
    at += 2 + length;
  }
  return 1;
}

}  // namespace carat::media
