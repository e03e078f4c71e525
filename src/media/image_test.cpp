// Decoders against what Pillow and libjpeg-turbo make of the same files, limits, and damaged files.
#include "media/image.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/mutator.h"
#include "media/image_decoder.h"
#include "media/resize_image.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path data(const std::string& name) {
  return fs::path(CARAT_TEST_DATA) / "data" / "images" / name;
}

fs::path golden(const std::string& name) {
  return fs::path(CARAT_TEST_DATA) / "golden" / name;
}

RgbImage load(const fs::path& path) {
  return decode_image(read_image_file(path), path.filename().string());
}

// How far apart two pictures of one size are, in levels.
struct Difference {
  int max = 0;
  double mean = 0;
};

Difference difference(const RgbImage& a, const RgbImage& b) {
  EXPECT_EQ(a.size, b.size);
  if (a.size != b.size) return {255, 255};
  Difference result;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    const int levels = std::abs(int{a.pixels[i]} - int{b.pixels[i]});
    result.max = std::max(result.max, levels);
    result.mean += levels;
  }
  result.mean /= static_cast<double>(a.pixels.size());
  return result;
}

std::string refusal(std::string_view bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(std::as_bytes(std::span(bytes)), "picture", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(Image, EveryKindOfFileShowsThePattern) {
  struct Row {
    const char* file;
    const char* expected;
    int max_levels;  // 0: exact
  };
  const Row rows[] = {
      {"lossless.webp", "expected.png", 0},
      {"rgb24.bmp", "expected.png", 0},
      {"rgba32.bmp", "expected.png", 0},
      {"palette.bmp", "expected.png", 0},
      {"palette.gif", "expected.png", 0},
      {"palette.png", "expected.png", 0},
      {"animated.gif", "expected.png", 0},
      {"animated.webp", "expected.png", 0},
      {"half_alpha.png", "half_alpha.expected.png", 0},
      {"half_alpha.webp", "half_alpha.expected.png", 0},
      {"transparent_colour.png", "transparent_colour.expected.png", 0},
      {"transparent_colour.gif", "transparent_colour.expected.png", 0},
      {"grey16.png", "grey16.expected.png", 0},
      {"black_white.png", "black_white.expected.png", 0},
      {"black_white.bmp", "black_white.expected.png", 0},
      // JPEG decoders may differ by rounding; the golden cases allow 4 levels.
      {"baseline.jpg", "baseline.expected.png", 4},
      {"progressive.jpg", "progressive.expected.png", 4},
      {"cmyk.jpg", "cmyk.expected.png", 4},
      {"orientation_6.jpg", "orientation_6.expected.png", 4},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.file);
    EXPECT_LE(difference(load(data(row.file)), load(data(row.expected))).max, row.max_levels);
  }
}

TEST(Image, EveryOrientationComesOutUpright) {
  const RgbImage expected = load(data("expected.png"));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const char* extension : {".png", ".webp"}) {
      const std::string name = str("orientation_", orientation, extension);
      SCOPED_TRACE(name);
      EXPECT_EQ(difference(load(data(name)), expected).max, 0);
    }
  }
}

TEST(Image, JpegDecodesAsInTheReference) {
  for (const char* name : {"photo", "gray"}) {
    const Difference found = difference(load(golden(str("media/images/", name, ".jpg"))),
                                        load(golden(str("vision-e/", name, ".decoded.png"))));
    EXPECT_LE(found.max, 4) << name;
    EXPECT_LE(found.mean, 0.3) << name;
  }
}

TEST(Image, ResizesAsTheReference) {
  for (const char* name : {"photo_jpg", "wide_png", "tall_png", "tiny_png", "rgba_png", "gray_png", "palette_png",
                           "gray_alpha_png", "sliver_png"}) {
    SCOPED_TRACE(name);
    std::string file = name;
    file[file.rfind('_')] = '.';
    const RgbImage expected = load(golden(str("vision-e/", name, "_70.resized.png")));
    const Difference found = difference(resize_bicubic(load(golden("media/images/" + file)), expected.size), expected);
    EXPECT_LE(found.max, 2);
    EXPECT_LE(found.mean, 0.02);
  }
}

TEST(Image, PngRoundTrip) {
  const RgbImage image = load(golden("media/images/tiny.png"));
  EXPECT_EQ(difference(decode_image(encode_png(image), "png"), image).max, 0);
}

// Little-endian or big-endian numbers for files made by hand.
std::string number(std::uint64_t value, std::size_t bytes, bool is_big = false) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::size_t byte = is_big ? bytes - 1 - i : i;
    out += byte < sizeof(value) ? static_cast<char>(value >> (8 * byte)) : '\0';
  }
  return out;
}

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

std::string png_chunk(const std::string& type, const std::string& payload) {
  return number(payload.size(), 4, true) + type + payload + number(crc32(type + payload), 4, true);
}

std::string bomb_png(std::uint64_t side) {
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", number(side, 4, true) + number(side, 4, true) + std::string("\x08\x02\0\0\0", 5)) +
         png_chunk("IDAT", std::string(4000, 'x')) + png_chunk("IEND", "");
}

std::string bomb_gif(std::size_t frames) {
  std::string gif = "GIF89a" + number(1, 2) + number(1, 2) + std::string("\x80\0\0", 3) + std::string(6, '\x7f');
  const std::string frame = std::string(",\0\0\0\0\1\0\1\0\0", 10) + std::string("\2\2\x44\1\0", 5);
  for (std::size_t i = 0; i < frames; ++i) gif += frame;
  return gif + ";";
}

// Within 50 ms on an idle machine; a busy one may take ten times that to find out that nothing is to be decoded.
TEST(Image, BombsAreRefusedAtOnce) {
  const std::string png = bomb_png(60'000);
  const std::string gif = bomb_gif(1'000'000);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(refusal(png),
            "picture: the image has 60000 x 60000 pixels, at most 16384 a side and 50 million in all are read. Make it "
            "smaller first.");
  EXPECT_EQ(refusal(gif), "picture: the animation has more than 10000 frames. Cut it first.");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
}

TEST(Image, LimitsHoldForEveryFormat) {
  const auto bmp = [](std::int64_t width, std::int64_t height, std::uint64_t bits) {
    return "BM" + number(0, 8) + number(54, 4) + number(40, 4) + number(static_cast<std::uint64_t>(width), 4) +
           number(static_cast<std::uint64_t>(height), 4) + number(1, 2) + number(bits, 2) + std::string(24, '\0');
  };
  EXPECT_NE(refusal(bmp(60'000, 60'000, 24)).find("60000 x 60000"), std::string::npos);
  EXPECT_NE(refusal(bmp(1, -2147483648LL, 24)).find("1 x 2147483648"), std::string::npos);
  EXPECT_NE(refusal(bmp(-5, 5, 24)).find("no pixels"), std::string::npos);
  EXPECT_NE(refusal(bmp(100, 100, 24)).find("its pixels take 30000 bytes, 0 are there"), std::string::npos);
  EXPECT_NE(refusal(bmp(100, 100, 17)).find("17 bits"), std::string::npos);
  EXPECT_NE(refusal("GIF89a" + number(65'535, 2) + number(65'535, 2) + std::string("\x80\0\0", 3) +
                    std::string(6, 'c') + std::string(",\0\0\0\0\1\0\1\0\0", 10) + std::string("\2\2\x44\1\0;", 6))
                .find("65535 x 65535"),
            std::string::npos);
  EXPECT_NE(refusal("").find("empty"), std::string::npos);
  EXPECT_NE(refusal("hello").find("JPEG, PNG, WebP, GIF or BMP"), std::string::npos);
  EXPECT_NE(refusal(std::string((64 << 20) + 1, 'x')).find("bytes"), std::string::npos);
  // What stands behind the limits of pixels: memory of a decoder, and frames.
  const auto bytes_of = [](const char* name) { return read_text_file(data(name), 1 << 20); };
  const std::string animation = bytes_of("animated.webp");
  EXPECT_EQ(refusal(animation), "");
  EXPECT_NE(refusal(animation, {.max_frames = 1}).find("more than 1 frames"), std::string::npos);
  for (const char* name : {"animated.webp", "cmyk.jpg"}) {
    EXPECT_NE(refusal(bytes_of(name), {.max_decode_bytes = 1000}).find("takes more than 0 MiB"), std::string::npos)
        << name;
  }
}

TEST(Image, RunLengthBmp) {
  // 4 x 2, eight bits: a run of four 1s; end of line; two colours as they are, a move, one more.
  const std::string header = "BM" + number(0, 8) + number(54 + 12, 4) + number(40, 4) + number(4, 4) + number(2, 4) +
                             number(1, 2) + number(8, 2) + number(1, 4) + number(0, 12) + number(3, 4) + number(0, 4);
  const std::string palette =
      std::string("\0\0\0\0", 4) + std::string("\x01\x02\x03\0", 4) + std::string("\xff\xff\xff\0", 4);
  const std::string runs = std::string("\4\1", 2) + std::string("\0\0", 2) + std::string("\0\3\2\1\2\0", 6) +
                           std::string("\1\1", 2) + std::string("\0\1", 2);
  const std::string file = header + palette + runs;
  const RgbImage image = decode_image(std::as_bytes(std::span(file)), "bmp");
  ASSERT_EQ(image.size, (ImageSize{4, 2}));
  const std::vector<std::uint8_t> one{3, 2, 1};
  const std::vector<std::uint8_t> white{255, 255, 255};
  std::vector<std::uint8_t> expected;
  for (const auto& color : {white, one, white, one, one, one, one, one}) {
    expected.insert(expected.end(), color.begin(), color.end());
  }
  EXPECT_EQ(image.pixels, expected);
}

// Damage, cuts and joins of all kinds of files: an answer or an Error, and no buffer beyond the limits.
TEST(ImageMutation, EveryDamagedFileIsReadOrRefused) {
  constexpr int kMutants = 10'000;
  std::vector<std::string> seeds;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(CARAT_TEST_DATA) / "data" / "images")) {
    const std::vector<std::byte> bytes = read_image_file(entry.path());
    seeds.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::ranges::sort(seeds);  // not in the order of the folder
  ImageLimits limits;
  limits.max_pixels = 1'000'000;  // what headers come to claim is zeroed memory, which takes time
  Mutator mutator(seeds, 5);
  int n_read = 0;
  for (int i = 0; i < kMutants; ++i) {
    const std::string mutant = mutator.mutant();
    try {
      const RgbImage image = decode_image(std::as_bytes(std::span(mutant)), "mutant", limits);
      ASSERT_EQ(image.pixels.size(), image.size.width * image.size.height * 3);
      ASSERT_LE(image.size.width * image.size.height, limits.max_pixels);
      ++n_read;
    } catch (const Error&) {
      continue;
    }
  }
  EXPECT_GT(n_read, kMutants / 20);
  EXPECT_LT(n_read, kMutants * 19 / 20);
}

}  // namespace
}  // namespace carat
