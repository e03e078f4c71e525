// TokenMask: which tokens of a vocabulary may come next.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace carat {

// One bit a token, 32 to a word, the lowest id in the lowest bit. Bits beyond the vocabulary are 0.
class TokenMask {
 public:
  // All of them banned. size: number of tokens.
  explicit TokenMask(std::size_t size) : size_(size), words_((size + 31) / 32) {}

  std::size_t size() const { return size_; }

  bool allows(std::int32_t token) const {
    const auto id = static_cast<std::size_t>(token);
    return token >= 0 && id < size_ && (words_[id / 32] >> (id % 32) & 1U) != 0;
  }
  void allow(std::int32_t token) {
    const auto id = static_cast<std::size_t>(token);
    words_[id / 32] |= std::uint32_t{1} << (id % 32);
  }
  void ban(std::int32_t token) {
    const auto id = static_cast<std::size_t>(token);
    words_[id / 32] &= ~(std::uint32_t{1} << (id % 32));
  }

  std::size_t allowed_count() const {
    std::size_t count = 0;
    for (const std::uint32_t word : words_) count += static_cast<std::size_t>(std::popcount(word));
    return count;
  }

  // [(size + 31) / 32]. Who writes them keeps the bits beyond the vocabulary 0.
  std::span<std::uint32_t> words() { return words_; }
  std::span<const std::uint32_t> words() const { return words_; }

 private:
  std::size_t size_;
  std::vector<std::uint32_t> words_;
};

}  // namespace carat
