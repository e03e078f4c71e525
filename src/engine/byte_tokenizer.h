// A tokenizer for tests and scripts: Gemma's control tokens, the 256 bytes, and words that nothing is split into.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace carat {

// Their ids are 0, 1, 2, ...; those of the bytes follow, then words.
inline constexpr std::array<std::string_view, 22> kControlPieces{
    "<pad>",      "<eos>",      "<bos>",        "<unk>",        "<|turn>",          "<turn|>",
    "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>",
    "<|tool>",    "<tool|>",    "<|\"|>",       "<|think|>",    "<|image|>",        "<|image>",
    "<image|>",   "<|audio|>",  "<|audio>",     "<audio|>"};
inline constexpr std::size_t kFirstWord = kControlPieces.size() + 256;

// words: distinct, not empty, valid UTF-8, with spaces as spaces. Text is encoded as characters that are words, or
// bytes; never as longer words.
Tokenizer byte_tokenizer(std::span<const std::string> words);
// With as many words ("word 278", ...) as make `vocab` tokens; at least kFirstWord.
Tokenizer byte_tokenizer(std::size_t vocab);

}  // namespace carat
