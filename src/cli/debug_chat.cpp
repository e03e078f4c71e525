// `carat debug render` and `parse`.
#include "base/error.h"
#include "chat/chat_template.h"
#include "chat/output_parser.h"
#include "cli/debug.h"
#include "cli/json_lines.h"
#include "cli/options.h"
#include "engine/encode_segments.h"
#include "model/read_chat_template.h"
#include "text/load_tokenizer.h"

namespace carat {

namespace {

struct RenderCommandOptions : TextCommandOptions {
  std::string template_file;
};

// The template that was asked for, or the model's own, or else the one its vocabulary calls for.
ChatTemplate load_template(const RenderCommandOptions& options, const Vocab& vocab) {
  if (!options.template_file.empty()) {
    try {
      return ChatTemplate(read_input_file(options.template_file));
    } catch (const Error& error) {
      throw Error(ErrorKind::kBadInput, str(printable(options.template_file, 4096), ": ", error.what()));
    }
  }
  const std::string own = read_chat_template(options.model);
  if (!own.empty()) return ChatTemplate(own);
  return ChatTemplate(std::string(builtin_template(vocab.find("<start_of_turn>") ? "gemma3" : "gemma4")));
}

// {"add_generation_prompt", "enable_thinking"}; all others become variables of the template.
RenderOptions render_options(const json::object* given, const Vocab& vocab, const std::string& where) {
  RenderOptions options;
  options.add_generation_prompt = false;
  if (vocab.bos()) options.bos_token = vocab.piece(*vocab.bos());
  if (vocab.eos()) options.eos_token = vocab.piece(*vocab.eos());
  if (given == nullptr) return options;
  options.add_generation_prompt = input_member(find_boolean, *given, "add_generation_prompt", where).value_or(false);
  options.enable_thinking = input_member(find_boolean, *given, "enable_thinking", where);
  options.extra = *given;
  options.extra.erase("add_generation_prompt");
  options.extra.erase("enable_thinking");
  return options;
}

json::value render_line(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const json::object& line,
                        const std::string& where) {
  const json::array* messages = input_member(find_array, line, "messages", where);
  if (messages == nullptr) throw Error(ErrorKind::kBadInput, where + ": \"messages\" is missing.");
  const json::value* tools = find_member(line, "tools");
  const RenderOptions options =
      render_options(input_member(find_object, line, "options", where), tokenizer.vocab(), where);
  MarkedText prompt;
  try {
    prompt = chat_template.render(*messages, tools != nullptr ? *tools : json::value(nullptr), options);
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
  const std::vector<std::int32_t> ids = encode_segments(tokenizer, prompt);
  return {{"text", prompt.bytes()}, {"ids", json::array(ids.begin(), ids.end())}};
}

json::value parse_line(const json::object& line, const std::string& where) {
  const auto output = input_member(find_string, line, "output", where);
  if (!output) throw Error(ErrorKind::kBadInput, where + ": \"output\" is missing.");
  json::object parsed = to_json(parse_output(input_member(find_string, line, "prefix", where).value_or(""), *output));
  if (parsed.at("unparsed").is_null()) parsed.erase("unparsed");
  return parsed;
}

}  // namespace

void define_debug_render(Command debug, Action& action) {
  auto options = std::make_shared<RenderCommandOptions>();
  const Command verb =
      add_text_command(debug, *options, "render", "Turn messages into the text and token ids of a prompt",
                       "Lines {\"messages\": [...], \"tools\": [...], \"options\": {...}}; - for stdin",
                       "carat debug render model.gguf --jsonl requests.jsonl");
  verb.option("--template", options->template_file, "A Jinja template to use instead of the model's").value("FILE");
  set_model_action(verb, action, options, [](const RenderCommandOptions& given) {
    const Tokenizer tokenizer = load_tokenizer(given.model);
    const ChatTemplate chat_template = load_template(given, tokenizer.vocab());
    for_each_json_line(given.jsonl, [&](const json::object& line, const std::string& where) {
      return render_line(tokenizer, chat_template, line, where);
    });
  });
}

void define_debug_parse(Command debug, Action& action) {
  auto options = std::make_shared<TextCommandOptions>();
  const Command verb =
      add_text_command(debug, *options, "parse", "Take a model's raw output apart: thoughts, answer, calls",
                       "Lines {\"prefix\": end of the prompt, \"output\": ...}; - for stdin",
                       "carat debug parse model.gguf --jsonl outputs.jsonl");
  set_model_action(verb, action, options, [](const TextCommandOptions& given) {
    load_tokenizer(given.model);  // so that a wrong MODEL is an error here as everywhere
    for_each_json_line(given.jsonl, parse_line);
  });
}

}  // namespace carat
