// The ears against the reference, from sound files on, whichever kind of file the weights are in.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <memory>

#include "audio/conformer_encoder.h"
#include "audio/mel.h"
#include "base/file.h"
#include "base/golden.h"
#include "kernels/cpu.h"
#include "media/audio.h"
#include "model/load_audio.h"
#include "model/tiny_audio_gguf.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path golden_folder() {
  return fs::path(CARAT_TEST_DATA) / "golden";
}

std::vector<float> sound_of(const fs::path& path) {
  const MappedFile file(path);
  return decode_sound(file.bytes(), path.string());
}

class Collector final : public Trace {
 public:
  void tensor(std::string_view name, MatView<const float> values) override {
    std::vector<float>& all = tensors[std::string(name)];
    for (std::size_t row = 0; row < values.rows(); ++row) {
      all.insert(all.end(), values.row(row).begin(), values.row(row).end());
    }
  }
  std::map<std::string, std::vector<float>> tensors;
};

// Kernels and threads to run an encoder with.
struct Machine {
  explicit Machine(std::string_view isa = "", std::size_t threads = 2, FloatProduct floats = FloatProduct::kInOrder)
      : kernels(select_kernels(isa)),
        pool(threads),
        matmul(kernels, pool, ActivationType::kF32, floats),
        attention(kernels, pool) {}
  const KernelTable& kernels;
  ThreadPool pool;
  Matmul matmul;
  Attention attention;
  Compute compute{kernels, pool, matmul, attention};
};

// The ears of a Hugging Face folder, with its config.json after a change.
struct Ears {
  explicit Ears(const fs::path& folder, const std::function<void(json::object&)>& change = {})
      : checkpoint(folder), config(parse_json_file(folder / "config.json")) {
    if (change) change(config.as_object());
    const std::size_t hidden = config.at("text_config").at("hidden_size").to_number<std::size_t>();
    encoder = load_audio({.checkpoint = &checkpoint, .config_json = config.if_object()}, hidden);
  }
  Safetensors checkpoint;
  json::value config;
  std::shared_ptr<const AudioEncoder> encoder;
};

// The tables that this processor can run, best first.
std::vector<const KernelTable*> kernels_here() {
  std::vector<const KernelTable*> here;
  for (const KernelTable* table : all_kernels()) {
    if ((table->needs & ~cpu_features()) == 0) here.push_back(table);
  }
  return here;
}

// Each of them with each kind of product it has.
std::vector<std::pair<const KernelTable*, FloatProduct>> machines_here() {
  std::vector<std::pair<const KernelTable*, FloatProduct>> machines;
  for (const KernelTable* table : kernels_here()) {
    machines.emplace_back(table, FloatProduct::kInOrder);
    if (table->panel_gemm_pairs != nullptr) machines.emplace_back(table, FloatProduct::kByPairs);
  }
  return machines;
}

golden::Tolerance tolerance(const json::value& of_case, std::string_view stage) {
  return {of_case.at("tolerance_float32").at(stage).at("max_abs").to_number<double>(), 0};
}

std::vector<float> every_20th(const std::vector<float>& mel) {
  std::vector<float> rows;
  for (std::size_t frame = 0; frame * kMelBins < mel.size(); frame += 20) {
    rows.insert(rows.end(), mel.begin() + static_cast<std::ptrdiff_t>(frame * kMelBins),
                mel.begin() + static_cast<std::ptrdiff_t>((frame + 1) * kMelBins));
  }
  return rows;
}

TEST(Audio, EveryStageAgreesWithTheReference) {
  const fs::path folder = golden_folder() / "audio";
  const json::value of_case = parse_json_file(folder / "case.json");
  const golden::Tensors expected = golden::load(folder / "expected.safetensors");
  const Ears ears(golden_folder() / "vision-e" / "model");
  const json::value runs = parse_json_file(folder / "runs.json");
  for (const json::value& run : runs.as_array()) {
    const std::string prefix(run.at("tensor_prefix").as_string());
    SCOPED_TRACE(prefix);
    if (prefix == "stereo") continue;
    const std::vector<float> once = sound_of(folder / std::string(run.at("audio").as_string()));
    std::vector<float> sound;
    for (std::int64_t i = 0; i < run.at("repeat").as_int64(); ++i) sound.insert(sound.end(), once.begin(), once.end());
    ASSERT_EQ(sound.size(), run.at("samples_at_16k").to_number<std::size_t>());

    for (const auto& [kernels, floats] : machines_here()) {
      SCOPED_TRACE(str(kernels->name, floats == FloatProduct::kByPairs ? " by pairs" : ""));
      if (sound.size() > 100'000 && kernels != kernels_here().front()) continue;  // plain loops take a while
      Machine machine(kernels->name, 2, floats);
      Collector trace;
      const SoftTokens soft = ears.encoder->encode(machine.compute, sound, &trace);
      EXPECT_EQ(soft.kind(), MediaKind::kAudio);
      EXPECT_EQ(soft.count(), run.at("soft_tokens").to_number<std::size_t>());
      EXPECT_EQ(soft.count(), conformer_soft_tokens(sound.size()));

      const std::vector<float>& mel = trace.tensors.at("audio.mel");
      EXPECT_EQ(mel.size() / kMelBins, run.at("mel_frames").to_number<std::size_t>());
      EXPECT_EQ(valid_mel_frames(sound.size()), run.at("valid_mel_frames").to_number<std::size_t>());
      if (expected.contains(prefix + ".mel")) {
        EXPECT_EQ(golden::mismatch(mel, expected.floats(prefix + ".mel"), tolerance(of_case, "mel")), "");
      } else {
        EXPECT_EQ(
            golden::mismatch(every_20th(mel), expected.floats(prefix + ".mel_every_20th"), tolerance(of_case, "mel")),
            "");
      }
      if (expected.contains(prefix + ".layers")) {
        EXPECT_EQ(golden::mismatch(trace.tensors.at("audio.subsampled"), expected.floats(prefix + ".subsampled"),
                                   tolerance(of_case, "subsampled")),
                  "");
        std::vector<float> layers = trace.tensors.at("audio.layer.0");
        const std::vector<float>& second = trace.tensors.at("audio.layer.1");
        layers.insert(layers.end(), second.begin(), second.end());
        EXPECT_EQ(golden::mismatch(layers, expected.floats(prefix + ".layers"), tolerance(of_case, "layers")), "");
      }
      EXPECT_EQ(golden::mismatch(trace.tensors.at("audio.soft_tokens"), expected.floats(prefix + ".soft_tokens"),
                                 tolerance(of_case, "soft_tokens")),
                "");
    }
  }
}

TEST(Audio, AStereoFileIsMixedAndResampledAsTheReferenceDoes) {
  const fs::path folder = golden_folder() / "audio";
  const json::value of_case = parse_json_file(folder / "case.json");
  const golden::Tensors expected = golden::load(folder / "expected.safetensors");
  const std::vector<float> sound = sound_of(golden_folder() / "media" / "audio" / "stereo.wav");
  const std::vector<float>& resampled = expected.floats("stereo.resampled");
  const double allowed = of_case.at("tolerance_float32").at("stereo").at("resampled").at("max_abs").to_number<double>();
  EXPECT_EQ(golden::mismatch(sound, resampled, {allowed, 0}), "");

  Machine machine;
  const LogMel mel = log_mel(machine.pool, sound);
  const std::vector<float>& expected_mel = expected.floats("stereo.mel");
  ASSERT_EQ(mel.frames * kMelBins, expected_mel.size());
  double sum = 0;
  for (std::size_t i = 0; i < expected_mel.size(); ++i) sum += std::abs(double{mel.values.data()[i]} - expected_mel[i]);
  EXPECT_LE(sum / static_cast<double>(expected_mel.size()),
            of_case.at("tolerance_float32").at("stereo").at("mel").at("mean_abs").to_number<double>());

  // From the reference's own samples on, as close as any other sound.
  const Ears ears(golden_folder() / "vision-e" / "model");
  Collector trace;
  ears.encoder->encode(machine.compute, resampled, &trace);
  EXPECT_EQ(golden::mismatch(trace.tensors.at("audio.mel"), expected_mel, tolerance(of_case, "mel")), "");
  EXPECT_EQ(golden::mismatch(trace.tensors.at("audio.soft_tokens"), expected.floats("stereo.soft_tokens"),
                             tolerance(of_case, "soft_tokens")),
            "");
}

TEST(Audio, TheUnifiedModelProjectsTheWaveform) {
  const fs::path folder = golden_folder() / "unified";
  const golden::Tensors expected = golden::load(folder / "expected.safetensors");
  const Ears ears(folder / "model");
  const std::vector<float> sound = sound_of(golden_folder() / "media" / "audio" / "short.wav");
  Machine machine;
  Collector trace;
  const SoftTokens soft = ears.encoder->encode(machine.compute, sound, &trace);
  EXPECT_EQ(soft.count(), 8U);
  // The case states no tolerance for soft tokens: that of the logits holds for them all the more.
  EXPECT_EQ(golden::mismatch(trace.tensors.at("audio.soft_tokens"), expected.floats("audio_soft_tokens"),
                             tolerance(parse_json_file(folder / "case.json"), "logits")),
            "");
}

TEST(Audio, RowsDependNeitherOnThreadsNorOnWhatComesAfter) {
  const Ears ears(golden_folder() / "vision-e" / "model");
  const std::vector<float> sound = sound_of(golden_folder() / "media" / "audio" / "medium.wav");
  for (const FloatProduct floats : {FloatProduct::kInOrder, FloatProduct::kByPairs}) {
    Machine one("", 1, floats);
    Machine three("", 3, floats);
    const SoftTokens whole = ears.encoder->encode(one.compute, sound, nullptr);
    const SoftTokens again = ears.encoder->encode(three.compute, sound, nullptr);
    // 1.6 s are 40 tokens; the convolutions of the last one look ahead into the next frames.
    const SoftTokens part = ears.encoder->encode(three.compute, std::span(sound).first(25'600), nullptr);
    ASSERT_EQ(part.count(), 40U);
    for (std::size_t row = 0; row < whole.count(); ++row) {
      const auto expected = whole.rows().row(row);
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), again.rows().row(row).begin())) << row;
      if (row + 1 < part.count()) {
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), part.rows().row(row).begin())) << row;
      }
    }
  }
}

TEST(Audio, WhatLiesBeyondThirtySecondsIsNotHeard) {
  const Ears ears(golden_folder() / "vision-e" / "model");
  std::vector<float> sound = sound_of(golden_folder() / "media" / "audio" / "long.wav");
  while (sound.size() <= kMaxSoundSamples) sound.insert(sound.end(), sound.begin(), sound.end());
  Machine machine;
  const SoftTokens cut = ears.encoder->encode(machine.compute, std::span(sound).first(kMaxSoundSamples), nullptr);
  const SoftTokens whole = ears.encoder->encode(machine.compute, sound, nullptr);
  EXPECT_EQ(cut.count(), 750U);
  EXPECT_EQ(whole.count(), 750U);
  EXPECT_EQ(std::memcmp(cut.rows().data(), whole.rows().data(), 750 * cut.hidden() * sizeof(float)), 0);
}

TEST(Audio, ASoundTooShortIsRefused) {
  const Ears conformer(golden_folder() / "vision-e" / "model");
  const Ears waveform(golden_folder() / "unified" / "model");
  Machine machine;
  const std::vector<float> sound(160);
  EXPECT_THROW(conformer.encoder->encode(machine.compute, sound, nullptr), Error);
  EXPECT_THROW(conformer.encoder->encode(machine.compute, {}, nullptr), Error);
  EXPECT_THROW(waveform.encoder->encode(machine.compute, {}, nullptr), Error);
  EXPECT_EQ(conformer.encoder->encode(machine.compute, std::vector<float>(161), nullptr).count(), 1U);
  EXPECT_EQ(waveform.encoder->encode(machine.compute, sound, nullptr).count(), 1U);
}

TEST(Audio, AGgufGivesTheSameTokensAsTheFolder) {
  const fs::path folder = golden_folder() / "vision-e" / "model";
  const fs::path file = fs::temp_directory_path() / str("carat_audio_", ::getpid(), ".gguf");
  {
    const TinyAudioGguf tower(folder);
    GgufWriter writer(file);
    writer.add("general.architecture", "clip");
    tower.describe(writer, 48, 4, 2);
    tower.write(writer);
    writer.finish();
  }
  const Gguf gguf(file);
  fs::remove(file);
  const auto from_gguf = load_audio({.checkpoint = &gguf, .gguf = &gguf}, 48);
  ASSERT_NE(from_gguf, nullptr);
  // A GGUF has no key for it and means the cap of the published models.
  const Ears from_folder(
      folder, [](json::object& config) { config.at("audio_config").as_object()["attention_logit_cap"] = 50.0; });
  const std::vector<float> sound = sound_of(golden_folder() / "media" / "audio" / "medium.wav");
  Machine machine;
  const SoftTokens expected = from_folder.encoder->encode(machine.compute, sound, nullptr);
  const SoftTokens actual = from_gguf->encode(machine.compute, sound, nullptr);
  ASSERT_EQ(actual.count(), expected.count());
  const std::size_t size = actual.count() * actual.hidden();
  // Apart from the rounding of softplus, which the converter does in float.
  EXPECT_EQ(golden::mismatch({actual.rows().data(), size}, {expected.rows().data(), size}, {0, 1e-5}), "");
}

TEST(Audio, SaysWhatIsWrongWithATower) {
  const fs::path folder = golden_folder() / "vision-e" / "model";
  struct Row {
    const char* key;
    json::value value;
    const char* expected;
  };
  const Row rows[] = {
      {"model_type", "llama", "its audio part is \"llama\""},
      {"hidden_size", 47, "don't divide its width of 47"},
      {"hidden_size", 64, "expected [64"},
      {"hidden_size", 0, "hidden_size is 0"},
      {"num_attention_heads", 5, "5 heads don't divide"},
      {"num_hidden_layers", 3, "lacks tensor model.audio_tower.layers.2."},
      {"attention_context_left", 20, "\"attention_context_left\" 20; carat knows 13 only"},
      {"attention_logit_cap", -1, "attention_logit_cap"},
      {"rms_norm_eps", "x", "rms_norm_eps"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.key);
    try {
      const Ears ears(folder,
                      [&](json::object& config) { config.at("audio_config").as_object()[row.key] = row.value; });
      ADD_FAILURE() << "loaded";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(row.expected), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(Ears(folder, [](json::object& config) { config.erase("audio_config"); }).encoder, nullptr);
}

}  // namespace
}  // namespace carat
