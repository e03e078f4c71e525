// Reads the tokenizer that a GGUF file carries in its metadata (tokenizer.ggml.*).
#pragma once

#include "checkpoint/gguf.h"
#include "text/tokenizer.h"

namespace carat {

// Knows tokenizer.ggml.model "gemma4" (merges in order of rank) and "llama" (SentencePiece, scores instead of merges:
// Gemma 3). Throws Error: kBadFile where a key is missing or contradicts another, kUnsupported for other models.
Tokenizer tokenizer_from_gguf(const Gguf& gguf);

}  // namespace carat
