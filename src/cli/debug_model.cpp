// `carat debug logits` and `generate`: the forward pass, exact unless asked otherwise.
#include <algorithm>

#include "base/error.h"
#include "cli/debug.h"
#include "cli/json_lines.h"
#include "cli/media_files.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/lookahead.h"
#include "engine/session.h"

namespace carat {

namespace {

struct ModelOptions {
  std::string model;
  std::string tokens;
  std::string out;
  std::string assistant;
  std::size_t max_tokens = 16;
  MediaFlags media{};
  ComputeFlags compute{.activations = "f32", .kv_type = "f32"};
};

std::vector<std::int32_t> read_tokens(const std::string& file) {
  std::vector<std::int32_t> ids = ids_from_json(parse_json(read_input_file(file), file, ErrorKind::kBadInput), file);
  if (ids.empty()) throw Error(ErrorKind::kBadInput, file + ": holds no tokens.");
  return ids;
}

std::shared_ptr<const Model> load_model(const ModelOptions& options) {
  return Model::load(options.model, {.mmproj = options.media.mmproj});
}

// A session for `tokens` tokens, if --ctx says nothing else.
Session make_session(const ModelOptions& options, std::size_t tokens) {
  SessionOptions session = session_options(options.compute);
  if (session.context == 0) session.context = tokens;
  return {load_model(options), compute_options(options.compute), session};
}

// The media that were given, in the places that the ids have for them.
std::vector<MediaSpan> place_media(const ModelOptions& options, const Session& session,
                                   std::span<const std::int32_t> ids) {
  if (options.media.files.empty()) return {};
  MediaStore store(session.shared_model());
  std::vector<SharedSoftTokens> media;
  for (const MediaFile& file : options.media.files) {
    media.push_back(load_medium(store, session.media_compute(), file, SoundExtent::kFirstThirtySeconds));
  }
  return fill_placeholders(ids, session.model().media_tokens(), media);
}

void run_logits(const ModelOptions& options) {
  const std::vector<std::int32_t> ids = read_tokens(options.tokens);
  Session session = make_session(options, ids.size());
  NpyWriter writer(options.out, ids.size(), session.model().config().decoder.vocab);
  session.append_all_logits(ids, place_media(options, session, ids), [&](std::size_t, MatView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows(); ++row) writer.append(logits.row(row));
  });
  writer.finish();
}

void run_generate(const ModelOptions& options) {
  const std::vector<std::int32_t> ids = read_tokens(options.tokens);
  Session session = make_session(options, ids.size() + options.max_tokens);
  std::unique_ptr<Lookahead> lookahead;
  if (!options.assistant.empty()) {
    lookahead = std::make_unique<Lookahead>(session, Assistant::load(options.assistant, session.model()));
  }
  json::array generated;
  std::span<const float> logits = session.append(ids, place_media(options, session, ids));
  while (generated.size() < options.max_tokens) {
    const auto best = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    generated.push_back(best);
    if (generated.size() == options.max_tokens) break;
    logits = lookahead != nullptr ? lookahead->advance(best) : session.append(std::span(&best, 1));
  }
  write_stdout(json::serialize(generated) + "\n");
}

Command add_model_command(Command debug, ModelOptions& options, const char* name, const char* what,
                          const char* example) {
  const Command verb = debug.add_verb(name, what, example);
  add_model(verb, options.model);
  verb.option("--tokens", options.tokens, "A JSON array of token ids; - for stdin").required().value("FILE");
  add_media_flags(verb, options.media);
  add_compute_flags(verb, options.compute);
  return verb;
}

}  // namespace

void define_debug_logits(Command debug, Action& action) {
  auto options = std::make_shared<ModelOptions>();
  const Command verb = add_model_command(debug, *options, "logits", "Write the logits after every token",
                                         "carat debug logits model.gguf --tokens ids.json --out logits.npy");
  verb.option("--out", options->out, "Where to write a float32 .npy file, [tokens, vocabulary]")
      .required()
      .value("FILE");
  set_model_action(verb, action, options, run_logits);
}

void define_debug_generate(Command debug, Action& action) {
  auto options = std::make_shared<ModelOptions>();
  const Command verb =
      add_model_command(debug, *options, "generate", "Continue greedily, past any end, and print the new token ids",
                        "carat debug generate model.gguf --tokens ids.json --max-tokens 16");
  add_count(verb, "--max-tokens", options->max_tokens, 0, kMaxContext, "How many tokens to generate");
  add_assistant(verb, options->assistant);
  set_model_action(verb, action, options, run_generate);
}

}  // namespace carat
