// Decoding of sound: every format people have, and whatever calls itself one.
#include "media/audio.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "media/resampler.h"
#include "media/sound_files.h"
#include "media/sound_stream.h"

namespace carat {
namespace {

std::string refusal(std::span<const std::byte> file, const SoundLimits& limits = {}) {
  try {
    decode_sound(file, "f", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

template <std::size_t kSize>
std::vector<std::byte> bytes_of(const char (&text)[kSize]) {
  const auto bytes = std::as_bytes(std::span(text).first(kSize - 1));
  return {bytes.begin(), bytes.end()};
}

// Energy of a sound around a frequency, as a sine's amplitude.
double amplitude(const std::vector<float>& sound, double hz) {
  double re = 0;
  double im = 0;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    const double angle = 2 * std::numbers::pi * hz * static_cast<double>(i) / kSoundRate;
    re += double{sound[i]} * std::cos(angle);
    im += double{sound[i]} * std::sin(angle);
  }
  return 2 * std::hypot(re, im) / static_cast<double>(sound.size());
}

struct Format {
  const char* name;
  SoundFile file;
  double worst;  // largest difference of a sample from the tone that went in
};

constexpr int kWav = SF_FORMAT_WAV;
constexpr Format kFormats[] = {
    {"8 bit", {kWav | SF_FORMAT_PCM_U8}, 1.0 / 127},
    {"16 bit", {kWav | SF_FORMAT_PCM_16}, 1.0 / 32767},
    {"24 bit", {kWav | SF_FORMAT_PCM_24}, 1e-6},
    {"32 bit", {kWav | SF_FORMAT_PCM_32}, 1e-6},
    {"float", {kWav | SF_FORMAT_FLOAT}, 0},
    {"double", {kWav | SF_FORMAT_DOUBLE}, 0},
    {"extensible", {SF_FORMAT_WAVEX | SF_FORMAT_PCM_24}, 1e-6},
    {"big-endian", {kWav | SF_FORMAT_PCM_16 | SF_ENDIAN_BIG}, 1.0 / 32767},
    {"RF64", {SF_FORMAT_RF64 | SF_FORMAT_PCM_16}, 1.0 / 32767},
    {"AIFF", {SF_FORMAT_AIFF | SF_FORMAT_PCM_16}, 1.0 / 32767},
    {"FLAC", {SF_FORMAT_FLAC | SF_FORMAT_PCM_16}, 1.0 / 32767},
    {"FLAC 24", {SF_FORMAT_FLAC | SF_FORMAT_PCM_24}, 1e-6},
};

TEST(Sound, LosslessFormatsGiveTheSamples) {
  const std::vector<float> tone = tones(0.5, 16'000, 1);
  for (const Format& format : kFormats) {
    SCOPED_TRACE(format.name);
    const std::vector<float> sound = decode_sound(encoded(format.file, tone), "f");
    ASSERT_EQ(sound.size(), tone.size());
    double worst = 0;
    for (std::size_t i = 0; i < tone.size(); ++i) worst = std::max(worst, std::abs(double{sound[i]} - tone[i]));
    EXPECT_LE(worst, format.worst);
  }
}

TEST(Sound, LossyFormatsGiveTheTone) {
  const SoundFile files[] = {{SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44'100, 1},
                             {SF_FORMAT_OGG | SF_FORMAT_OPUS, 48'000, 2},
                             {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44'100, 2},
                             {SF_FORMAT_WAV | SF_FORMAT_ULAW, 8'000, 1}};
  for (const SoundFile& file : files) {
    SCOPED_TRACE(file.format);
    const std::vector<float> sound = decode_sound(encoded(file, tones(1, file.rate, file.channels)), "f");
    EXPECT_NEAR(static_cast<double>(sound.size()), 16'000, 1'500);  // encoders add silence
    EXPECT_NEAR(amplitude(sound, 440), 0.5 / file.channels, 0.05);
  }
}

TEST(Sound, AnyRateAndChannelCountBecomesMonoAtSixteenKilohertz) {
  for (const int rate : {8'000, 11'025, 22'050, 44'100, 48'000, 96'000, 192'000}) {
    for (const int channels : {1, 2, 6}) {
      SCOPED_TRACE(str(rate, " Hz, ", channels, " channels"));
      const SoundFile file{SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, channels};
      const std::vector<float> sound = decode_sound(encoded(file, tones(1, rate, channels)), "f");
      EXPECT_NEAR(static_cast<double>(sound.size()), 16'000, 1);
      for (int c = 0; c < channels; ++c) {
        const double hz = 440.0 * (1 << c);
        if (hz < 3'000) {
          EXPECT_NEAR(amplitude(sound, hz), 0.5 / channels, 0.003) << hz;
        }
        // Above half of the new rate nothing may be left: it would be heard as another tone.
        if (hz > 8'000 && hz < rate / 2.0) {
          EXPECT_LT(amplitude(sound, 16'000 - hz), 1e-4) << hz;
        }
      }
    }
  }
}

TEST(Sound, TheResamplerDoesNotCareHowItsInputIsCut) {
  const std::vector<float> tone = tones(1, 44'100, 1);
  std::vector<float> whole;
  Resampler once(44'100, 16'000);
  once.push(tone, whole);
  once.finish(whole);
  std::vector<float> pieces;
  Resampler often(44'100, 16'000);
  for (std::size_t at = 0; at < tone.size(); at += 777) {
    often.push(std::span(tone).subspan(at, std::min<std::size_t>(777, tone.size() - at)), pieces);
  }
  often.finish(pieces);
  EXPECT_EQ(whole, pieces);
}

TEST(Sound, PcmWithoutAHeader) {
  const std::vector<float> tone = tones(0.25, 16'000, 2);
  std::vector<std::int16_t> s16;
  std::vector<std::int32_t> s32;
  for (const float v : tone) {
    s16.push_back(static_cast<std::int16_t>(v * 32767));
    s32.push_back(static_cast<std::int32_t>(v * 2147483392.0F));
  }
  const auto check = [&](std::span<const std::byte> bytes, PcmType type) {
    const std::vector<float> sound = decode_pcm(bytes, {type, 16'000, 2}, "f");
    ASSERT_EQ(sound.size(), tone.size() / 2);
    for (std::size_t i = 0; i < sound.size(); ++i) {
      EXPECT_NEAR(sound[i], (tone[2 * i] + tone[2 * i + 1]) / 2, 1e-4);
    }
  };
  check(std::as_bytes(std::span(s16)), PcmType::kS16);
  check(std::as_bytes(std::span(s32)), PcmType::kS32);
  check(std::as_bytes(std::span(tone)), PcmType::kF32);
  EXPECT_THROW(decode_pcm({}, {}, "f"), Error);
  EXPECT_THROW(decode_pcm(std::as_bytes(std::span(tone)), {PcmType::kF32, 0, 1}, "f"), Error);
}

TEST(SoundStream, WavAsItComesInIsTheSameAsTheFile) {
  for (const int type : {SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_32, SF_FORMAT_FLOAT}) {
    for (const int container : {SF_FORMAT_WAV, SF_FORMAT_WAVEX}) {
      SCOPED_TRACE(str(container, ", ", type));
      const std::vector<std::byte> file = encoded({container | type, 22'050, 2}, tones(0.3, 22'050, 2));
      WavHeader header;
      for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_EQ(read_wav_header(std::span(file).first(i), header), WavKind::kTooShort) << i;
      }
      ASSERT_EQ(read_wav_header(file, header), WavKind::kPcm);
      EXPECT_EQ(header.format.rate, 22'050U);
      SoundStream stream(header.format, "f", {}, header.data_bytes);
      std::vector<float> sound;
      for (std::size_t at = header.bytes; at < file.size(); at += 1001) {  // not at a sample's end
        stream.push(std::span(file).subspan(at, std::min<std::size_t>(1001, file.size() - at)), sound);
        if (at > file.size() / 2) {
          EXPECT_FALSE(sound.empty());
        }
      }
      stream.finish(sound);
      EXPECT_EQ(sound, decode_sound(file, "f"));
    }
  }
}

TEST(SoundStream, KnowsWhichHeadersItCanFollow) {
  WavHeader header;
  const auto kind_of = [&](const std::vector<std::byte>& file) { return read_wav_header(file, header); };
  EXPECT_EQ(kind_of(wav_claiming(0xffffffff, 16'000, {})), WavKind::kPcm);
  EXPECT_FALSE(header.data_bytes.has_value());  // to the end, whenever that is
  EXPECT_EQ(kind_of(wav_claiming(1000, 16'000, {})), WavKind::kPcm);
  EXPECT_EQ(header.data_bytes, 1000U);
  EXPECT_EQ(kind_of(encoded({SF_FORMAT_WAV | SF_FORMAT_ULAW}, tones(0.1, 16'000, 1))), WavKind::kOther);
  EXPECT_EQ(kind_of(encoded({SF_FORMAT_FLAC | SF_FORMAT_PCM_16}, tones(0.1, 16'000, 1))), WavKind::kOther);
  std::vector<std::byte> endless_header = wav_claiming(1000, 16'000, {});
  std::memcpy(endless_header.data() + 36, "LIST\xff\xff\xff\x7f", 8);
  EXPECT_EQ(kind_of(endless_header), WavKind::kOther);
  SoundStream nothing({}, "f", {});
  std::vector<float> sound;
  EXPECT_THROW(nothing.finish(sound), Error);
}

TEST(Sound, SaysWhyAFileIsRefused) {
  const auto text_file = std::as_bytes(std::span("once upon a time, there was no sound"));
  EXPECT_NE(refusal(text_file).find("is no sound that carat reads"), std::string::npos);
  EXPECT_NE(refusal({}).find("is no sound that carat reads"), std::string::npos);
  const std::vector<std::byte> good = encoded({}, tones(0.1, 16'000, 1));
  EXPECT_NE(refusal(std::span(good).first(20)).find("f: "), std::string::npos);
  EXPECT_NE(refusal(encoded({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16'000, 9}, tones(0.1, 16'000, 9))).find("9 channels"),
            std::string::npos);
  EXPECT_NE(refusal(encoded({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1'000, 1}, tones(0.1, 1'000, 1))).find("1000 samples"),
            std::string::npos);
  EXPECT_NE(refusal(good, {.max_bytes = 1000}).find("the limit"), std::string::npos);
  EXPECT_NE(refusal(encoded({}, tones(3, 16'000, 1)), {.max_seconds = 2}).find("the limit"), std::string::npos);
  const std::vector<float> one_sample{0.5F};
  EXPECT_NE(refusal(encoded({SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48'000, 1}, one_sample)).find("less than one at 16000"),
            std::string::npos);
  std::vector<float> broken = tones(0.1, 16'000, 1);
  broken[800] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(refusal(encoded({SF_FORMAT_WAV | SF_FORMAT_FLOAT}, broken)).find("no finite number"), std::string::npos);
}

TEST(Sound, AHeaderThatPromisesTenHoursIsRefused) {
  const std::uint32_t ten_hours = 10 * 3600 * 16'000 * 2;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NE(refusal(wav_claiming(ten_hours, 16'000, {})), "");
  EXPECT_NE(refusal(wav_claiming(0xffffffff, 16'000, {})), "");
  // Within 50 ms on an idle machine; a busy one may take ten times that.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
  // What is there of a file that breaks off, or that a microphone's program never finished, is heard.
  EXPECT_EQ(decode_sound(wav_claiming(ten_hours, 16'000, std::vector<std::int16_t>(1600, 100)), "f").size(), 1600U);
}

// libsndfile took minutes over this: a list of notes of 4 GB, in 72 bytes.
TEST(Sound, AChunkOfMoreThanTheFileIsNotRead) {
  std::vector<std::byte> file = bytes_of("RIFF\x50\x05\x3a\0WAVELIST\x66\xff\xff\xff");
  file.resize(72, std::byte{0xff});
  EXPECT_NE(refusal(file), "");
  // Behind the sound it takes nothing from it.
  std::vector<std::byte> heard = encoded({}, tones(0.1, 16'000, 1));
  const std::size_t samples = decode_sound(heard, "f").size();
  const std::vector<std::byte> list = bytes_of("LIST\x66\xff\xff\xff...");
  heard.insert(heard.end(), list.begin(), list.end());
  EXPECT_EQ(decode_sound(heard, "f").size(), samples);
}

// Past the damaged page comes one that begins a Vorbis stream without the rest of its headers, which libsndfile would
// leak: seen under asan.
TEST(Sound, OpusWithADamagedBeginningIsNotTakenForWhatComesBehind) {
  std::vector<std::byte> file = encoded({SF_FORMAT_OGG | SF_FORMAT_OPUS, 48'000, 1}, tones(0.1, 48'000, 1));
  constexpr std::size_t kChecksum = 22;
  file[kChecksum] ^= std::byte{1};
  file.resize(47);  // the first page
  const auto vorbis = encoded({SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16'000, 1}, tones(0.1, 16'000, 1));
  file.insert(file.end(), vorbis.begin(), vorbis.begin() + 58);  // its first page
  EXPECT_NE(refusal(file).find("damaged"), std::string::npos);
}

// Valid files of every kind, cut short, with bytes changed, and with pieces of one in another: a sound or an Error.
TEST(Sound, TenThousandDamagedFiles) {
  std::mt19937 random(20);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  std::vector<std::vector<std::byte>> files;
  for (const Format& format : kFormats) files.push_back(encoded(format.file, tones(0.05, 16'000, 1)));
  files.push_back(encoded({SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16'000, 1}, tones(0.1, 16'000, 1)));
  files.push_back(encoded({SF_FORMAT_OGG | SF_FORMAT_OPUS, 48'000, 2}, tones(0.1, 48'000, 2)));
  files.push_back(encoded({SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44'100, 2}, tones(0.1, 44'100, 2)));
  files.push_back(encoded({SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 8'000, 1}, tones(0.2, 8'000, 1)));
  files.push_back(encoded({SF_FORMAT_WAV | SF_FORMAT_GSM610, 8'000, 1}, tones(0.2, 8'000, 1)));
  // A small limit, so that a header gone wild can't make the test slow.
  const SoundLimits limits{.max_bytes = 1 << 20, .max_seconds = 10};
  std::size_t heard = 0;
  constexpr std::size_t kFiles = 10'000;
  for (std::size_t i = 0; i < kFiles; ++i) {
    std::vector<std::byte> file = files[i % files.size()];
    // Most of the damage where the headers are.
    const auto place = [&] {
      return below(2) == 0 ? below(std::min<std::size_t>(file.size(), 200)) : below(file.size());
    };
    const std::size_t changes = 1 + below(8);
    for (std::size_t c = 0; c < changes; ++c) {
      const std::size_t at = place();
      switch (below(4)) {
        case 0:
          file[at] ^= static_cast<std::byte>(1U << below(8));
          break;
        case 1:
          file[at] = static_cast<std::byte>(below(2) == 0 ? 0xff : below(256));
          break;
        case 2: {
          const std::vector<std::byte>& other = files[below(files.size())];
          const std::size_t n = std::min({below(64) + 1, file.size() - at, other.size()});
          std::copy_n(other.begin(), n, file.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        }
        default:
          if (file.size() > 64 && below(4) == 0) file.resize(64 + below(file.size() - 64));
      }
    }
    try {
      const std::vector<float> sound = decode_sound(file, "f", limits);
      EXPECT_LE(sound.size(), limits.max_seconds * kSoundRate + 1);
      ++heard;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << error.what();
    }
  }
  EXPECT_GT(heard, kFiles / 10);  // or the damage is too great to test much
  EXPECT_LT(heard, kFiles);
}

}  // namespace
}  // namespace carat
