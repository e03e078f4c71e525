#include "grammar/answer_rules.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"
#include "grammar/pattern.h"
#include "grammar/schema.h"
#include "grammar/schema_rules.h"

namespace carat {
namespace {

// A place that the vocabulary keeps free; tokenizer.json doesn't tell it from text such as "<unused7>".
bool is_unused(const Vocab& vocab, std::int32_t id) {
  const std::string_view piece = vocab.piece(id);
  return vocab.type(id) == TokenType::kUnused || (piece.starts_with("<unused") && piece.ends_with('>'));
}

std::string token(std::int32_t id) {
  return str("Token(", id, ")");
}

std::string content_rules(const JsonSchemaFormat& format, std::size_t max_depth) {
  const std::string where = "schema";
  const Schema schema =
      read_schema(format.schema, {.where = where, .is_strict = format.is_strict, .max_depth = max_depth});
  return base_rules({}) + schema_rules(schema, {}, "carat-content", where);
}

std::string content_rules(const JsonObjectFormat& /*format*/, std::size_t /*max_depth*/) {
  return base_rules({}) + "carat-content ::= " + any_object_rule({}) + "\n";
}

std::string content_rules(const RegexFormat& format, std::size_t /*max_depth*/) {
  return str("carat-content ::= Regex(", ebnf_literal(checked_pattern(format.pattern, "regular expression")),
             ", flags=\"u\")\n");
}

std::string content_rules(const GrammarFormat& format, std::size_t /*max_depth*/) {
  check_grammar_text(format.text);
  // First, so that line numbers in messages are those of the text.
  return format.text + "\ncarat-content ::= root\n";
}

std::string content_rules(const ChoiceFormat& format, std::size_t /*max_depth*/) {
  if (format.choices.empty()) throw Error(ErrorKind::kBadInput, "the list of choices is empty");
  std::string rules = "carat-content ::= ";
  for (std::size_t i = 0; i < format.choices.size(); ++i) {
    if (!is_valid_utf8(format.choices[i])) throw Error(ErrorKind::kBadInput, str("choice ", i, " is not UTF-8"));
    rules += str(i > 0 ? " | " : "", ebnf_literal(format.choices[i]));
  }
  return rules + "\n";
}

class AnswerRules {
 public:
  AnswerRules(const GrammarSpec& format, const ProtocolTokens& tokens, std::size_t max_depth)
      : format_(format), tokens_(tokens), max_depth_(max_depth) {}

  std::string write() {
    if (format_.content) {
      rules_ += std::visit([&](const auto& content) { return content_rules(content, max_depth_); }, *format_.content);
    }
    const bool has_calls = !format_.tools.empty() && format_.calls != CallMode::kNone;
    if (has_calls) write_call();
    // Free text, by its characters: control tokens have bytes that are none. By tokens (ExcludeToken, TokenTagDispatch)
    // it would be as good, until a string somewhere has a maxLength: then xgrammar tries all of them at every step.
    rules_ += str("carat-text ::= ", kAnyCharacters, "*\n");
    rules_ += str("carat-answer ::= ", answer(has_calls), "\n");
    write_root();
    return std::move(rules_);
  }

 private:
  std::string answer(bool has_calls) {
    if (!has_calls) return format_.content ? "carat-content" : "carat-text";
    const std::string calls = format_.allows_parallel_calls ? "carat-call+" : "carat-call";
    if (format_.calls == CallMode::kRequired) return calls;
    if (format_.content) return "carat-content | " + calls;
    return format_.allows_parallel_calls ? "carat-text (carat-call carat-text)*" : "carat-text carat-call?";
  }

  // <|tool_call>call:name{...}<tool_call|>
  void write_call() {
    if (!tokens_.call_open || !tokens_.call_close || !tokens_.quote) {
      throw Error(ErrorKind::kUnsupported, "this model's vocabulary has no tokens for tool calls: it is no Gemma 4");
    }
    const Notation notation{.quote = tokens_.quote};
    rules_ += base_rules(notation);
    std::string names;
    for (std::size_t i = 0; i < format_.tools.size(); ++i) {
      const ToolSpec& tool = format_.tools[i];
      check_name(tool.name);
      const std::string arguments = str("carat-tool-", i);
      const std::string where = str("parameters of the tool \"", printable(tool.name), "\"");
      write_arguments(tool, notation, arguments, where);
      names += str(i > 0 ? " | " : "", ebnf_literal(tool.name), " ", arguments);
    }
    rules_ += str("carat-call-rest ::= \"call:\" (", names, ") ", token(*tokens_.call_close), "\n");
    rules_ += str("carat-call ::= ", token(*tokens_.call_open), " carat-call-rest\n");
  }

  void write_arguments(const ToolSpec& tool, const Notation& notation, const std::string& rule,
                       const std::string& where) {
    const json::value none(json::object{{"type", "object"}, {"properties", json::object{}}});
    const bool has_parameters =
        !tool.parameters.is_null() && !(tool.parameters.is_object() && tool.parameters.get_object().empty());
    const SchemaOptions options{.where = where, .is_strict = tool.is_strict, .max_depth = max_depth_};
    try {
      const Schema schema = read_schema(has_parameters ? tool.parameters : none, options);
      if (!is_object_schema(schema, schema.root, 0)) {
        throw Error(ErrorKind::kBadInput, str(where, ": arguments are an object, the schema describes something else"));
      }
      rules_ += schema_rules(schema, notation, rule, where);
    } catch (const Error& error) {
      if (tool.is_strict || error.kind() != ErrorKind::kUnsupported) throw;
      rules_ += str(rule, " ::= ", any_object_rule(notation), "\n");
    }
  }

  // References and alternatives lead to objects only.
  static bool is_object_schema(const Schema& schema, SchemaId id, std::size_t depth) {
    if (depth > 64) return false;
    const SchemaNode& node = schema.nodes[id];
    if (const auto* parts = std::get_if<UnionValue>(&node)) {
      return std::all_of(parts->alternatives.begin(), parts->alternatives.end(),
                         [&](SchemaId part) { return is_object_schema(schema, part, depth + 1); });
    }
    return std::holds_alternative<ObjectValue>(node);
  }

  static void check_name(const std::string& name) {
    const bool is_name = !name.empty() && name.size() <= 256 && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
             c == '.' || c == '/' || c == ':';
    });
    if (!is_name) {
      throw Error(ErrorKind::kBadInput, str("the tool name \"", printable(name),
                                            "\" is not made of letters, digits and _ - . / :, 1 to 256 of them"));
    }
  }

  void write_root() {
    if (format_.start != AnswerStart::kAnswer && (!tokens_.channel_open || !tokens_.channel_close)) {
      throw Error(ErrorKind::kUnsupported, "this model's vocabulary has no tokens for thoughts");
    }
    if (format_.start == AnswerStart::kAnswer) {
      rules_ += str(kRootRule, " ::= carat-answer\n");
      return;
    }
    rules_ += str("carat-thought ::= carat-text ", token(*tokens_.channel_close), "\n");
    const std::string open = token(*tokens_.channel_open);
    rules_ += format_.start == AnswerStart::kInsideThought
                  ? str(kRootRule, " ::= carat-thought carat-answer\n")
                  : str(kRootRule, " ::= (", open, " carat-thought)? carat-answer\n");
  }

  const GrammarSpec& format_;
  const ProtocolTokens& tokens_;
  std::size_t max_depth_;
  std::string rules_;
};

}  // namespace

ProtocolTokens::ProtocolTokens(const Vocab& vocab)
    : channel_open(vocab.find("<|channel>")),
      channel_close(vocab.find("<channel|>")),
      call_open(vocab.find("<|tool_call>")),
      call_close(vocab.find("<tool_call|>")),
      quote(vocab.find("<|\"|>")) {
  for (std::size_t id = 0; id < vocab.size(); ++id) {
    const auto token = static_cast<std::int32_t>(id);
    if (vocab.is_special(token) || vocab.is_end(token) || is_unused(vocab, token)) control.push_back(token);
  }
}

std::string answer_rules(const GrammarSpec& format, const ProtocolTokens& tokens, std::size_t max_depth) {
  return AnswerRules(format, tokens, max_depth).write();
}

}  // namespace carat
