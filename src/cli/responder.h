// Responder: messages in, an answer out: the template, the tokenizer, the session and the parser of answers together.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "cli/answer.h"
#include "cli/media_files.h"
#include "engine/lookahead.h"
#include "engine/session.h"
#include "grammar/grammar.h"

namespace carat {

class ChatTemplate;

// Called with pieces of text as they become certain.
struct ReplySink {
  std::function<void(std::string_view)> on_content = {};
  std::function<void(std::string_view)> on_thinking = {};
  bool shows_calls = true;  // tool calls are said as content, too
};

// What a conversation's answer may be.
struct ReplyOptions {
  bool thinks = false;
  json::value tools = nullptr;  // as the template takes them: [{"type": "function", "function": {...}}]; null: none
  GrammarSpec form = {};        // where the answer begins is found from `thinks` and the prompt
};

struct Reply {
  std::string content;
  std::string thinking;
  json::array tool_calls;  // [{name, arguments}]
  Answer answer;
};

class Responder {
 public:
  // Throws as Session, and Error(kBadFile) for a template that can't be read.
  // assistant: of that model, to guess tokens with; null for none.
  Responder(std::shared_ptr<const Model> model, const ComputeOptions& compute, const SessionOptions& options,
            std::shared_ptr<const Assistant> assistant = nullptr);
  ~Responder();

  // True for an instruction model: one with a template.
  bool has_template() const;
  const Session& session() const { return session_; }
  // What the model sees or hears of a file; known files are not encoded again. Throws as MediaStore.
  SharedSoftTokens load(const MediaFile& file) { return load_medium(store_, session_.media_compute(), file); }
  // The same for all files of a conversation, in the order of their places.
  LoadedMedia load_media(const json::array& messages);

  // Answers a conversation, [{role, content}]. media: for the parts {"type": "image"} and so on of the messages, in
  // their order. What the session holds of it from the last time is not read again.
  // Throws Error(kBadInput, kUnsupported) for a form that can't be kept to.
  Reply reply(const json::array& messages, const LoadedMedia& media, const ReplyOptions& how,
              const AnswerOptions& options, const ReplySink& sink, const std::function<bool()>& is_cancelled = {});
  // Continues a text, without a template. parses_special: text such as <|turn> means the token.
  Reply complete(std::string_view text, bool parses_special, const GrammarSpec& form, const AnswerOptions& options,
                 const ReplySink& sink, const std::function<bool()>& is_cancelled = {});

 private:
  // Null where every answer has the form.
  std::shared_ptr<const Grammar> grammar(const GrammarSpec& form);

  std::unique_ptr<const ChatTemplate> template_;  // null for a base model
  Session session_;
  std::unique_ptr<Lookahead> lookahead_;  // over session_; null without an assistant
  MediaStore store_;
  std::unique_ptr<GrammarCompiler> compiler_;  // made when the first form asks for it
};

}  // namespace carat
