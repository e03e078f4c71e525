// Resampler: a stream of mono samples from one rate to another.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace carat {

// soxr's HQ recipe (20 bits, linear phase). Nothing is resampled where the rates are equal.
class Resampler {
 public:
  // Rates in Hz. Throws Error(kOutOfMemory).
  Resampler(std::size_t from_rate, std::size_t to_rate);
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  // Appends to out what is certain of the samples so far.
  void push(std::span<const float> samples, std::vector<float>& out);
  // Appends the rest. Nothing may be pushed after.
  void finish(std::vector<float>& out);

 private:
  struct State;
  std::unique_ptr<State> state_;  // null where the rates are equal
};

}  // namespace carat
