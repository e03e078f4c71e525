#include "text/tokenizer_json.h"

namespace carat {
namespace {

// The steps of Gemma's tokenizers. Bpe and Vocab do what these say; a file that says anything else is refused.
constexpr std::string_view kNormalizer = R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})";
// Without effect: it comes after the normalizer, when there are no spaces left to split at.
constexpr std::string_view kPreTokenizer =
    R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false})";
constexpr std::string_view kDecoder = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]})";
// The post-processor's rule for a single text: bos, then the text.
constexpr std::string_view kSingle =
    R"([{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}])";

[[noreturn]] void refuse(ErrorKind kind, std::string_view where, std::string_view what) {
  throw Error(kind, str(where, ": ", what, kind == ErrorKind::kBadFile ? ". Download the file again." : "."));
}

template <typename T>
const T& required(const T* value, std::string_view where, std::string_view key) {
  if (value == nullptr) refuse(ErrorKind::kBadFile, where, str("\"", key, "\" is missing"));
  return *value;
}

template <typename T>
T required(std::optional<T> value, std::string_view where, std::string_view key) {
  if (!value) refuse(ErrorKind::kBadFile, where, str("\"", key, "\" is missing"));
  return *value;
}

void expect_step(const json::value* found, std::string_view key, std::string_view expected, std::string_view where) {
  if (found != nullptr && *found == json::parse(expected)) return;
  refuse(ErrorKind::kUnsupported, where,
         str("\"", key, "\" is ", found == nullptr ? "missing" : printable(json::serialize(*found), 300),
             ", expected that of Gemma's tokenizers, ", expected));
}

void check_steps(const json::object& root, std::string_view where) {
  expect_step(find_member(root, "normalizer"), "normalizer", kNormalizer, where);
  if (const json::value* step = find_member(root, "pre_tokenizer")) {
    expect_step(step, "pre_tokenizer", kPreTokenizer, where);
  }
  expect_step(find_member(root, "decoder"), "decoder", kDecoder, where);
  if (const json::object* step = find_object(root, "post_processor", where)) {
    const std::string inside = str(where, ": post_processor");
    const auto type = required(find_string(*step, "type", inside), inside, "type");
    if (type != "TemplateProcessing") {
      refuse(ErrorKind::kUnsupported, inside,
             str("\"type\" is \"", printable(type), "\", expected \"TemplateProcessing\""));
    }
    expect_step(find_member(*step, "single"), "post_processor.single", kSingle, where);
  }
}

void expect_flag(const json::object& object, std::string_view key, bool expected, std::string_view where) {
  if (find_boolean(object, key, where).value_or(false) == expected) return;
  refuse(ErrorKind::kUnsupported, where,
         str("\"", key, "\" is ", expected ? "false" : "true", ", Gemma's tokenizers have the opposite"));
}

void check_model(const json::object& model, std::string_view where) {
  const auto type = required(find_string(model, "type", where), where, "type");
  if (type != "BPE") {
    refuse(ErrorKind::kUnsupported, where, str("\"type\" is \"", printable(type), "\", expected \"BPE\""));
  }
  if (find_number(model, "dropout", where).value_or(0) != 0) {
    refuse(ErrorKind::kUnsupported, where, "\"dropout\" is not 0, so that ids would be random");
  }
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!find_string(model, key, where).value_or("").empty()) {
      refuse(ErrorKind::kUnsupported, where, str("\"", key, "\" is set, Gemma's tokenizers have none"));
    }
  }
  expect_flag(model, "byte_fallback", true, where);
  expect_flag(model, "ignore_merges", false, where);
}

// An entry of added_tokens.
struct Added {
  std::string_view content;
  std::int64_t id;
  bool is_special;
};

std::vector<Added> read_added(const json::object& root, std::string_view where) {
  std::vector<Added> added;
  const json::array* entries = find_array(root, "added_tokens", where);
  if (entries == nullptr) return added;
  for (std::size_t i = 0; i < entries->size(); ++i) {
    const std::string inside = str(where, ": added_tokens[", i, "]");
    const json::object& entry = required((*entries)[i].if_object(), inside, "{...}");
    for (const std::string_view flag : {"single_word", "lstrip", "rstrip", "normalized"}) {
      expect_flag(entry, flag, false, inside);
    }
    added.push_back({required(find_string(entry, "content", inside), inside, "content"),
                     required(find_integer(entry, "id", inside), inside, "id"),
                     find_boolean(entry, "special", inside).value_or(false)});
  }
  return added;
}

// All tokens by id: the model's vocabulary and the added tokens that are not in it.
std::vector<Token> read_tokens(const json::object& vocab, const std::vector<Added>& added, std::string_view where) {
  std::size_t size = vocab.size();
  for (const Added& token : added) size += vocab.contains(token.content) ? 0U : 1U;
  std::vector<Token> tokens(size);
  const auto place = [&](std::string_view piece, std::int64_t id, TokenType type) {
    if (id < 0 || static_cast<std::size_t>(id) >= size) {
      refuse(
          ErrorKind::kBadFile, where,
          str("token \"", printable(piece), "\" has id ", id, ", expected 0 to ", size - 1, " for ", size, " tokens"));
    }
    Token& token = tokens[static_cast<std::size_t>(id)];
    if (!token.piece.empty() && token.piece != piece) {
      refuse(ErrorKind::kBadFile, where,
             str("tokens \"", printable(token.piece), "\" and \"", printable(piece), "\" have the same id ", id));
    }
    token = {std::string(piece), type};
  };
  for (const auto& [piece, value] : vocab) {
    json::error_code code;
    const auto id = value.to_number<std::int64_t>(code);
    if (code) {
      refuse(ErrorKind::kBadFile, where, str("model.vocab: the id of \"", printable(piece), "\" is no integer"));
    }
    place(piece, id, byte_of_piece(piece) ? TokenType::kByte : TokenType::kNormal);
  }
  for (const Added& token : added) {
    place(token.content, token.id, token.is_special ? TokenType::kControl : TokenType::kUserDefined);
  }
  return tokens;
}

// The id of a piece, if it is a token.
std::optional<std::int64_t> id_of(const std::vector<Token>& tokens, std::string_view piece) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].piece == piece) return static_cast<std::int64_t>(i);
  }
  return std::nullopt;
}

MergeTable read_merges(const json::array& entries, const Vocab& vocab, std::string_view where) {
  const std::string inside = str(where, ": model.merges");
  MergeList merges(vocab, inside, entries.size());
  for (const json::value& entry : entries) {
    const json::array* pair = entry.if_array();
    if (const json::string* text = entry.if_string()) {
      merges.add(*text);
    } else if (pair != nullptr && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_string()) {
      merges.add((*pair)[0].get_string(), (*pair)[1].get_string());
    } else {
      refuse(ErrorKind::kBadFile, inside,
             str("entry ", &entry - entries.data(), " is ", printable(json::serialize(entry)),
                 ", expected \"left right\" or [\"left\", \"right\"]"));
    }
  }
  return MergeTable(merges.take(), vocab, inside);
}

}  // namespace

Tokenizer tokenizer_from_json(const json::value& document, std::string_view where) {
  const json::object& root = required(document.if_object(), where, "{...}");
  check_steps(root, where);
  const json::object& model = required(find_object(root, "model", where), where, "model");
  const std::string inside_model = str(where, ": model");
  check_model(model, inside_model);
  const json::object& pieces = required(find_object(model, "vocab", inside_model), inside_model, "vocab");
  const json::array& merges = required(find_array(model, "merges", inside_model), inside_model, "merges");

  const std::vector<Added> added = read_added(root, where);
  VocabSource source;
  source.tokens = read_tokens(pieces, added, where);
  // The file does not say which token has which part; these are the names in all Gemma tokenizers.
  source.bos = id_of(source.tokens, "<bos>");
  source.eos = id_of(source.tokens, "<eos>");
  source.pad = id_of(source.tokens, "<pad>");
  source.unk = id_of(source.tokens, "<unk>");
  source.add_bos = true;  // all Gemma models need it, though not every file has the post-processor that adds it
  Vocab vocab(source, where);
  MergeTable table = read_merges(merges, vocab, where);

  std::vector<AddedToken> findable;
  findable.reserve(added.size());
  for (const Added& token : added)
    findable.push_back({std::string(token.content), static_cast<std::int32_t>(token.id)});
  return Tokenizer(std::move(vocab), std::move(table), std::move(findable));
}

Tokenizer load_tokenizer_json(const std::filesystem::path& path) {
  return tokenizer_from_json(parse_json_file(path), path.string());
}

}  // namespace carat
