// ChatTemplate: messages and tools -> the text of a prompt, by the Jinja template of a model file.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "chat/jinja_template.h"
#include "chat/marked_text.h"

namespace carat {

struct RenderOptions {
  bool add_generation_prompt = true;
  std::optional<bool> enable_thinking;  // left undefined in the template when absent
  json::object extra;                   // further variables (chat_template_kwargs); untrusted
  std::string bos_token = "<bos>";
  std::string eos_token = "<eos>";
  std::optional<std::time_t> now;  // for templates that print the date; the time of the call when absent
};

class ChatTemplate {
 public:
  // Throws Error(kBadFile) that names line and reason when text is no template.
  explicit ChatTemplate(std::string text);

  const std::string& text() const { return text_; }

  // The prompt. Its trusted runs are the template's own words, the others are strings of messages, tools and extra:
  // when the prompt is tokenised, only text that lies in one trusted run may become a control token. Everything else,
  // also text across a border of runs, is ordinary text. tools: an array, or null. Throws Error(kBadInput) when the
  // template refuses the request or exceeds its limits, and where extra names what is set already.
  MarkedText render(const json::array& messages, const json::value& tools, const RenderOptions& options) const;

 private:
  std::string text_;
  jinja::Template template_;
};

// The name of an official Gemma 4 template: "31B-it", "gguf" (older, in the GGUF files of the vocabulary) or
// "interleaved"; "custom" for any other text.
std::string_view template_revision(std::string_view text);

// The template for a file without one, by the file's general.architecture ("gemma3", "gemma4").
std::string_view builtin_template(std::string_view architecture);

}  // namespace carat
