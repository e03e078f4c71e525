// Vocab: token ids, the bytes each stands for, and which of them are special.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

// The numbers are those of GGUF's tokenizer.ggml.token_type.
enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // steers the model: turns, tools, media; not part of an answer's text
  kUserDefined = 4,  // text that is always one token
  kUnused = 5,
  kByte = 6,  // <0x00> .. <0xFF>: one byte of a character that has no token of its own
};

// One token as files write it: a space as U+2581, a byte as "<0x0A>".
struct Token {
  std::string piece;
  TokenType type = TokenType::kNormal;
};

// What a file says about a vocabulary. The index of a token is its id.
struct VocabSource {
  std::vector<Token> tokens;
  std::optional<std::int64_t> bos, eos, pad, unk;
  std::vector<std::int64_t> ends;  // tokens besides eos that end an answer
  bool add_bos = false;            // prompts begin with bos
};

// The byte that a piece such as "<0x0A>" stands for.
std::optional<std::uint8_t> byte_of_piece(std::string_view piece);

// U+2581 in UTF-8: how files write the space within a piece.
constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// Appends text to out, every U+2581 as a space. The reference turns spaces into U+2581 before it looks anything up and
// back when it decodes; the two can't be told apart, so carat knows only the space.
void append_with_spaces(std::string_view text, std::string& out);

// Immutable; threads may share it.
class Vocab {
 public:
  // Longer pieces are refused: the longest of Gemma has 93 bytes, and work at loading grows with the length.
  static constexpr std::size_t kMaxPieceBytes = 256;

  // Throws Error(kBadFile), beginning with `where`, unless pieces are valid UTF-8, neither empty nor repeated, there is
  // one token for each of the 256 bytes, and all ids are within the vocabulary.
  Vocab(const VocabSource& source, std::string_view where);

  std::size_t size() const { return types_.size(); }
  bool contains(std::int64_t id) const { return id >= 0 && static_cast<std::size_t>(id) < size(); }

  // The bytes that the token stands for in decoded text; those of a byte token may be no UTF-8. The id must be
  // contained.
  std::string_view piece(std::int32_t id) const;
  TokenType type(std::int32_t id) const { return types_[static_cast<std::size_t>(id)]; }
  // Not part of an answer's text: control tokens and the unknown token.
  bool is_special(std::int32_t id) const;

  // The token, other than a byte token, that stands for these bytes.
  std::optional<std::int32_t> find(std::string_view piece) const;
  std::int32_t byte_id(std::uint8_t byte) const { return byte_ids_[byte]; }

  std::optional<std::int32_t> bos() const { return bos_; }
  std::optional<std::int32_t> eos() const { return eos_; }
  std::optional<std::int32_t> pad() const { return pad_; }
  std::optional<std::int32_t> unk() const { return unk_; }
  // All tokens after which an answer is complete, in rising order: eos, the end of a turn, and, in Gemma 4, the token
  // after which the answer of a tool is awaited.
  const std::vector<std::int32_t>& ends() const { return ends_; }
  bool is_end(std::int32_t id) const;
  bool add_bos() const { return add_bos_; }

 private:
  void add_pieces(const VocabSource& source, std::string_view where);
  void index_pieces(std::string_view where);
  void collect_ends(const VocabSource& source, std::string_view where);
  // Where in index_ the piece is or would be.
  std::size_t slot_of(std::string_view piece) const;

  std::vector<char> bytes_;             // all pieces, one after the other
  std::vector<std::uint32_t> offsets_;  // [size + 1], into bytes_
  std::vector<TokenType> types_;
  std::vector<std::int32_t> index_;  // open addressing by a piece's hash; -1 where empty, at most half full
  std::array<std::int32_t, 256> byte_ids_{};
  std::optional<std::int32_t> bos_, eos_, pad_, unk_;
  std::vector<std::int32_t> ends_;
  bool add_bos_ = false;
};

}  // namespace carat
