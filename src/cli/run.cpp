// `carat run`: one answer, or a chat.
#include "base/error.h"
#include "base/memory.h"
#include "base/unicode.h"
#include "cli/agent.h"
#include "cli/answer_form.h"
#include "cli/answer_printer.h"
#include "cli/chat.h"
#include "cli/memory_plan.h"
#include "cli/pull_model.h"
#include "cli/responder.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace carat {

namespace {

// The PROMPT argument, and behind it, after an empty line, what comes through a pipe.
std::string whole_prompt(const RunOptions& options) {
  std::string prompt = options.prompt.value_or("");
  if (!stdin_is_terminal()) {
    const std::string piped = read_stdin();
    if (!prompt.empty() && !piped.empty()) prompt += "\n\n";
    prompt += piped;
  }
  if (!is_valid_utf8(prompt) || !is_valid_utf8(options.system)) {
    throw Error(ErrorKind::kBadInput,
                "the prompt is not UTF-8. Convert it first, for instance with `iconv -f WINDOWS-1252 -t UTF-8`.");
  }
  if (prompt.empty()) {
    throw Error(ErrorKind::kBadInput, "the prompt is empty. Give one as an argument or through a pipe.");
  }
  return prompt;
}

json::object reply_json(const Reply& reply, const RunOptions& options) {
  const AnswerStats& stats = reply.answer.stats;
  return {{"model", options.model},
          {"content", reply.content},
          {"reasoning", reply.thinking.empty() ? json::value(nullptr) : json::value(reply.thinking)},
          {"tool_calls", reply.tool_calls},
          {"finish_reason", name(reply.answer.finish_reason)},
          {"prompt_tokens", stats.prompt_tokens},
          {"completion_tokens", stats.generated_tokens},
          {"stats",
           {{"prefill_seconds", stats.prefill_seconds},
            {"prefill_tokens_per_second", stats.prefill_rate()},
            {"generation_seconds", stats.generation_seconds},
            {"generation_tokens_per_second", stats.generation_rate()},
            {"guessed_tokens", stats.guessed_tokens},
            {"accepted_guesses", stats.accepted_guesses},
            {"resident_bytes", resident_memory().total}}}};
}

// One JSON object on a line of its own.
void write_event(const json::object& event) {
  write_stdout(json::serialize(event) + "\n");
}

ThoughtsView view_of_thoughts(const RunOptions& options, bool is_terminal) {
  if (options.folds_thinking) return is_terminal ? ThoughtsView::kFolded : ThoughtsView::kHidden;
  return is_terminal || options.shows_thinking ? ThoughtsView::kShown : ThoughtsView::kHidden;
}

void answer_once(Responder& responder, const RunOptions& options, const std::string& prompt,
                 const std::optional<ContentFormat>& format, Tools* tools) {
  const bool is_terminal = stdout_is_terminal();
  AnswerPrinter printer({.is_terminal = is_terminal,
                         .has_color = wants_color(options.color, is_terminal),
                         .is_wrapped = is_terminal && options.is_wrapped && terminal_has_control_sequences(),
                         .thoughts = view_of_thoughts(options, is_terminal),
                         .is_buffered = options.is_buffered});
  ReplySink sink;
  if (options.is_json_lines) {
    sink.on_content = [](std::string_view text) { write_event({{"type", "content"}, {"text", text}}); };
    sink.on_thinking = [](std::string_view text) { write_event({{"type", "thinking"}, {"text", text}}); };
  } else if (!options.is_json) {
    sink.on_content = [&](std::string_view text) { printer.content(text); };
    sink.on_thinking = [&](std::string_view text) { printer.thinking(text); };
  }

  Reply reply;
  if (options.is_raw || !responder.has_template()) {
    if (!options.media.files.empty()) {
      throw Error(ErrorKind::kUnsupported, options.is_raw ? "--raw takes no pictures and sounds."
                                                          : "a base model takes no pictures and sounds.");
    }
    reply = responder.complete(prompt, options.is_raw, {.content = format}, options.answer, sink);
  } else {
    json::array messages;
    if (!options.system.empty()) messages.push_back({{"role", "system"}, {"content", options.system}});
    messages.push_back({{"role", "user"}, {"content", content_with_media(prompt, options.media.files)}});
    for (const MediaFile& file : options.media.files) {
      const std::string note = shrinking_note(responder.session().model(), file);
      if (!note.empty()) write_stderr(str("carat: ", note, "\n"));
    }
    const LoadedMedia media = responder.load_media(messages);
    const ReplyOptions how{.thinks = options.think == "on", .form = {.content = format}};
    reply = tools == nullptr ? responder.reply(messages, media, how, options.answer, sink)
                             : reply_with_tools(responder, messages, media, *tools, options, how, sink);
  }

  if (options.is_json_lines) {
    json::object done = reply_json(reply, options);
    done["type"] = "done";
    write_event(done);
  } else if (options.is_json) {
    write_event(reply_json(reply, options));
  } else {
    printer.finish();
  }
  if (options.has_stats) write_stderr(stats_text(reply.answer.stats, responder.session()));
}

void run_model(const RunOptions& options) {
  const bool is_for_scripts = options.is_json || options.is_json_lines;
  const bool is_interactive = !options.prompt && !is_for_scripts && stdin_is_terminal();
  // The prompt first: a mistake in it shows before a large model is touched.
  const std::string prompt = is_interactive ? std::string() : whole_prompt(options);
  if (is_interactive && !options.media.files.empty()) {
    throw UsageError("pictures and sounds go with a PROMPT; in a chat, give them with /image and /audio");
  }
  const std::optional<ContentFormat> format = content_format(options.form);
  const bool has_tools = !options.tools.file.empty() || !options.tools.mcp_commands.empty();
  if (has_tools && options.is_raw) {
    throw Error(ErrorKind::kBadInput, "--raw has no tools: it is the template that tells the model of them.");
  }
  std::unique_ptr<Tools> tools;
  if (has_tools) tools = std::make_unique<Tools>(options.tools, options.is_json_lines);
  // The model of the command line, or another that a chat goes on with.
  const auto open_model = [&options](const std::string& name) {
    const bool is_first = name == options.model;
    const StoredModel files = is_first ? StoredModel{name, options.media.mmproj} : model_files(name);
    const auto model = Model::load(files.path, {.mmproj = files.projector});
    validate(options.answer.sampling, model->config().decoder.vocab);
    if (stderr_is_terminal()) {
      write_stderr(memory_line(*model, {.compute = options.compute, .mmproj = files.projector}));
    }
    const bool has_assistant = is_first && !options.assistant.empty();
    return std::make_unique<Responder>(model, compute_options(options.compute), session_options(options.compute),
                                       has_assistant ? Assistant::load(options.assistant, *model) : nullptr);
  };
  auto responder = open_model(options.model);
  if (has_tools && !responder->has_template()) {
    throw Error(ErrorKind::kUnsupported, str(options.model, ": a base model, without a template: it knows no tools."));
  }
  if (is_interactive) {
    chat(std::move(responder), open_model, options, std::move(tools));
  } else {
    answer_once(*responder, options, prompt, format, tools.get());
  }
}

}  // namespace

void define_run(Command root, Action& action) {
  auto options = std::make_shared<RunOptions>();
  const Command verb = root.add_verb("run", "Answer a prompt, or chat when there is none",
                                     "carat run model.gguf \"Why is the sky blue?\"");
  verb.alias("chat");
  add_model(verb, options->model);
  verb.option("PROMPT", options->prompt, "The prompt; text from a pipe is put behind it").value("TEXT");
  verb.option("--system", options->system, "The system message").value("TEXT");
  verb.option("--think", options->think, "Let the model think first, where it can")
      .one_of({"on", "off"})
      .with_default();
  verb.flag("--show-thinking", options->shows_thinking, "Print thoughts to a pipe too, before the answer");
  verb.flag("--fold-thinking", options->folds_thinking, "At a terminal, show thoughts as one line")
      .excludes("--show-thinking");
  verb.flag("--raw", options->is_raw, "No template: continue the prompt, in which <|turn> and the like are tokens");
  verb.option("--max-tokens", options->answer.max_tokens, "Most tokens to generate (default: until the end)")
      .range(1, kMaxContext)
      .value("N");
  verb.flag("--ignore-eos", options->answer.ignores_end, "Never end an answer before --max-tokens");
  add_media_flags(verb, options->media);
  add_video_flags(verb, options->media);
  add_format_flags(verb, options->form);
  add_tool_flags(verb, options->tools);
  for (const char* flag : {"--format", "--regex", "--grammar", "--choice", "--tools", "--mcp"}) {
    verb.find_option(flag).excludes("--ignore-eos");  // such an answer has an end
  }
  add_sampling_flags(verb, options->answer.sampling);
  constexpr const char* kGroup = "Output";
  verb.flag("--stats", options->has_stats, "Print speed and memory to stderr").group(kGroup);
  verb.flag("--json", options->is_json, "Print one JSON object").group(kGroup);
  verb.flag("--jsonl", options->is_json_lines, "Print a JSON object a line: each piece as it comes, then the whole")
      .excludes("--json")
      .group(kGroup);
  verb.flag("--no-stream", options->is_buffered, "Print the answer when it is complete").group(kGroup);
  verb.option("--color", options->color, "Colours on the terminal")
      .one_of({"auto", "always", "never"})
      .with_default()
      .group(kGroup);
  verb.clearing_flag("--no-wrap", options->is_wrapped, "Leave it to the terminal to break long lines").group(kGroup);
  verb.clearing_flag("--no-history", options->has_history, "Don't keep what is typed in a chat").group(kGroup);
  add_assistant(verb, options->assistant);
  add_compute_flags(verb, options->compute);
  set_model_action(verb, action, options, run_model);
}

}  // namespace carat
