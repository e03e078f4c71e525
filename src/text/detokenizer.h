// Detokenizer: token ids into text as they come, never half a character.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/vocab.h"

namespace carat {

// The texts of all calls, joined, are the decoded bytes with every byte that is not part of a valid UTF-8 character
// replaced by U+FFFD. (The reference's decoder, tokenizers' ByteFallback, gives up every character of a run of byte
// tokens once the run has one wrong byte; that is known only at the run's end, too late for a stream.)
class Detokenizer {
 public:
  struct Options {
    bool skip_special = false;  // special tokens give no text
  };

  // vocab must outlive the detokenizer.
  explicit Detokenizer(const Vocab& vocab, Options options) : vocab_(vocab), options_(options) {}

  // The text that is certain now: a byte token gives none until its character is complete.
  // Throws Error(kBadInput) for an id outside the vocabulary.
  std::string push(std::int32_t id);

  // What is left at the end of the ids: U+FFFD for each byte held back. The detokenizer can be used again.
  std::string flush();

 private:
  const Vocab& vocab_;
  Options options_;
  std::string held_;  // the beginning of a character, 0 to 3 bytes
};

}  // namespace carat
