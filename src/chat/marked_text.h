// MarkedText: text that knows which of its bytes the template wrote and which a request brought.
//
// A prompt mixes both: "<|turn>user\n" is the template's, what follows is the user's. Only the template may write
// control tokens, so the marks travel with every copy, slice and concatenation until the prompt is tokenised.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

class MarkedText {
 public:
  // A stretch of bytes of one origin; it begins where the run before it ends.
  struct Run {
    std::size_t end;
    bool is_trusted;
    bool operator==(const Run&) const = default;
  };

  MarkedText() = default;
  MarkedText(std::string bytes, bool is_trusted);

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // In order, neighbours of different origin, none empty; the last one ends at size().
  const std::vector<Run>& runs() const { return runs_; }
  bool is_trusted_at(std::size_t offset) const;  // offset < size()

  void append(std::string_view bytes, bool is_trusted);
  void append(const MarkedText& text) { append(text, 0, text.size()); }
  // The bytes [begin, end) of text, which may not be this text itself.
  void append(const MarkedText& text, std::size_t begin, std::size_t end);
  MarkedText part(std::size_t begin, std::size_t end) const;

 private:
  std::string bytes_;
  std::vector<Run> runs_;
};

}  // namespace carat
