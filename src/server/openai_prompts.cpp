#include "server/openai_prompts.h"

#include "base/error.h"
#include "server/api_error.h"
#include "text/vocab.h"

namespace carat {
namespace {

std::vector<std::int32_t> ids_of(const json::array& array, const Tokenizer& tokenizer, const std::string& param) {
  std::vector<std::int32_t> ids;
  for (const json::value& value : array) {
    const auto id = value.to_number<std::int64_t>();
    if (!tokenizer.vocab().contains(id)) {
      throw ApiError(400, "invalid_value", str(param, ": ", id, " is no token of this model."), param);
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

}  // namespace

std::vector<Prompt> prompts_of(const json::value* value, const Tokenizer& tokenizer, const std::string& param) {
  std::vector<Prompt> prompts;
  const auto add_text = [&](std::string text) {
    if (text.empty() && tokenizer.vocab().bos()) {
      prompts.emplace_back(TokenPrompt{{*tokenizer.vocab().bos()}});  // the model goes on from its start token
    } else {
      prompts.emplace_back(TextPrompt{std::move(text), false, {}});
    }
  };
  if (value == nullptr || value->is_string()) {
    add_text(value == nullptr ? "" : std::string(value->get_string()));
    return prompts;
  }
  const json::array& array = value->get_array();
  if (!array.empty() && array[0].is_number()) {
    prompts.emplace_back(TokenPrompt{ids_of(array, tokenizer, param)});
    return prompts;
  }
  for (const json::value& item : array) {
    if (item.is_string()) {
      add_text(std::string(item.get_string()));
    } else if (item.get_array().empty()) {
      add_text("");
    } else {
      prompts.emplace_back(TokenPrompt{ids_of(item.get_array(), tokenizer, param)});
    }
  }
  if (prompts.empty()) add_text("");
  return prompts;
}

}  // namespace carat
