// AddedTokens: tokens whose text is found in a prompt before it is split any further.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

struct AddedToken {
  std::string text;
  std::int32_t id;
};

// Immutable; threads may share it.
class AddedTokens {
 public:
  // Texts are not empty and valid UTF-8, so that they are only found where a character begins.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  struct Match {
    std::size_t begin;
    std::size_t size;
    std::int32_t id;
  };
  // The first place in text, from `begin` on, where a token stands; the longest of those that stand there.
  std::optional<Match> find(std::string_view text, std::size_t begin) const;

 private:
  // The longest token that text begins with, or null.
  const AddedToken* longest_prefix(std::string_view text) const;

  std::vector<AddedToken> tokens_;         // ordered by text
  std::array<std::size_t, 257> begins_{};  // tokens whose first byte is b: begins_[b] to begins_[b + 1]
};

}  // namespace carat
