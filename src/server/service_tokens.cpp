// Service: text to tokens and back, and what a conversation becomes.
#include "server/anthropic_messages.h"
#include "server/dialect.h"
#include "server/openai_chat.h"
#include "server/openai_responses.h"
#include "server/service.h"
#include "text/tokenizer.h"

namespace carat {

void Service::tokenize(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  const auto answerer = acquire(entry_of(string_of(body, "model")));
  const Tokenizer& tokenizer = answerer->tokenizer();
  const json::value* prompt = find_member(body, "prompt");
  EncodeOptions options;
  options.add_bos = boolean_of(body, "add_special_tokens").value_or(boolean_of(body, "add_special").value_or(false));
  options.parse_special = boolean_of(body, "parse_special").value_or(true);
  const auto ids = tokenizer.encode(string_of(body, prompt != nullptr ? "prompt" : "content"), options);

  const bool has_pieces = boolean_of(body, "with_pieces").value_or(false);
  json::array tokens;
  json::array strings;
  for (const std::int32_t id : ids) {
    const std::string piece = token_text(tokenizer.vocab().piece(id));
    if (has_pieces) {
      tokens.push_back({{"id", id}, {"piece", piece}});
    } else {
      tokens.push_back(id);
    }
    strings.push_back(json::value(piece));
  }
  json::object answer{
      {"tokens", std::move(tokens)}, {"count", ids.size()}, {"max_model_len", answerer->info().context}};
  if (boolean_of(body, "return_token_strs").value_or(false)) answer["token_strs"] = std::move(strings);
  respond(*exchange, answer);
}

void Service::detokenize(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  const auto answerer = acquire(entry_of(string_of(body, "model")));
  std::vector<std::int32_t> ids;
  for (const json::value& value : body.at("tokens").get_array()) {
    ids.push_back(static_cast<std::int32_t>(value.to_number<std::int64_t>()));
  }
  const std::string text = token_text(answerer->tokenizer().decode(ids));
  respond(*exchange, {{"prompt", text}, {"content", text}});
}

void Service::tokenizer_info(const std::shared_ptr<Exchange>& exchange) {
  const auto answerer = acquire(entry_of(query_parameter(exchange->request().query, "model").value_or("")));
  const Vocab& vocab = answerer->tokenizer().vocab();
  const auto piece = [&](std::optional<std::int32_t> id) {
    return id ? json::value(token_text(vocab.piece(*id))) : json::value(nullptr);
  };
  const ModelInfo& info = answerer->info();
  respond(*exchange, {{"tokenizer_class", "GemmaTokenizer"},
                      {"bos_token", piece(vocab.bos())},
                      {"eos_token", piece(vocab.eos())},
                      {"pad_token", piece(vocab.pad())},
                      {"unk_token", piece(vocab.unk())},
                      {"vocab_size", vocab.size()},
                      {"model_max_length", info.context},
                      {"chat_template", info.chat_template}});
}

void Service::apply_template(const std::shared_ptr<Exchange>& exchange) {
  const Call call = parse_openai_chat(body_of(exchange->request()), media_fetcher());
  const Request& request = call.requests.front();
  const auto answerer = acquire(entry_of(request.model));
  const RenderedPrompt rendered = answerer->render(request);
  json::array ids;
  for (const std::int32_t id : rendered.ids) ids.push_back(id);
  respond(*exchange, {{"prompt", rendered.text},
                      {"tokens", std::move(ids)},
                      {"template_revision", answerer->info().template_revision}});
}

void Service::count_tokens(const std::shared_ptr<Exchange>& exchange) {
  const Call call = parse_anthropic_messages(body_of(exchange->request()), media_fetcher());
  const Request& request = call.requests.front();
  respond(*exchange, {{"input_tokens", acquire(entry_of(request.model))->render(request).ids.size()}});
}

void Service::count_response_tokens(const std::shared_ptr<Exchange>& exchange) {
  const Call call = parse_openai_responses(body_of(exchange->request()), options_.is_lenient, media_fetcher());
  const Request& request = call.requests.front();
  const std::size_t count = acquire(entry_of(request.model))->render(request).ids.size();
  respond(*exchange, {{"object", "response.input_tokens"}, {"input_tokens", count}});
}

}  // namespace carat
