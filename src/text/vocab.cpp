#include "text/vocab.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>
#include <functional>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

// A limit far above any vocabulary, so that ids and offsets fit their types whatever a file says.
constexpr std::size_t kMaxTokens = std::size_t{1} << 22;

// Control tokens that end an answer. Gemma 4: the end of a turn, and the begin of a tool's response, which the caller
// has to give. Gemma 3: the end of a turn. Files need not list them.
constexpr std::array<std::string_view, 3> kEndPieces{"<turn|>", "<|tool_response>", "<end_of_turn>"};

std::string token_name(std::size_t id, std::string_view piece) {
  return str("token ", id, " (\"", printable(piece), "\")");
}

std::int32_t checked_id(std::int64_t id, std::string_view name, const Vocab& vocab, std::string_view where) {
  if (!vocab.contains(id)) {
    throw Error(ErrorKind::kBadFile, str(where, ": the id of ", name, " is ", id, ", but the vocabulary has ",
                                         vocab.size(), " tokens. Download the file again."));
  }
  return static_cast<std::int32_t>(id);
}

}  // namespace

std::optional<std::uint8_t> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  std::uint8_t byte = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  if (error != std::errc() || end != piece.data() + 5) return std::nullopt;
  return byte;
}

void append_with_spaces(std::string_view text, std::string& out) {
  for (;;) {
    const std::size_t mark = text.find(kSpaceMark);
    out += text.substr(0, mark);
    if (mark == std::string_view::npos) return;
    out += ' ';
    text.remove_prefix(mark + kSpaceMark.size());
  }
}

Vocab::Vocab(const VocabSource& source, std::string_view where) : add_bos_(source.add_bos) {
  add_pieces(source, where);
  index_pieces(where);
  if (source.bos) bos_ = checked_id(*source.bos, "bos", *this, where);
  if (source.eos) eos_ = checked_id(*source.eos, "eos", *this, where);
  if (source.pad) pad_ = checked_id(*source.pad, "pad", *this, where);
  if (source.unk) unk_ = checked_id(*source.unk, "unk", *this, where);
  collect_ends(source, where);
}

void Vocab::add_pieces(const VocabSource& source, std::string_view where) {
  if (source.tokens.empty() || source.tokens.size() > kMaxTokens) {
    throw Error(ErrorKind::kBadFile, str(where, ": has ", source.tokens.size(), " tokens, expected 1 to ", kMaxTokens,
                                         ". Download the file again."));
  }
  byte_ids_.fill(-1);
  offsets_.reserve(source.tokens.size() + 1);
  offsets_.push_back(0);
  types_.reserve(source.tokens.size());
  std::string piece;
  for (std::size_t i = 0; i < source.tokens.size(); ++i) {
    const Token& token = source.tokens[i];
    const auto refuse = [&](std::string_view why) {
      throw Error(ErrorKind::kBadFile,
                  str(where, ": ", token_name(i, token.piece), " ", why, ". Download the file again."));
    };
    if (token.piece.empty() || token.piece.size() > kMaxPieceBytes) {
      refuse(str("has ", token.piece.size(), " bytes, expected 1 to ", kMaxPieceBytes));
    }
    if (!is_valid_utf8(token.piece)) refuse("is not valid UTF-8");
    piece.clear();
    if (token.type == TokenType::kByte) {
      const auto byte = byte_of_piece(token.piece);
      if (!byte) {
        refuse("is of type byte, expected a name from <0x00> to <0xFF>");
      } else {
        if (byte_ids_[*byte] != -1) refuse(str("stands for the same byte as token ", byte_ids_[*byte]));
        byte_ids_[*byte] = static_cast<std::int32_t>(i);
        piece = static_cast<char>(*byte);
      }
    } else {
      append_with_spaces(token.piece, piece);
    }
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    types_.push_back(token.type);
  }
  const auto missing = std::find(byte_ids_.begin(), byte_ids_.end(), -1);
  if (missing != byte_ids_.end()) {
    throw Error(ErrorKind::kUnsupported,
                str(where, ": has no token for byte ", missing - byte_ids_.begin(),
                    ", expected <0x00> to <0xFF>: without them not every text has ids. Is it a Gemma tokenizer?"));
  }
}

void Vocab::index_pieces(std::string_view where) {
  index_.assign(std::bit_ceil(2 * size()), -1);
  for (std::size_t i = 0; i < size(); ++i) {
    if (types_[i] == TokenType::kByte) continue;  // reached by byte_id() only: "\n" and <0x0A> are two tokens
    const auto id = static_cast<std::int32_t>(i);
    std::int32_t& slot = index_[slot_of(piece(id))];
    if (slot != -1) {
      throw Error(ErrorKind::kBadFile,
                  str(where, ": ", token_name(i, piece(id)), " repeats token ", slot, ". Download the file again."));
    }
    slot = id;
  }
}

void Vocab::collect_ends(const VocabSource& source, std::string_view where) {
  for (const std::int64_t id : source.ends) ends_.push_back(checked_id(id, "an end of turn", *this, where));
  if (eos_) ends_.push_back(*eos_);
  for (const std::string_view end : kEndPieces) {
    const auto id = find(end);
    if (id && is_special(*id)) ends_.push_back(*id);
  }
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
}

std::string_view Vocab::piece(std::int32_t id) const {
  assert(contains(id));
  const auto i = static_cast<std::size_t>(id);
  return {bytes_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]};
}

bool Vocab::is_special(std::int32_t id) const {
  return type(id) == TokenType::kControl || type(id) == TokenType::kUnknown;
}

bool Vocab::is_end(std::int32_t id) const {
  return std::binary_search(ends_.begin(), ends_.end(), id);
}

std::size_t Vocab::slot_of(std::string_view text) const {
  const std::size_t mask = index_.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(text) & mask;
  while (index_[slot] != -1 && piece(index_[slot]) != text) slot = (slot + 1) & mask;
  return slot;
}

std::optional<std::int32_t> Vocab::find(std::string_view text) const {
  const std::int32_t id = index_[slot_of(text)];
  return id == -1 ? std::nullopt : std::optional(id);
}

}  // namespace carat
