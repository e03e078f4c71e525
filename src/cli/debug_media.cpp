// `carat debug encode` and `hear`: what a model gets of a picture or a sound.
#include <algorithm>
#include <cmath>
#include <fstream>

#include "audio/config.h"
#include "audio/mel.h"
#include "base/error.h"
#include "cli/debug.h"
#include "cli/media_files.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/compute_context.h"
#include "media/audio.h"
#include "media/image.h"

namespace carat {

namespace {

struct EncodeMediaOptions {
  std::string model;
  std::string out;
  MediaFlags media;
  ComputeFlags compute{.activations = "f32"};
};

void run_encode(const EncodeMediaOptions& options) {
  if (options.media.files.size() != 1) throw UsageError("encode takes one --image or one --audio");
  const ComputeContext context(compute_options(options.compute));
  MediaStore store(Model::load(options.model, {.mmproj = options.media.mmproj}));
  const SharedSoftTokens soft =
      load_medium(store, context.media_compute(), options.media.files.front(), SoundExtent::kFirstThirtySeconds);
  NpyWriter writer(options.out, soft->count(), soft->hidden());
  for (std::size_t row = 0; row < soft->count(); ++row) writer.append(soft->rows().row(row));
  writer.finish();
}

struct HearOptions {
  std::string model;
  std::string audio;
  std::string out = "log-mel.png";
  std::string mmproj;
};

// Time to the right, low tones below, the floor black and the loudest white.
RgbImage picture_of(const LogMel& mel) {
  const MatView<const float> frames = mel.all();
  RgbImage image{{frames.rows(), frames.cols()}, std::vector<std::uint8_t>(frames.rows() * frames.cols() * 3)};
  const float floor = std::log(1e-3F);
  float loudest = floor + 1;
  for (std::size_t t = 0; t < mel.valid; ++t) {
    loudest = std::max(loudest, *std::max_element(frames.row(t).begin(), frames.row(t).end()));
  }
  for (std::size_t t = 0; t < mel.valid; ++t) {  // those that are not heard stay black
    for (std::size_t bin = 0; bin < frames.cols(); ++bin) {
      const float brightness = 255 * (frames.row(t)[bin] - floor) / (loudest - floor);
      std::fill_n(image.row(frames.cols() - 1 - bin) + 3 * t, 3,
                  static_cast<std::uint8_t>(std::clamp(brightness, 0.0F, 255.0F)));
    }
  }
  return image;
}

void run_hear(const HearOptions& options) {
  Model::load(options.model, {.mmproj = options.mmproj})->require_audio();
  const std::vector<float> sound = decode_sound(read_media_file(options.audio), printable(options.audio, 4096));
  ThreadPool pool(1);
  const LogMel mel = log_mel(pool, std::span(sound).first(std::min(sound.size(), kMaxSoundSamples)));
  if (mel.frames == 0)
    throw Error(ErrorKind::kBadInput, printable(options.audio, 4096) + ": is too short to be heard.");
  write_stderr(str(sound.size() * 1000 / kSoundRate, " ms -> ", mel.frames, " frames of ", mel.all().cols(),
                   " mel bins",
                   sound.size() > kMaxSoundSamples ? ": the first 30 s, which is what a model hears at once\n" : "\n"));
  const std::vector<std::byte> png = encode_png(picture_of(mel));
  std::ofstream file(options.out, std::ios::binary);
  file.write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  file.close();
  if (!file) throw Error(ErrorKind::kBadInput, printable(options.out, 4096) + ": can't be written.");
}

}  // namespace

void define_debug_encode(Command debug, Action& action) {
  auto options = std::make_shared<EncodeMediaOptions>();
  const Command verb = debug.add_verb("encode", "Write the soft tokens of a picture or a sound",
                                      "carat debug encode model.gguf --audio speech.wav --out soft.npy");
  add_model(verb, options->model);
  add_media_flags(verb, options->media);
  verb.option("--out", options->out, "Where to write a float32 .npy file, [soft tokens, hidden]")
      .required()
      .value("FILE");
  add_compute_flags(verb, options->compute);
  set_model_action(verb, action, options, run_encode);
}

void define_debug_hear(Command debug, Action& action) {
  auto options = std::make_shared<HearOptions>();
  const Command verb = debug.add_verb("hear", "Draw what a model hears of a sound: its log-mel frames",
                                      "carat debug hear model.gguf --audio speech.wav --out speech.png");
  add_model(verb, options->model);
  add_mmproj(verb, options->mmproj);
  verb.option("--audio", options->audio, "A sound").required().value("FILE");
  verb.option("--out", options->out, "Where to write the PNG file: a column for 10 ms, a row for each mel bin")
      .value("FILE")
      .with_default();
  set_model_action(verb, action, options, run_hear);
}

}  // namespace carat
