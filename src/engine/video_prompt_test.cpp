#include "engine/video_prompt.h"

#include <gtest/gtest.h>

#include "base/golden.h"
#include "engine/compute_context.h"
#include "media/image.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path golden_folder() {
  return fs::path(CARAT_TEST_DATA) / "golden";
}

TEST(VideoPrompt, FramesBecomeTheReferencesSoftTokens) {
  const fs::path folder = golden_folder() / "video";
  const json::value layout = parse_json_file(folder / "layout.json");
  const golden::Tensors expected = golden::load(folder / "expected.safetensors");
  std::vector<VideoFrame> frames;
  for (int i = 0; i < 5; ++i) {
    const fs::path file = folder / str("frame", i, ".png");
    frames.push_back({i / layout.at("fps").to_number<double>(), decode_image(read_image_file(file), file.string())});
  }
  const auto model = Model::load(golden_folder() / "vision-e" / "model");
  const double tolerance =
      parse_json_file(folder / "case.json").at("tolerance_float32").at("soft_tokens").at("max_abs").to_number<double>();
  FilmTokens film;
  // Column by column, and by pairs where this processor has them, as by default.
  for (const ActivationType activations : {ActivationType::kF32, ActivationType::kI8}) {
    const ComputeContext context({.threads = 2, .activations = activations});
    MediaStore store(model);
    film = encode_film(store, *model, context.media_compute(), frames);

    std::vector<float> soft;
    for (const SharedSoftTokens& frame : film.frames) {
      EXPECT_EQ(frame->kind(), MediaKind::kVideo);
      EXPECT_EQ(frame->count(), layout.at("soft_tokens_per_frame").to_number<std::size_t>());
      const float* rows = frame->rows().data();
      soft.insert(soft.end(), rows, rows + frame->count() * frame->hidden());
    }
    EXPECT_EQ(golden::mismatch(soft, expected.floats("soft_tokens"), {tolerance, 0}), "");
    // The second time they come from the store.
    EXPECT_EQ(encode_film(store, *model, context.media_compute(), frames).frames, film.frames);
  }

  // The text, with the marks and the tokens that expand_placeholders puts around a frame.
  const std::vector<std::vector<std::string>> films{film.timestamps};
  std::string text = spell_out_films(MarkedText("<|video|>", true), films).bytes();
  std::string tokens;
  for (std::size_t i = 0; i < film.frames[0]->count(); ++i) tokens += "<|video|>";
  for (std::size_t at = 0; (at = text.find("<|video|>", at)) != std::string::npos;) {
    const std::string with_marks = "<|image>" + tokens + "<image|>";
    text.replace(at, 9, with_marks);
    at += with_marks.size();
  }
  EXPECT_EQ(text, layout.at("text").as_string());
}

TEST(VideoPrompt, OnlyTheTemplatesPlaceholdersAreFilms) {
  MarkedText prompt("user: ", true);
  prompt.append("<|video|> is a word of mine ", false);
  prompt.append("<|video|>", true);
  prompt.append(" and <|video|>", true);
  const std::vector<std::vector<std::string>> films{{"00:00", "00:01"}, {"00:07"}};
  const MarkedText out = spell_out_films(prompt, films);
  EXPECT_EQ(out.bytes(), "user: <|video|> is a word of mine 00:00 <|video|> 00:01 <|video|> and 00:07 <|video|>");
  EXPECT_FALSE(out.is_trusted_at(6));
  EXPECT_TRUE(out.is_trusted_at(out.size() - 1));
  EXPECT_EQ(spell_out_films(prompt, {}).bytes(), prompt.bytes());
}

}  // namespace
}  // namespace carat
