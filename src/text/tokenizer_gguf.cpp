#include "text/tokenizer_gguf.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace carat {
namespace {

// Gemma 4's tokens around channels and tool calls. llama.cpp's conversion calls them user-defined, so that its own
// parser sees them in decoded text; the model's tokenizer.json has them as special as all others.
constexpr std::array<std::string_view, 7> kMarkers{
    "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>"};

[[noreturn]] void refuse(const Gguf& gguf, std::string_view key, std::string_view what) {
  throw Error(ErrorKind::kBadFile,
              str(gguf.path().string(), ": ", key, " ", what, ". Download the file or convert the model again."));
}

template <typename T>
T required(std::optional<T> value, const Gguf& gguf, std::string_view key) {
  if (!value) refuse(gguf, key, "is missing");
  return *std::move(value);
}

TokenType type_of(std::string_view piece, TokenType type) {
  // Conversions of a tokenizer.json may leave byte tokens normal.
  if (type == TokenType::kNormal && byte_of_piece(piece)) return TokenType::kByte;
  const bool is_marker = std::find(kMarkers.begin(), kMarkers.end(), piece) != kMarkers.end();
  return type == TokenType::kUserDefined && is_marker ? TokenType::kControl : type;
}

std::vector<Token> read_tokens(const Gguf& gguf) {
  constexpr std::string_view kPieces = "tokenizer.ggml.tokens";
  constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
  const auto pieces = required(gguf.strings(kPieces), gguf, kPieces);
  const auto types = required(gguf.integers(kTypes), gguf, kTypes);
  if (types.size() != pieces.size()) {
    refuse(gguf, kTypes, str("has ", types.size(), " entries, expected one for each of ", pieces.size(), " tokens"));
  }
  std::vector<Token> tokens;
  tokens.reserve(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (types[i] < static_cast<int>(TokenType::kNormal) || types[i] > static_cast<int>(TokenType::kByte)) {
      refuse(gguf, kTypes, str("has ", types[i], " for token ", i, ", expected 1 to 6"));
    }
    tokens.push_back({std::string(pieces[i]), type_of(pieces[i], static_cast<TokenType>(types[i]))});
  }
  return tokens;
}

// A piece of spaces ("▁▁" in tokenizer.json) is found where the text has U+2581; plain spaces become it by merging.
// llama.cpp's conversion writes the spaces of user-defined tokens as spaces; this undoes it.
std::string with_space_marks(std::string_view piece) {
  std::string text;
  for (const char& c : piece) text += c == ' ' ? kSpaceMark : std::string_view(&c, 1);
  return text;
}

// The tokens that are looked for in a text before it is split any further.
std::vector<AddedToken> added_tokens(const std::vector<Token>& tokens) {
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    const TokenType type = tokens[i].type;
    if (type == TokenType::kUserDefined) added.push_back({with_space_marks(tokens[i].piece), id});
    if (type == TokenType::kControl || type == TokenType::kUnknown) added.push_back({tokens[i].piece, id});
  }
  return added;
}

MergeTable read_merges(const Gguf& gguf, const Vocab& vocab) {
  constexpr std::string_view kKey = "tokenizer.ggml.merges";
  const auto pairs = required(gguf.strings(kKey), gguf, kKey);
  const std::string where = str(gguf.path().string(), ": ", kKey);
  MergeList merges(vocab, where, pairs.size());
  for (const std::string_view pair : pairs) merges.add(pair);
  return MergeTable(merges.take(), vocab, where);
}

MergeTable read_scores(const Gguf& gguf, const Vocab& vocab) {
  constexpr std::string_view kKey = "tokenizer.ggml.scores";
  const auto scores = required(gguf.numbers(kKey), gguf, kKey);
  if (scores.size() != vocab.size()) {
    refuse(gguf, kKey, str("has ", scores.size(), " entries, expected one for each of ", vocab.size(), " tokens"));
  }
  if (!std::all_of(scores.begin(), scores.end(), [](float score) { return std::isfinite(score); })) {
    refuse(gguf, kKey, "has an infinite score or one that is no number");
  }
  return MergeTable(merges_from_scores(vocab, scores), vocab, str(gguf.path().string(), ": ", kKey));
}

}  // namespace

Tokenizer tokenizer_from_gguf(const Gguf& gguf) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  constexpr std::string_view kSpacePrefix = "tokenizer.ggml.add_space_prefix";
  const auto model = required(gguf.string(kModel), gguf, kModel);
  if (model != "gemma4" && model != "llama") {
    throw Error(ErrorKind::kUnsupported, str(gguf.path().string(), ": ", kModel, " is \"", printable(model),
                                             "\"; carat knows \"gemma4\" and, for Gemma 3, \"llama\"."));
  }
  if (gguf.boolean(kSpacePrefix).value_or(false)) {
    throw Error(ErrorKind::kUnsupported, str(gguf.path().string(), ": ", kSpacePrefix,
                                             " is true; Gemma's tokenizers add no space in front of a text."));
  }

  VocabSource source;
  source.tokens = read_tokens(gguf);
  source.bos = gguf.integer("tokenizer.ggml.bos_token_id");
  source.eos = gguf.integer("tokenizer.ggml.eos_token_id");
  source.pad = gguf.integer("tokenizer.ggml.padding_token_id");
  source.unk = gguf.integer("tokenizer.ggml.unknown_token_id");
  if (const auto end = gguf.integer("tokenizer.ggml.eot_token_id")) source.ends.push_back(*end);
  source.add_bos = gguf.boolean("tokenizer.ggml.add_bos_token").value_or(true);  // all Gemma models need it

  const std::string where = gguf.path().string();
  Vocab vocab(source, where);
  // Some files of Gemma 4 call their model "llama" too; where there are merges, scores mean nothing.
  const bool is_ranked = model == "gemma4" || gguf.has("tokenizer.ggml.merges");
  MergeTable merges = is_ranked ? read_merges(gguf, vocab) : read_scores(gguf, vocab);
  return Tokenizer(std::move(vocab), std::move(merges), added_tokens(source.tokens));
}

}  // namespace carat
