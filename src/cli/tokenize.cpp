// `carat tokenize`: a text's tokens, for people. (`carat debug tokenize` takes many texts and bytes.)
#include <iomanip>
#include <sstream>

#include "base/json.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "text/load_tokenizer.h"

namespace carat {
namespace {

struct TokenizeFlags {
  std::string model;
  std::optional<std::string> text{};
  bool has_bos = false;
  bool is_plain = false;
  bool shows_pieces = false;
  bool is_json = false;
};

void run_tokenize(const TokenizeFlags& flags) {
  const Tokenizer tokenizer = load_tokenizer(flags.model);
  const std::string text = flags.text ? *flags.text : read_stdin();
  const std::vector<std::int32_t> ids =
      tokenizer.encode(text, {.add_bos = flags.has_bos, .parse_special = !flags.is_plain});
  if (flags.is_json) {
    json::array pieces;
    for (const std::int32_t id : ids) pieces.push_back(json::string(printable(tokenizer.vocab().piece(id), 1000)));
    write_stdout(
        json::serialize(json::object{{"ids", json::array(ids.begin(), ids.end())}, {"pieces", std::move(pieces)}}) +
        "\n");
    return;
  }
  std::ostringstream out;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (flags.shows_pieces) {
      out << std::setw(8) << ids[i] << "  " << printable(tokenizer.vocab().piece(ids[i]), 1000) << '\n';
    } else {
      out << (i == 0 ? "" : " ") << ids[i];
    }
  }
  if (!flags.shows_pieces) out << '\n';
  write_stdout(out.str());
}

}  // namespace

void define_tokenize(Command root, Action& action) {
  auto flags = std::make_shared<TokenizeFlags>();
  const Command verb = root.add_verb("tokenize", "Show the tokens that a text is made of",
                                     "carat tokenize gemma4:e2b \"Why is the sky blue?\" --pieces");
  verb.option("MODEL", flags->model, "A tokenizer.json, a GGUF file, a model's folder, or a name in the store")
      .required()
      .value("MODEL");
  verb.option("TEXT", flags->text, "The text; without it, standard input").value("TEXT");
  verb.flag("--bos", flags->has_bos, "Begin with the token that begins a text");
  verb.flag("--plain", flags->is_plain, "Take special tokens in the text as text");
  verb.flag("--pieces", flags->shows_pieces, "A token a line, with what it stands for");
  verb.flag("--json", flags->is_json, "Print JSON");
  set_model_action(verb, action, flags, run_tokenize);
}

}  // namespace carat
