#include "convert/tokenizer_keys.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "model/read_chat_template.h"
#include "text/tokenizer_json.h"
#include "text/vocab.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

// Special tokens of Gemma 4 that GGUF files call user-defined: llama.cpp's parser of answers has to see them in decoded
// text. carat's reader takes that back (tokenizer_gguf.cpp).
constexpr std::array<std::string_view, 7> kVisible{
    "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>"};

// What a pair of merged pieces looks like in a GGUF file: "left right".
std::string merge_text(const json::value& entry) {
  if (const json::string* text = entry.if_string()) return std::string(*text);
  const json::array& pair = entry.as_array();
  return str(std::string_view(pair.at(0).as_string()), " ", std::string_view(pair.at(1).as_string()));
}

// llama.cpp runs Gemma 3's tokenizer by scores: it joins the two neighbours whose joint piece has the highest score.
// The merges are in that order already, so a piece's score is minus the place of the first merge that makes it.
std::vector<float> scores_of(const std::vector<std::string>& tokens, const std::vector<std::string>& merges) {
  std::unordered_map<std::string, float> first;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    std::string piece = merges[i];
    piece.erase(piece.find(' '), 1);
    first.emplace(std::move(piece), -static_cast<float>(i));
  }
  std::vector<float> scores;
  scores.reserve(tokens.size());
  for (const std::string& token : tokens) {
    const auto found = first.find(token);
    scores.push_back(found == first.end() ? -static_cast<float>(merges.size()) : found->second);
  }
  return scores;
}

struct Tokens {
  std::vector<std::string> pieces;
  std::vector<std::int32_t> types;  // TokenType
};

// The reader has checked the document's fields and that the ids are those from 0 on (tokenizer_from_json).
Tokens read_tokens(const json::object& root, std::size_t size, bool is_gemma4) {
  Tokens tokens{std::vector<std::string>(size), std::vector<std::int32_t>(size)};
  const auto place = [&](std::string_view piece, const json::value& id, TokenType type) {
    const auto i = static_cast<std::size_t>(id.to_number<std::int64_t>());
    tokens.pieces.at(i) = std::string(piece);
    tokens.types.at(i) = static_cast<std::int32_t>(type);
  };
  for (const auto& [piece, id] : root.at("model").as_object().at("vocab").as_object()) {
    place(piece, id, byte_of_piece(piece) ? TokenType::kByte : TokenType::kNormal);
  }
  const json::value* added = find_member(root, "added_tokens");
  if (added == nullptr) return tokens;
  for (const json::value& value : added->as_array()) {
    const json::object& token = value.as_object();
    const std::string_view piece = token.at("content").as_string();
    const json::value* special = find_member(token, "special");
    const bool is_visible = is_gemma4 && std::find(kVisible.begin(), kVisible.end(), piece) != kVisible.end();
    const bool is_control = special != nullptr && special->as_bool() && !is_visible;
    place(piece, token.at("id"), is_control ? TokenType::kControl : TokenType::kUserDefined);
  }
  return tokens;
}

}  // namespace

void add_tokenizer_keys(GgufWriter& writer, const fs::path& folder, std::string_view architecture, std::size_t vocab) {
  const std::string chat_template = read_chat_template(folder);
  if (!chat_template.empty()) writer.add("tokenizer.chat_template", chat_template);

  const fs::path path = folder / "tokenizer.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {  // said in the way that llama.cpp wants it
    writer.add("tokenizer.ggml.model", "no_vocab");
    writer.add(str(architecture, ".vocab_size"), static_cast<std::uint32_t>(vocab));
    return;
  }
  const json::value document = parse_json_file(path);
  // Built once for its checks, and for what it says about the special tokens.
  const Tokenizer tokenizer = tokenizer_from_json(document, path.string());
  const Vocab& pieces = tokenizer.vocab();
  const json::object& root = document.as_object();
  const bool is_gemma4 = architecture != "gemma3";
  const Tokens tokens = read_tokens(root, pieces.size(), is_gemma4);
  std::vector<std::string> merges;
  for (const json::value& entry : root.at("model").as_object().at("merges").as_array()) {
    merges.push_back(merge_text(entry));
  }

  writer.add("tokenizer.ggml.model", is_gemma4 ? "gemma4" : "llama");
  writer.add("tokenizer.ggml.pre", is_gemma4 ? "gemma4" : "default");
  writer.add_array("tokenizer.ggml.tokens", std::span<const std::string>(tokens.pieces));
  writer.add_array("tokenizer.ggml.scores", scores_of(tokens.pieces, merges));
  writer.add_array("tokenizer.ggml.token_type", tokens.types);
  writer.add_array("tokenizer.ggml.merges", std::span<const std::string>(merges));
  const auto add_id = [&](std::string_view name, std::optional<std::int32_t> id) {
    if (id) writer.add(str("tokenizer.ggml.", name, "_token_id"), static_cast<std::uint32_t>(*id));
  };
  add_id("bos", pieces.bos());
  add_id("eos", pieces.eos());
  add_id("unknown", pieces.unk());
  add_id("padding", pieces.pad());
  writer.add("tokenizer.ggml.add_space_prefix", false);
  writer.add("tokenizer.ggml.add_bos_token", true);
  writer.add("tokenizer.ggml.add_eos_token", false);
}

}  // namespace carat
