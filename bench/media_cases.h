// What bench_media and its counterpart for llama.cpp are asked to encode: "image:912x672" or "audio:10" (seconds).
#pragma once

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {

struct Case {
  std::string text;
  unsigned width = 0;  // of a picture; 0 for a sound
  unsigned height = 0;
  unsigned seconds = 0;
};

// False for anything else.
inline bool parse_case(const std::string& text, Case& result) {
  result = {text};
  return std::sscanf(text.c_str(), "image:%ux%u", &result.width, &result.height) == 2 ||
         std::sscanf(text.c_str(), "audio:%u", &result.seconds) == 1;
}

// Noise: no value of it matters for the time.
class Noise {
 public:
  std::uint32_t next() { return state_ = state_ * 1'664'525U + 1'013'904'223U; }

 private:
  std::uint32_t state_ = 1;
};

// RGB.
inline std::vector<std::uint8_t> pixels_of(const Case& c) {
  Noise noise;
  std::vector<std::uint8_t> pixels(std::size_t{c.width} * c.height * 3);
  for (std::uint8_t& level : pixels) level = static_cast<std::uint8_t>(noise.next() >> 24);
  return pixels;
}

// A tone and some noise, at 16 kHz.
inline std::vector<float> samples_of(const Case& c) {
  Noise noise;
  std::vector<float> sound(std::size_t{c.seconds} * 16'000);
  for (std::size_t i = 0; i < sound.size(); ++i) {
    const float hiss = static_cast<float>(noise.next() >> 8) / 16'777'216.0F - 0.5F;
    sound[i] = 0.3F * std::sin(0.05F * static_cast<float>(i)) + 0.05F * hiss;
  }
  return sound;
}

// Calls encode(), which returns a number of soft tokens, twice, the first time to warm up, and prints what the second
// took as a line of JSON.
template <typename Encode>
void time_case(const Case& c, const Encode& encode) {
  encode();
  const auto start = std::chrono::steady_clock::now();
  const std::size_t tokens = encode();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf(R"({"case": "%s", "tokens": %zu, "seconds": %.4f})"
              "\n",
              c.text.c_str(), tokens, seconds);
  std::fflush(stdout);
}

}  // namespace bench
