// `carat debug tokenize` and `detokenize`.
#include "base/base64.h"
#include "base/error.h"
#include "base/unicode.h"
#include "cli/debug.h"
#include "cli/json_lines.h"
#include "cli/options.h"
#include "text/detokenizer.h"
#include "text/load_tokenizer.h"

namespace carat {

namespace {

json::value tokenize_line(const Tokenizer& tokenizer, const json::object& line, const std::string& where) {
  const auto text = input_member(find_string, line, "text", where);
  const auto base64 = input_member(find_string, line, "bytes_base64", where);
  if (text.has_value() == base64.has_value()) {
    throw Error(ErrorKind::kBadInput, where + ": needs either \"text\" or \"bytes_base64\".");
  }
  std::string bytes;
  if (text) {
    bytes = *text;
  } else {
    const std::optional<std::string> decoded = base64_decode(*base64);
    if (!decoded) throw Error(ErrorKind::kBadInput, where + ": \"bytes_base64\" is no base64.");
    bytes = *decoded;
  }
  const EncodeOptions options{.add_bos = input_member(find_boolean, line, "bos", where).value_or(false),
                              .parse_special = input_member(find_boolean, line, "special", where).value_or(true)};
  const std::vector<std::int32_t> ids = tokenizer.encode(bytes, options);
  return {{"ids", json::array(ids.begin(), ids.end())}};
}

json::value detokenize_line(const Tokenizer& tokenizer, const json::object& line, const std::string& where) {
  const json::value* list = find_member(line, "ids");
  if (list == nullptr) throw Error(ErrorKind::kBadInput, where + ": \"ids\" is missing.");
  const std::vector<std::int32_t> ids = ids_from_json(*list, where);
  try {
    const std::string bytes = tokenizer.decode(ids);
    Detokenizer detokenizer(tokenizer.vocab(), {});
    std::string text;
    for (const std::int32_t id : ids) text += detokenizer.push(id);
    text += detokenizer.flush();
    return {{"text", text}, {"bytes_base64", base64_encode(bytes)}};
  } catch (const Error& error) {
    throw Error(error.kind(), str(where, ": ", error.what()));
  }
}

}  // namespace

Command add_text_command(Command debug, TextCommandOptions& options, const char* name, const char* what,
                         const char* lines, const char* example) {
  const Command verb = debug.add_verb(name, what, example);
  verb.option("MODEL", options.model, "A tokenizer.json, a GGUF file, a model's folder, or a name in the store")
      .required()
      .value("FILE");
  verb.option("--jsonl", options.jsonl, lines).required().value("FILE");
  return verb;
}

void define_debug_tokenize(Command debug, Action& action) {
  auto options = std::make_shared<TextCommandOptions>();
  const Command verb = add_text_command(
      debug, *options, "tokenize", "Turn texts into token ids",
      "Lines {\"text\": ...} or {\"bytes_base64\": ...}, with \"bos\" (false) and \"special\" (true); - for stdin",
      "echo '{\"text\": \"Hello\"}' | carat debug tokenize tokenizer.json --jsonl -");
  set_model_action(verb, action, options, [](const TextCommandOptions& given) {
    const Tokenizer tokenizer = load_tokenizer(given.model);
    for_each_json_line(given.jsonl, [&](const json::object& line, const std::string& where) {
      return tokenize_line(tokenizer, line, where);
    });
  });
}

void define_debug_detokenize(Command debug, Action& action) {
  auto options = std::make_shared<TextCommandOptions>();
  const Command verb =
      add_text_command(debug, *options, "detokenize", "Turn token ids into text", "Lines {\"ids\": [...]}; - for stdin",
                       "echo '{\"ids\": [9259]}' | carat debug detokenize tokenizer.json --jsonl -");
  set_model_action(verb, action, options, [](const TextCommandOptions& given) {
    const Tokenizer tokenizer = load_tokenizer(given.model);
    for_each_json_line(given.jsonl, [&](const json::object& line, const std::string& where) {
      return detokenize_line(tokenizer, line, where);
    });
  });
}

}  // namespace carat
