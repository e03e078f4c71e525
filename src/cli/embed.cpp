// `carat embed`: texts as vectors, the same as /v1/embeddings gives.
#include <deque>
#include <sstream>

#include "base/error.h"
#include "base/unicode.h"
#include "cli/json_lines.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace carat {
namespace {

struct EmbedFlags {
  std::string model;
  std::optional<std::string> text{};
  std::string jsonl{};
  ComputeFlags compute{};
};

// The direction of the text: [hidden], of length 1.
json::array vector_of(Engine& engine, std::string_view text) {
  if (!is_valid_utf8(text)) throw Error(ErrorKind::kBadInput, "the text is not UTF-8.");
  Request request;
  request.prompt = TokenPrompt{engine.tokenizer().encode(text, {.add_bos = true})};
  request.wants_embedding = true;
  request.uses_prefix_cache = false;
  request.limits.max_tokens = 1;
  const WholeAnswer answer = answer_whole(engine, std::move(request));
  const WholeAnswer::Choice& choice = answer.choices.at(0);
  if (choice.finished.reason == FinishReason::kError) throw Error(choice.finished.error_kind, choice.finished.error);
  json::array vector;
  for (const float value : choice.embedding) vector.push_back(value);
  return vector;
}

void run_embed(const EmbedFlags& flags) {
  EngineOptions options;
  options.context = flags.compute.context;
  options.max_running = 1;
  options.kv_type = session_options(flags.compute).kv_type;
  Engine engine(Model::load(flags.model, {}), compute_options(flags.compute), options);
  if (!flags.jsonl.empty()) {
    for_each_json_line(flags.jsonl, [&](const json::object& line, const std::string& where) -> json::value {
      const auto text = input_member(find_string, line, "text", where);
      if (!text) throw Error(ErrorKind::kBadInput, where + ": \"text\" is missing.");
      return {{"embedding", vector_of(engine, *text)}};
    });
    return;
  }
  write_stdout(json::serialize(vector_of(engine, flags.text ? *flags.text : read_stdin())) + "\n");
}

}  // namespace

void define_embed(Command root, Action& action) {
  auto flags = std::make_shared<EmbedFlags>();
  const Command verb = root.add_verb("embed", "Turn a text into a vector that tells what it is about",
                                     "carat embed gemma4:e2b \"sourdough bread\"");
  add_model(verb, flags->model);
  const Option text = verb.option("TEXT", flags->text, "The text; without it, standard input").value("TEXT");
  verb.option("--jsonl", flags->jsonl, "Many texts: lines {\"text\": ...}; - for standard input")
      .value("FILE")
      .excludes(text);
  add_compute_flags(verb, flags->compute);
  set_model_action(verb, action, flags, run_embed);
}

}  // namespace carat
