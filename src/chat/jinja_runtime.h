// Runtime: what every part of a running template shares: its fuel, its place in the text, and how it fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>

#include "base/error.h"

namespace carat::jinja {

// Bounds of one rendering. A template comes with a model file and its input with a request, so neither may run for ever
// or fill the memory.
struct Limits {
  // Fuel in units: an evaluated node of the syntax tree, a visited element, or 64 bytes of text read or made. A
  // statement costs about ten units, so this is about 10^6 statements, and also bounds what is held in memory.
  std::size_t fuel = 10'000'000;
  std::size_t output_bytes = std::size_t{16} << 20;  // also the longest string
  std::size_t macro_depth = 64;                      // macros in macros
  std::size_t value_depth = 128;                     // lists in lists
  std::int64_t range_length = 100'000;               // of range(), as in Jinja's sandbox
};

class Runtime {
 public:
  Runtime(const Limits& limits, std::time_t now) : limits_(limits), fuel_(limits.fuel), now_(now) {}

  const Limits& limits() const { return limits_; }
  std::time_t now() const { return now_; }

  // Line of the template that is being evaluated.
  std::uint32_t line() const { return line_; }
  void set_line(std::uint32_t line) { line_ = line; }

  void spend(std::size_t units) {
    if (units > fuel_) fail_out_of_fuel();
    fuel_ -= units;
  }
  void spend_text(std::size_t bytes) { spend(1 + bytes / 64); }
  // Called before a string of this many bytes is made.
  void check_text_size(std::size_t bytes) {
    if (bytes > limits_.output_bytes) fail("text of ", bytes, " bytes; the limit is ", limits_.output_bytes);
    spend_text(bytes);
  }

  // Throws Error(kBadInput) that names the line and the reason.
  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(ErrorKind::kBadInput, str("chat template, line ", line_, ": ", str(parts...), "."));
  }

 private:
  [[noreturn]] void fail_out_of_fuel() const;

  Limits limits_;
  std::size_t fuel_;
  std::time_t now_;
  std::uint32_t line_ = 1;
};

}  // namespace carat::jinja
