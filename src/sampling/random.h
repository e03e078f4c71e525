// Random: the stream of random numbers a text is drawn with; the same on every machine, for ever.
#pragma once

#include <cstdint>

namespace carat {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): a counter that goes
// up by an odd constant, and a bijection that scrambles it. Integers only, so no compiler, CPU or number of threads can
// change it. A copy goes on where the original stood.
class Random {
 public:
  explicit Random(std::uint64_t seed) : counter_(seed) {}

  std::uint64_t next() {
    counter_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = counter_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  // One of the 2^53 multiples of 2^-53 in [0, 1), each equally likely; takes one number of the stream.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t counter_;
};

// A seed from the operating system, for a text that need not be the same again.
std::uint64_t fresh_seed();

}  // namespace carat
