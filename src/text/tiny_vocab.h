// For tests: a vocabulary of a few hundred tokens, whose contents a test can spell out, and repeatable chance.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocab.h"

namespace carat::tiny {

inline constexpr std::int32_t kPad = 0;
inline constexpr std::int32_t kEos = 1;
inline constexpr std::int32_t kBos = 2;
inline constexpr std::int32_t kUnk = 3;
inline constexpr std::int32_t kFirstByte = 4;
inline constexpr std::int32_t kFirstPiece = kFirstByte + 256;

// Four control tokens, the bytes, then pieces.
inline VocabSource source(const std::vector<std::string>& pieces) {
  VocabSource source;
  for (const char* name : {"<pad>", "<eos>", "<bos>", "<unk>"}) source.tokens.push_back({name, TokenType::kControl});
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const std::string name{'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
    source.tokens.push_back({name, TokenType::kByte});
  }
  for (const std::string& piece : pieces) source.tokens.push_back({piece, TokenType::kNormal});
  source.pad = kPad;
  source.eos = kEos;
  source.bos = kBos;
  source.unk = kUnk;
  return source;
}

// The same numbers every time.
inline std::mt19937 seeded(std::uint32_t seed) {
  return std::mt19937(seed);
}

}  // namespace carat::tiny
