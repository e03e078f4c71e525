// Mutator: small valid files, damaged in thousands of ways, the same ones for the same seed. For tests only.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace carat {

// Numbers at which readers of sizes go wrong.
// clang-format off: a few a line
inline constexpr std::array<std::uint64_t, 30> kBorders{0,          1,
                                                        2,          4,
                                                        7,          8,
                                                        12,         13,
                                                        31,         32,
                                                        33,         127,
                                                        128,        255,
                                                        256,        65'535,
                                                        65'536,     (1ULL << 31) - 1,
                                                        1ULL << 31, (1ULL << 32) - 1,
                                                        1ULL << 32, 1ULL << 60,
                                                        1ULL << 61, (1ULL << 61) + 1,
                                                        1ULL << 62, (1ULL << 63) - 1,
                                                        1ULL << 63, ~0ULL - 31,
                                                        ~0ULL - 7,  ~0ULL};
// clang-format on

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::uint64_t seed) : seeds_(std::move(seeds)), random_(seed) {}

  // One of the seeds after one to four changes.
  std::string mutant() {
    std::string bytes = seeds_[below(seeds_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0 && !bytes.empty(); --changes) change(bytes);
    return bytes;
  }

  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

 private:
  void change(std::string& bytes) {
    switch (below(10)) {
      case 0:
        bytes[below(bytes.size())] ^= static_cast<char>(1U << below(8));
        break;
      case 1:
        bytes[below(bytes.size())] = static_cast<char>(below(256));
        break;
      case 2:
      case 3:
        set_integer(bytes);
        break;
      case 4:
      case 5:
        set_decimal(bytes);
        break;
      case 6:
        bytes.resize(below(bytes.size() + 1));
        break;
      case 7:
        bytes.erase(below(bytes.size()), 1 + below(16));
        break;
      case 8: {  // a chunk once more, elsewhere
        const std::string chunk = bytes.substr(below(bytes.size()), 1 + below(48));
        bytes.insert(below(bytes.size() + 1), chunk);
        break;
      }
      default: {  // the head of one, the tail of another
        const std::string& other = seeds_[below(seeds_.size())];
        bytes = bytes.substr(0, below(bytes.size() + 1)) + other.substr(below(other.size()));
      }
    }
  }

  std::uint64_t border(std::size_t file_bytes) {
    if (below(4) == 0) return file_bytes + below(3) - 1;
    return kBorders[below(kBorders.size())];
  }

  // A little-endian number in place of what is there, preferably where one begins that looks like a length or a count.
  void set_integer(std::string& bytes) {
    const std::size_t width = std::size_t{1} << below(4);
    if (bytes.size() < width) return;
    std::size_t at = below(bytes.size() - width + 1);
    if (width == 8 && below(2) == 0) {
      const std::size_t zeros = bytes.find(std::string(6, '\0'), at);
      if (zeros != std::string::npos && zeros >= 2) at = std::min(zeros - 2, bytes.size() - width);
    }
    const std::uint64_t value = border(bytes.size());
    std::memcpy(bytes.data() + at, &value, width);
  }

  // Another number in place of one written in digits, as JSON has them.
  void set_decimal(std::string& bytes) {
    const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    const auto begin =
        std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())), bytes.end(), is_digit);
    if (begin == bytes.end()) return set_integer(bytes);
    const auto end = std::find_if_not(begin, bytes.end(), is_digit);
    bytes.replace(begin, end, std::to_string(border(bytes.size())));
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_;
};

}  // namespace carat
