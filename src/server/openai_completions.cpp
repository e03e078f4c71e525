#include "server/openai_completions.h"

#include <map>

#include "server/dialect.h"
#include "server/openai_chat.h"
#include "server/openai_conversation.h"
#include "server/openai_prompts.h"

namespace carat {
namespace {

constexpr std::size_t kDefaultMaxTokens = 16;  // OpenAI's
constexpr std::size_t kMaxSequences = 128;     // prompts times n

struct CompletionOptions {
  std::string model;
  std::size_t choices = 1;            // of each prompt
  std::vector<std::string> prompts;   // as text, for echo
  std::vector<bool> is_text;          // of each prompt: a text, not token ids
  std::optional<std::int32_t> start;  // the token that is put before a text: no part of what is echoed
  bool is_echo = false;
  bool has_logprobs = false;
  bool has_usage_chunk = false;
  bool is_prompt_only = false;  // max_tokens 0: what is generated is thrown away
};

// {tokens, token_logprobs, top_logprobs, text_offset}, grown token by token.
class LogprobLists {
 public:
  void add(const TokenLogprob& token, bool is_first_of_prompt) {
    const std::string text = token_text(token.bytes);
    tokens_.push_back(json::value(text));
    offsets_.push_back(offset_);
    offset_ += text.size();
    if (is_first_of_prompt) {
      logprobs_.push_back(nullptr);
      tops_.push_back(nullptr);
      return;
    }
    logprobs_.push_back(token.logprob);
    json::object top;
    for (const auto& other : token.top) top[token_text(other.bytes)] = other.logprob;
    top[text] = token.logprob;
    tops_.push_back(std::move(top));
  }

  json::object take() {
    return {{"tokens", std::exchange(tokens_, {})},
            {"token_logprobs", std::exchange(logprobs_, {})},
            {"top_logprobs", std::exchange(tops_, {})},
            {"text_offset", std::exchange(offsets_, {})}};
  }

 private:
  json::array tokens_, logprobs_, tops_, offsets_;
  std::size_t offset_ = 0;  // bytes of text so far
};

std::string_view finish_reason(const Finished& finished) {
  return finished.reason == FinishReason::kLength || finished.reason == FinishReason::kLoop ? "length" : "stop";
}

class CompletionFormat : public AnswerFormat {
 public:
  explicit CompletionFormat(CompletionOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  std::string event(std::size_t prompt, const Event& event) override {
    if (const auto* done = std::get_if<Done>(&event.body)) {
      add_usage(done->usage);
      return {};
    }
    if (std::holds_alternative<Started>(event.body)) return {};
    Choice& choice = choices_[prompt * options_.choices + event.choice];
    choice.index = prompt * options_.choices + event.choice;
    std::string out;
    if (options_.is_echo && !std::exchange(choice.has_begun, true)) {
      choice.held = options_.prompts[prompt];
      if (!options_.has_logprobs) out = chunk(choice, nullptr);
    }
    if (const auto* logprobs = std::get_if<PromptLogprobs>(&event.body)) {
      if (options_.is_echo) add_prompt_logprobs(choice, prompt, logprobs->tokens);
    } else if (options_.is_prompt_only && !std::holds_alternative<Finished>(event.body)) {
      return out;
    } else if (const auto* text = std::get_if<ContentText>(&event.body)) {
      choice.held += text->text;
      if (!options_.has_logprobs) out += chunk(choice, nullptr);
    } else if (const auto* thought = std::get_if<ReasoningText>(&event.body)) {
      choice.held += thought->text;
    } else if (const auto* unparsed = std::get_if<UnparsedText>(&event.body)) {
      choice.held += unparsed->text;
    } else if (const auto* generated = std::get_if<TokenLogprobs>(&event.body)) {
      for (const TokenLogprob& token : generated->tokens) choice.logprobs.add(token, false);
      out += chunk(choice, nullptr);
    } else if (const auto* finished = std::get_if<Finished>(&event.body)) {
      out += chunk(choice, finished);
    }
    return out;
  }

  std::string end() override {
    std::string out;
    if (options_.has_usage_chunk) {
      json::object last = head();
      last["choices"] = json::array();
      last["usage"] = openai_usage(usage_);
      out = sse_data(last);
    }
    return out + "data: [DONE]\n\n";
  }

  std::string stream_error(const ApiError& error, std::string_view request_id) override {
    return sse_data(error_json(Dialect::kOpenAi, error, request_id));
  }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    json::array choices;
    for (std::size_t p = 0; p < answers.size(); ++p) {
      add_usage(answers[p].usage);
      for (const WholeAnswer::Choice& answer : answers[p].choices) {
        std::string text = options_.is_echo ? options_.prompts[p] : "";
        if (!options_.is_prompt_only) text += answer.reasoning + answer.content + answer.unparsed;
        json::object entry{{"index", choices.size()},
                           {"text", text},
                           {"logprobs", nullptr},
                           {"finish_reason", finish_reason(answer.finished)}};
        if (options_.has_logprobs) {
          Choice lists;
          if (options_.is_echo) add_prompt_logprobs(lists, p, answer.prompt_logprobs);
          if (!options_.is_prompt_only) {
            for (const TokenLogprob& token : answer.logprobs) lists.logprobs.add(token, false);
          }
          entry["logprobs"] = lists.logprobs.take();
        }
        choices.push_back(std::move(entry));
      }
    }
    json::object body = head();
    body["choices"] = std::move(choices);
    body["usage"] = openai_usage(usage_);
    ServerResponse response;
    response.body = json::serialize(body);
    return response;
  }

 private:
  struct Choice {
    std::size_t index = 0;
    bool has_begun = false;
    std::string held;  // text not sent yet
    LogprobLists logprobs;
  };

  void add_prompt_logprobs(Choice& choice, std::size_t prompt, const std::vector<TokenLogprob>& tokens) const {
    // A text was given a start token, which it doesn't show; so even its first token has something before it.
    const bool has_start = options_.is_text[prompt] && !tokens.empty() && options_.start == tokens[0].token;
    for (std::size_t i = has_start ? 1 : 0; i < tokens.size(); ++i) choice.logprobs.add(tokens[i], i == 0);
  }

  void add_usage(const Usage& usage) {
    usage_.prompt_tokens += usage.prompt_tokens;
    usage_.cached_tokens += usage.cached_tokens;
    usage_.completion_tokens += options_.is_prompt_only ? 0 : usage.completion_tokens;
    usage_.reasoning_tokens += usage.reasoning_tokens;
  }

  json::object head() const {
    return {{"id", id_}, {"object", "text_completion"}, {"created", created_}, {"model", options_.model}};
  }

  std::string chunk(Choice& choice, const Finished* finished) {
    json::object entry{{"index", choice.index},
                       {"text", std::exchange(choice.held, {})},
                       {"logprobs", nullptr},
                       {"finish_reason", nullptr}};
    if (options_.has_logprobs) entry["logprobs"] = choice.logprobs.take();
    if (finished != nullptr) entry["finish_reason"] = finish_reason(*finished);
    json::object body = head();
    body["choices"] = json::array{std::move(entry)};
    return sse_data(body);
  }

  CompletionOptions options_;
  std::string id_ = random_id("cmpl-");
  std::int64_t created_ = unix_time();
  std::map<std::size_t, Choice> choices_;
  Usage usage_;
};

}  // namespace

Call parse_openai_completion(const json::object& body, const Tokenizer& tokenizer) {
  Call call;
  call.is_streaming = boolean_of(body, "stream").value_or(false);
  CompletionOptions options;
  options.model = string_of(body, "model");
  options.choices = size_of(body, "n").value_or(1);
  options.is_echo = boolean_of(body, "echo").value_or(false);
  const json::object* stream_options = object_of(body, "stream_options");
  options.has_usage_chunk =
      call.is_streaming && stream_options != nullptr && boolean_of(*stream_options, "include_usage").value_or(false);
  const auto logprobs = size_of(body, "logprobs");
  options.has_logprobs = logprobs.has_value();

  Request base;
  base.model = options.model;
  base.user = string_of(body, "user");
  base.choices = options.choices;
  read_sampling(body, base.sampling);
  read_extensions(body, base);
  base.limits.stop = stops_of(body, "stop");
  const std::size_t max_tokens = size_of(body, "max_tokens").value_or(kDefaultMaxTokens);
  options.is_prompt_only = max_tokens == 0;
  base.limits.max_tokens = std::max<std::size_t>(1, max_tokens);
  base.logprobs = logprobs;
  if (options.is_echo) base.prompt_logprobs = logprobs;
  if (const json::object* format = object_of(body, "response_format")) {
    base.format = format_from_openai(*format, "response_format");
  }
  if (const std::string grammar = string_of(body, "grammar"); !grammar.empty()) {
    base.format.kind = FormatKind::kGbnf;
    base.format.text = grammar;
  }

  std::vector<Prompt> prompts = prompts_of(find_member(body, "prompt"), tokenizer, "prompt");
  if (prompts.size() * options.choices > kMaxSequences) {
    throw ApiError(400, "invalid_value", str("prompts times n may be at most ", kMaxSequences, "."), "prompt");
  }
  options.start = tokenizer.vocab().bos();
  for (Prompt& prompt : prompts) {
    if (options.is_echo) {
      const auto* text = std::get_if<TextPrompt>(&prompt);
      options.is_text.push_back(text != nullptr);
      options.prompts.push_back(
          text != nullptr ? text->text : token_text(tokenizer.decode(std::get<TokenPrompt>(prompt).ids, true)));
    }
    Request request = base;
    request.prompt = std::move(prompt);
    call.requests.push_back(std::move(request));
  }
  call.format = std::make_unique<CompletionFormat>(std::move(options));
  return call;
}

}  // namespace carat
