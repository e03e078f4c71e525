// LoopGuard: notices when an answer only repeats itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace carat {

// A loop is a stretch of tokens that has been repeated, word for word, at least kRepeats times over at least kTokens
// tokens: long enough for tables, rulers and lists of zeros to pass.
class LoopGuard {
 public:
  static constexpr std::size_t kLongest = 128;  // tokens of the stretch
  static constexpr std::size_t kRepeats = 5;
  static constexpr std::size_t kTokens = 192;

  // True when the token makes it a loop.
  bool push(std::int32_t token);
  void reset();

 private:
  std::vector<std::int32_t> latest_;                        // ring of kLongest
  std::size_t count_ = 0;                                   // tokens seen
  std::array<std::size_t, kLongest + 1> same_as_before_{};  // by period: how many of the latest equal the one before it
};

}  // namespace carat
