#include "media/video.h"

#include <gif_lib.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "media/image.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path data_folder() {
  return CARAT_TEST_DATA;
}

TEST(Video, SamplesTheFramesThatTheReferenceDoes) {
  const json::value layout = parse_json_file(data_folder() / "golden" / "video" / "layout.json");
  for (const json::value& film : layout.at("sampling").as_array()) {
    if (film.as_object().contains("error"))
      continue;  // the reference refuses short films; all of theirs are taken here
    const auto frames = film.at("total_frames").to_number<std::size_t>();
    const double fps = film.at("fps").to_number<double>();
    SCOPED_TRACE(frames);
    std::vector<std::size_t> expected;
    for (const json::value& index : film.at("indices").as_array()) expected.push_back(index.to_number<std::size_t>());
    const std::vector<std::size_t> numbers = sampled_frames(frames, fps, {});
    EXPECT_EQ(numbers, expected);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      EXPECT_EQ(timestamp_text(static_cast<double>(numbers[i]) / fps), film.at("timestamps").at(i).as_string());
    }
  }
  EXPECT_EQ(sampled_frames(3, 24, {}), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(sampled_frames(100, 25, {.fps = 1}), (std::vector<std::size_t>{0, 25, 50, 75}));
  EXPECT_EQ(sampled_frames(1000, 25, {.fps = 1, .max_frames = 4}), (std::vector<std::size_t>{0, 250, 500, 750}));
  EXPECT_EQ(sampled_frames(10, 25, {.fps = 0.01}), (std::vector<std::size_t>{0}));
  // Seven steps of 122 / 14 frames are 61 frames, not a little less.
  EXPECT_EQ(sampled_frames(122, 25, {.max_frames = 14})[7], 61U);
  EXPECT_EQ(timestamp_text(6125), "102:05");
}

class FilmTest : public testing::TestWithParam<const char*> {};

TEST_P(FilmTest, TheRightFramesAreDecoded) {
  if (!has_video_containers()) GTEST_SKIP() << "built without FFmpeg's libraries";
  const MappedFile file(data_folder() / "data" / "video" / GetParam());
  const double fps = std::string_view(GetParam()) == "h264.mp4" ? 10 : 25;
  const auto check = [&](const FrameSampling& sampling) {
    const std::vector<VideoFrame> frames = sample_video(file.bytes(), "f", sampling);
    const std::vector<std::size_t> numbers = sampled_frames(100, fps, sampling);
    ASSERT_EQ(frames.size(), numbers.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(frames[i].image.size, (ImageSize{64, 48}));
      EXPECT_DOUBLE_EQ(frames[i].seconds, static_cast<double>(numbers[i]) / fps);
      // Frame n is grey of level 2 n; codecs lose up to one level of some, so that only a wrong frame is two off.
      double sum = 0;
      for (const std::uint8_t value : frames[i].image.pixels) sum += value;
      const double level = sum / static_cast<double>(frames[i].image.pixels.size());
      EXPECT_NEAR(level, 2.0 * static_cast<double>(numbers[i]), 1.5) << i;
    }
  };
  check({});
  check({.fps = 1});
  check({.max_frames = 2});  // far apart: by a jump to a keyframe
  check({.max_frames = 100});
}

INSTANTIATE_TEST_SUITE_P(Video, FilmTest, testing::Values("h264.mp4", "vp9.webm", "mjpeg.avi"), [](const auto& film) {
  return std::string(film.param, std::string_view(film.param).find('.'));
});

// A GIF of 8 x 8 pixels: frame 0 black, then each frame draws a white square of 2 x 2 one place further; delays of 0.5
// s. disposal: of every frame.
std::vector<std::byte> walking_square(int disposal) {
  std::vector<std::byte> bytes;
  int error = 0;
  GifFileType* gif = EGifOpen(
      &bytes,
      [](GifFileType* g, const GifByteType* data, int n) {
        auto& out = *static_cast<std::vector<std::byte>*>(g->UserData);
        const auto* p = reinterpret_cast<const std::byte*>(data);
        out.insert(out.end(), p, p + n);
        return n;
      },
      &error);
  const GifColorType colors[2] = {{0, 0, 0}, {255, 255, 255}};
  ColorMapObject* map = GifMakeMapObject(2, colors);
  EGifSetGifVersion(gif, true);
  EGifPutScreenDesc(gif, 8, 8, 1, 0, map);
  for (int i = 0; i < 4; ++i) {
    GifByteType block[4];
    const GraphicsControlBlock control{i == 0 ? DISPOSE_DO_NOT : disposal, false, 50, NO_TRANSPARENT_COLOR};
    EGifGCBToExtension(&control, block);
    EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block);
    const int side = i == 0 ? 8 : 2;
    EGifPutImageDesc(gif, i == 0 ? 0 : 2 * (i - 1), 0, side, side, false, nullptr);
    for (int y = 0; y < side; ++y) {
      GifByteType line[8];
      std::fill_n(line, 8, static_cast<GifByteType>(i == 0 ? 0 : 1));
      EGifPutLine(gif, line, side);
    }
  }
  EGifCloseFile(gif, &error);
  GifFreeMapObject(map);
  return bytes;
}

// The first row's brightness, a letter a pixel.
std::string first_row(const RgbImage& image) {
  std::string row;
  for (std::size_t x = 0; x < image.size.width; ++x) row += image.row(0)[3 * x] > 128 ? '#' : '.';
  return row;
}

TEST(Video, AnimatedGif) {
  const std::vector<VideoFrame> kept = sample_video(walking_square(DISPOSE_DO_NOT), "f", {});
  ASSERT_EQ(kept.size(), 4U);
  EXPECT_EQ(first_row(kept[0].image), "........");
  EXPECT_EQ(first_row(kept[1].image), "##......");
  EXPECT_EQ(first_row(kept[3].image), "######..");
  EXPECT_DOUBLE_EQ(kept[3].seconds, 1.5);
  const std::vector<VideoFrame> restored = sample_video(walking_square(DISPOSE_PREVIOUS), "f", {});
  EXPECT_EQ(first_row(restored[3].image), "....##..");
  const std::vector<VideoFrame> cleared = sample_video(walking_square(DISPOSE_BACKGROUND), "f", {});
  EXPECT_EQ(first_row(cleared[3].image), "######..");  // white is what is behind
  EXPECT_EQ(sample_video(walking_square(DISPOSE_DO_NOT), "f", {.fps = 1}).size(), 2U);
}

TEST(Video, AFolderOfPictures) {
  const fs::path folder = data_folder() / "golden" / "video";
  const fs::path copy = fs::temp_directory_path() / "carat_video_folder_test";
  fs::create_directories(copy);
  for (int i = 0; i < 5; ++i) {
    const std::string name = str("frame", i, ".png");
    fs::copy_file(folder / name, copy / name, fs::copy_options::overwrite_existing);
  }
  // People count frames without zeros in front, and keep other files beside them.
  fs::rename(copy / "frame4.png", copy / "frame10.PNG");
  std::ofstream(copy / "notes.txt") << "no picture";
  std::ofstream(copy / ".hidden.png") << "no picture";
  const std::vector<VideoFrame> frames = sample_folder(copy, {});
  ASSERT_EQ(frames.size(), 5U);
  EXPECT_EQ(frames[2].image.pixels, decode_image(read_image_file(folder / "frame2.png"), "f").pixels);
  EXPECT_EQ(frames[4].image.pixels, decode_image(read_image_file(folder / "frame4.png"), "f").pixels);
  EXPECT_DOUBLE_EQ(frames[4].seconds, 4);
  EXPECT_EQ(sample_folder(copy, {.max_frames = 2}).size(), 2U);
  fs::remove_all(copy);
  EXPECT_THROW(sample_folder(copy, {}), Error);
}

TEST(Video, RefusesWhatIsTooLarge) {
  const std::vector<std::byte> gif = walking_square(DISPOSE_DO_NOT);
  EXPECT_THROW(sample_video(gif, "f", {}, {.max_bytes = 10}), Error);
  EXPECT_THROW(sample_video(gif, "f", {}, {.max_pixels = 63}), Error);
  EXPECT_THROW(sample_video(gif, "f", {}, {.max_frames = 3}), Error);
  EXPECT_THROW(sample_video(gif, "f", {}, {.max_sampled_bytes = 500}), Error);
  EXPECT_THROW(sample_video(std::as_bytes(std::span("no film at all, but some text")), "f", {}), Error);
  EXPECT_THROW(sample_video({}, "f", {}), Error);
}

TEST(Video, DamagedFilms) {
  std::mt19937 random(9);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  std::vector<std::vector<std::byte>> films{walking_square(DISPOSE_PREVIOUS)};
  if (has_video_containers()) {
    for (const char* name : {"h264.mp4", "vp9.webm", "mjpeg.avi"}) {
      const MappedFile file(data_folder() / "data" / "video" / name);
      films.emplace_back(file.bytes().begin(), file.bytes().end());
    }
  }
  std::size_t seen = 0;
  constexpr std::size_t kFilms = 400;
  for (std::size_t i = 0; i < kFilms; ++i) {
    std::vector<std::byte> film = films[i % films.size()];
    for (std::size_t change = 0; change <= below(10); ++change) {
      const std::size_t at = below(2) == 0 ? below(std::min<std::size_t>(film.size(), 400)) : below(film.size());
      film[at] = static_cast<std::byte>(below(256));
    }
    if (below(5) == 0) film.resize(below(film.size()));
    try {
      if (!sample_video(film, "f", {.max_frames = 4}, {.max_pixels = 1 << 16}).empty()) ++seen;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << error.what();
    }
  }
  EXPECT_GT(seen, kFilms / 10);
}

}  // namespace
}  // namespace carat
