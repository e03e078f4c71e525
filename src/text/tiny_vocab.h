// A vocabulary of a few hundred tokens, for tests that spell out what is in it.
#pragma once

#include <cstdio>
#include <string>
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
  for (int byte = 0; byte < 256; ++byte) {
    char name[7];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    source.tokens.push_back({name, TokenType::kByte});
  }
  for (const std::string& piece : pieces) source.tokens.push_back({piece, TokenType::kNormal});
  source.pad = kPad;
  source.eos = kEos;
  source.bos = kBos;
  source.unk = kUnk;
  return source;
}

}  // namespace carat::tiny
