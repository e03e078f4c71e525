#include "chat/chat_template.h"

#include <array>
#include <cstdint>
#include <utility>

#include "chat/builtin_templates.h"

namespace carat {
namespace {

// FNV-1a: names the few texts we know; nothing rests on its being hard to forge.
constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

struct Revision {
  std::uint64_t hash;
  std::string_view name;
};
constexpr std::array<Revision, 3> kRevisions{
    {{0xe5340ed712edbd88, "31B-it"}, {0xe26fce6b275972df, "gguf"}, {0x013a78594270bf0f, "interleaved"}}};

// Templates look for thoughts in one field; clients send them in three.
json::array with_reasoning_content(const json::array& messages) {
  json::array result = messages;
  for (json::value& message : result) {
    json::object* object = message.if_object();
    if (object == nullptr || find_member(*object, "reasoning_content") != nullptr) continue;
    for (const std::string_view alias : {"thinking", "reasoning"}) {
      if (const json::value* reasoning = find_member(*object, alias)) {
        const json::value copy = *reasoning;
        object->insert_or_assign("reasoning_content", copy);
        break;
      }
    }
  }
  return result;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string text) : text_(std::move(text)), template_(text_) {}

MarkedText ChatTemplate::render(const json::array& messages, const json::value& tools,
                                const RenderOptions& options) const {
  using jinja::Value;
  jinja::Runtime rt(jinja::Limits(), options.now.value_or(std::time(nullptr)));
  jinja::Variables variables;
  variables.emplace("messages", jinja::from_json(rt, with_reasoning_content(messages)));
  variables.emplace("tools", jinja::from_json(rt, tools));
  variables.emplace("documents", Value::none());
  variables.emplace("add_generation_prompt", Value(options.add_generation_prompt));
  if (options.enable_thinking) variables.emplace("enable_thinking", Value(*options.enable_thinking));
  variables.emplace("bos_token", Value::trusted(options.bos_token));
  variables.emplace("eos_token", Value::trusted(options.eos_token));
  for (const auto& [name, value] : options.extra) {
    if (variables.emplace(name, jinja::from_json(rt, value)).second) continue;
    throw Error(ErrorKind::kBadInput, str("the template's variable \"", printable(std::string_view(name)),
                                          "\" is set by the request itself. Leave it out of the further ones."));
  }
  return template_.render(rt, variables);
}

std::string_view template_revision(std::string_view text) {
  const std::uint64_t hash = fnv1a(text);
  for (const Revision& revision : kRevisions) {
    if (revision.hash == hash) return revision.name;
  }
  return "custom";
}

std::string_view builtin_template(std::string_view architecture) {
  return architecture.starts_with("gemma3") ? gemma3_template : gemma4_template;
}

}  // namespace carat
