// GrammarSpec: what form an answer has to have, as a request says it.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"

namespace carat {

// JSON that a schema of draft 2020-12 describes; docs/structured-output.md has the keywords that are understood.
struct JsonSchemaFormat {
  json::value schema;
  // A keyword that isn't understood is refused by its name. If false, it is passed over: answers are valid JSON, but
  // that keyword may not hold.
  bool is_strict = true;
};
struct JsonObjectFormat {};  // any JSON object
struct RegexFormat {
  std::string pattern;  // of the whole text, without ^ and $
};
struct GrammarFormat {
  std::string text;  // GBNF, as llama.cpp has it, or xgrammar's EBNF; starts from the rule "root"
};
struct ChoiceFormat {
  std::vector<std::string> choices;  // the text is one of them
};
using ContentFormat = std::variant<JsonSchemaFormat, JsonObjectFormat, RegexFormat, GrammarFormat, ChoiceFormat>;

struct ToolSpec {
  std::string name;
  json::value parameters = {};  // the schema of its arguments, an object; null: none
  bool is_strict = false;       // as JsonSchemaFormat's
};

enum class CallMode {
  kNone,      // no calls
  kAuto,      // text, calls, or both
  kRequired,  // calls only, at least one
};

// Where the answer begins, seen from the end of the prompt.
enum class AnswerStart {
  kAnswer,        // at once: the model may not think
  kMayThink,      // at once, or behind a thought channel that the model opens
  kInsideThought  // behind the end of the thought that the prompt has opened
};

// The form of everything that is generated for one answer, from its first token to the token that ends it. A thought is
// free, what follows it has the form.
struct GrammarSpec {
  std::optional<ContentFormat> content = {};  // none: any text
  // The tools that may be called: for a named one, that one alone with kRequired.
  std::vector<ToolSpec> tools = {};
  CallMode calls = CallMode::kAuto;
  bool allows_parallel_calls = true;
  AnswerStart start = AnswerStart::kAnswer;

  // False when every answer has this form: no grammar is needed.
  bool constrains() const { return content || !tools.empty(); }
};

}  // namespace carat
