// StopMatcher: finds the first stop text in a stream and lets pass only what can't be the beginning of one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

class StopMatcher {
 public:
  // Empty texts are passed over.
  explicit StopMatcher(std::vector<std::string> stops);

  // The text that may be shown now. What stands before a stop text is part of it, the stop text and what follows isn't.
  std::string push(std::string_view text);
  // What was held back, when the stream ends without a stop text.
  std::string flush();

  // The stop text that was found. Of several that are complete at once, the one that begins first; then the longest.
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  std::optional<std::string> found_;
};

}  // namespace carat
