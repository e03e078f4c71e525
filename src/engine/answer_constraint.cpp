#include "engine/answer_constraint.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "grammar/grammar_constraint.h"

namespace carat {
namespace {

std::optional<ContentFormat> content_format(const OutputFormat& format) {
  switch (format.kind) {
    case FormatKind::kText:
      return std::nullopt;
    case FormatKind::kJsonObject:
      return JsonObjectFormat{};
    case FormatKind::kJsonSchema:
      return JsonSchemaFormat{format.schema, format.is_strict};
    case FormatKind::kRegex:
      return RegexFormat{format.text};
    case FormatKind::kGbnf:
      return GrammarFormat{format.text};
    case FormatKind::kChoice:
      return ChoiceFormat{format.choices};
  }
  return std::nullopt;
}

void add_tools(const Conversation& conversation, GrammarSpec& spec) {
  const ToolChoice& choice = conversation.tool_choice;
  for (const std::string& name : choice.allowed) {
    if (std::ranges::find(conversation.tools, name, &Tool::name) != conversation.tools.end()) continue;
    throw Error(ErrorKind::kBadInput, str("tool_choice names the tool \"", name, "\", which is not among the tools."));
  }
  for (const Tool& tool : conversation.tools) {
    if (!choice.allowed.empty() && std::ranges::find(choice.allowed, tool.name) == choice.allowed.end()) continue;
    const json::value* parameters = find_member(tool.function, "parameters");
    spec.tools.push_back({tool.name, parameters == nullptr ? json::value() : *parameters, tool.is_strict});
  }
  if (choice.mode == ToolMode::kRequired && spec.tools.empty()) {
    throw Error(ErrorKind::kBadInput, "a tool call is required, but there are no tools.");
  }
  spec.calls = choice.mode == ToolMode::kRequired ? CallMode::kRequired : CallMode::kAuto;
  spec.allows_parallel_calls = choice.allows_parallel;
}

// The engine itself keeps thoughts out of it: seen from the grammar, the answer begins at once.
GrammarSpec grammar_spec(const Request& request) {
  GrammarSpec spec;
  spec.content = content_format(request.format);
  const auto* conversation = std::get_if<Conversation>(&request.prompt);
  if (conversation == nullptr || conversation->tool_choice.mode == ToolMode::kNone) {
    spec.calls = CallMode::kNone;
  } else {
    add_tools(*conversation, spec);
  }
  return spec;
}

}  // namespace

ConstraintFactory grammar_constraints() {
  struct Shared {
    std::once_flag once;  // guards compiler
    std::unique_ptr<GrammarCompiler> compiler;
  };
  return [shared = std::make_shared<Shared>()](const Request& request,
                                               const Tokenizer& tokenizer) -> std::unique_ptr<TokenConstraint> {
    const GrammarSpec spec = grammar_spec(request);
    if (!spec.constrains()) return nullptr;
    std::call_once(shared->once, [&] { shared->compiler = std::make_unique<GrammarCompiler>(tokenizer.vocab()); });
    return std::make_unique<GrammarConstraint>(shared->compiler->compile(spec));
  };
}

}  // namespace carat
