#include "cli/responder.h"

#include "base/error.h"
#include "chat/chat_template.h"
#include "chat/output_parser.h"
#include "engine/encode_segments.h"
#include "text/detokenizer.h"

namespace carat {

namespace {

// Collects an answer and hands its pieces on.
class Collector {
 public:
  Collector(Reply& reply, const ReplySink& sink) : reply_(reply), sink_(sink) {}

  void content(std::string_view text) {
    reply_.content += text;
    if (!text.empty() && sink_.on_content) sink_.on_content(text);
  }
  void thinking(std::string_view text) {
    reply_.thinking += text;
    if (!text.empty() && sink_.on_thinking) sink_.on_thinking(text);
  }
  void parsed(const ParsedOutput& news) {
    thinking(news.reasoning);
    content(news.content);
    content(news.unparsed);
    for (const ToolCall& call : news.tool_calls) {
      reply_.tool_calls.push_back(json::object{{"name", call.name}, {"arguments", call.arguments}});
      if (sink_.on_content && sink_.shows_calls)
        sink_.on_content(str("[calls ", call.name, json::serialize(call.arguments), "]\n"));
    }
  }

 private:
  Reply& reply_;
  const ReplySink& sink_;
};

}  // namespace

Responder::Responder(std::shared_ptr<const Model> model, const ComputeOptions& compute, const SessionOptions& options,
                     std::shared_ptr<const Assistant> assistant)
    : template_(model->chat_template().empty()
                    ? nullptr
                    : std::make_unique<const ChatTemplate>(std::string(model->chat_template()))),
      session_(model, compute, options),
      store_(std::move(model)) {
  if (assistant != nullptr) lookahead_ = std::make_unique<Lookahead>(session_, std::move(assistant));
}

Responder::~Responder() = default;

bool Responder::has_template() const {
  return template_ != nullptr;
}

LoadedMedia Responder::load_media(const json::array& messages) {
  LoadedMedia media;
  for (const MediaFile& file : media_of(messages)) {
    if (file.kind != MediaKind::kVideo) {
      media.soft.push_back(load(file));
      continue;
    }
    FilmTokens film = load_film(store_, session_.model(), session_.media_compute(), file);
    media.soft.insert(media.soft.end(), film.frames.begin(), film.frames.end());
    media.films.push_back(std::move(film.timestamps));
  }
  return media;
}

std::shared_ptr<const Grammar> Responder::grammar(const GrammarSpec& form) {
  if (!form.constrains()) return nullptr;
  if (!compiler_) compiler_ = std::make_unique<GrammarCompiler>(session_.model().tokenizer().vocab());
  return compiler_->compile(form);
}

Reply Responder::reply(const json::array& messages, const LoadedMedia& media, const ReplyOptions& how,
                       const AnswerOptions& options, const ReplySink& sink, const std::function<bool()>& is_cancelled) {
  const Tokenizer& tokenizer = session_.model().tokenizer();
  const Vocab& vocab = tokenizer.vocab();
  RenderOptions render;
  render.enable_thinking = how.thinks;
  if (vocab.bos()) render.bos_token = vocab.piece(*vocab.bos());
  if (vocab.eos()) render.eos_token = vocab.piece(*vocab.eos());
  const MarkedText prompt = spell_out_films(template_->render(messages, how.tools, render), media.films);

  Reply reply;
  Collector collector(reply, sink);
  OutputParser parser(prompt.view());
  Detokenizer detokenizer(vocab, {.skip_special = true});
  const auto on_token = [&](std::int32_t id) {
    if (const auto control = control_token(vocab.piece(id))) {
      parser.push(detokenizer.flush());
      parser.push(*control);
    } else {
      parser.push(detokenizer.push(id));
    }
    collector.parsed(parser.take());
  };
  GrammarSpec form = how.form;
  if (parser.is_in_reasoning()) {
    form.start = AnswerStart::kInsideThought;
  } else if (how.thinks && vocab.find(text_of(ControlToken::kChannelOpen))) {
    form.start = AnswerStart::kMayThink;
  }
  const std::vector<std::int32_t> ids = encode_segments(tokenizer, prompt);
  const MediaTokenIds media_tokens = session_.model().media_tokens();
  reply.answer =
      generate_answer(session_, lookahead_.get(),
                      media.soft.empty() ? MediaPrompt{ids, {}} : expand_placeholders(ids, media_tokens, media.soft),
                      options, grammar(form), on_token, is_cancelled);
  parser.push(detokenizer.flush());
  parser.finish();
  collector.parsed(parser.take());
  return reply;
}

Reply Responder::complete(std::string_view text, bool parses_special, const GrammarSpec& form,
                          const AnswerOptions& options, const ReplySink& sink,
                          const std::function<bool()>& is_cancelled) {
  const Tokenizer& tokenizer = session_.model().tokenizer();
  const Vocab& vocab = tokenizer.vocab();
  std::vector<std::int32_t> prompt = tokenizer.encode(text, {.add_bos = true, .parse_special = parses_special});
  // A raw prompt may have written the token that begins a text itself.
  if (prompt.size() > 1 && vocab.bos() == prompt[0] && prompt[1] == prompt[0]) prompt.erase(prompt.begin());

  Reply reply;
  Collector collector(reply, sink);
  Detokenizer detokenizer(vocab, {.skip_special = true});
  const auto on_token = [&](std::int32_t id) { collector.content(detokenizer.push(id)); };
  reply.answer =
      generate_answer(session_, lookahead_.get(), {prompt, {}}, options, grammar(form), on_token, is_cancelled);
  collector.content(detokenizer.flush());
  return reply;
}

}  // namespace carat
