// For tests: sounds, and the files they are stored in, made by libsndfile.
#pragma once

#include <sndfile.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numbers>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace carat {

struct SoundFile {
  int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  int rate = 16'000;
  int channels = 1;
};

// A tone of 440 Hz at half scale in the first channel, one an octave higher in each that follows; interleaved.
inline std::vector<float> tones(double seconds, int rate, int channels) {
  std::vector<float> samples;
  for (int i = 0; i < static_cast<int>(seconds * rate); ++i) {
    for (int c = 0; c < channels; ++c) {
      const double turns = 440.0 * (1 << c) * i / rate;
      samples.push_back(static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * turns)));
    }
  }
  return samples;
}

// The bytes of such a file.
inline std::vector<std::byte> encoded(const SoundFile& file, const std::vector<float>& samples) {
  struct Memory {
    std::vector<std::byte> bytes;
    std::size_t at = 0;
  } memory;
  SF_VIRTUAL_IO io{
      [](void* m) { return static_cast<sf_count_t>(static_cast<Memory*>(m)->bytes.size()); },
      [](sf_count_t offset, int whence, void* m) {
        Memory& target = *static_cast<Memory*>(m);
        const auto base =
            whence == SEEK_SET ? 0 : static_cast<sf_count_t>(whence == SEEK_CUR ? target.at : target.bytes.size());
        target.at = static_cast<std::size_t>(base + offset);
        return static_cast<sf_count_t>(target.at);
      },
      [](void* out, sf_count_t count, void* m) {
        Memory& source = *static_cast<Memory*>(m);
        const std::size_t n =
            std::min(static_cast<std::size_t>(count), source.bytes.size() - std::min(source.at, source.bytes.size()));
        std::memcpy(out, source.bytes.data() + source.at, n);
        source.at += n;
        return static_cast<sf_count_t>(n);
      },
      [](const void* in, sf_count_t count, void* m) {
        Memory& target = *static_cast<Memory*>(m);
        const auto n = static_cast<std::size_t>(count);
        target.bytes.resize(std::max(target.bytes.size(), target.at + n));
        std::memcpy(target.bytes.data() + target.at, in, n);
        target.at += n;
        return count;
      },
      [](void* m) { return static_cast<sf_count_t>(static_cast<Memory*>(m)->at); }};
  SF_INFO info{};
  info.format = file.format;
  info.samplerate = file.rate;
  info.channels = file.channels;
  SNDFILE* out = sf_open_virtual(&io, SFM_WRITE, &info, &memory);
  if (out == nullptr) throw Error(ErrorKind::kInternal, sf_strerror(nullptr));
  sf_writef_float(out, samples.data(), static_cast<sf_count_t>(samples.size()) / file.channels);
  sf_close(out);
  return memory.bytes;
}

// A canonical WAV header of 16-bit mono PCM that promises `data_bytes` bytes, and `data` behind it.
inline std::vector<std::byte> wav_claiming(std::uint32_t data_bytes, std::uint32_t rate,
                                           const std::vector<std::int16_t>& data) {
  std::string text = "RIFF....WAVEfmt ";
  const auto number = [&](auto value) { text.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
  number(std::uint32_t{16});
  number(std::uint16_t{1});
  number(std::uint16_t{1});
  number(rate);
  number(rate * 2);
  number(std::uint16_t{2});
  number(std::uint16_t{16});
  text += "data";
  number(data_bytes);
  const std::uint32_t riff_bytes = 36 + data_bytes;
  std::memcpy(text.data() + 4, &riff_bytes, sizeof(riff_bytes));
  for (const std::int16_t sample : data) number(sample);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

}  // namespace carat
