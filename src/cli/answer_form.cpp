#include "cli/answer_form.h"

namespace carat {

void add_format_flags(Command verb, FormatFlags& flags) {
  constexpr const char* kGroup = "Form of the answer";
  const Option format = verb.option("--format", flags.format, "json: a JSON object; a file: JSON by that schema")
                            .value("json|FILE")
                            .group(kGroup);
  const Option regex = verb.option("--regex", flags.regex, "What the whole answer must match")
                           .value("REGEX")
                           .excludes(format)
                           .group(kGroup);
  const Option grammar = verb.option("--grammar", flags.grammar, "A file with a grammar (GBNF), from its rule root")
                             .value("FILE")
                             .excludes(format)
                             .excludes(regex)
                             .group(kGroup);
  verb.option("--choice", flags.choices, "A text that the answer may be; once for each")
      .value("TEXT")
      .once_each()
      .excludes(format)
      .excludes(regex)
      .excludes(grammar)
      .group(kGroup);
}

std::optional<ContentFormat> content_format(const FormatFlags& flags) {
  if (flags.format == "json") return JsonObjectFormat{};
  if (!flags.format.empty()) {
    return JsonSchemaFormat{.schema = parse_json(read_input_file(flags.format), flags.format, ErrorKind::kBadInput)};
  }
  if (!flags.regex.empty()) return RegexFormat{flags.regex};
  if (!flags.grammar.empty()) return GrammarFormat{read_input_file(flags.grammar)};
  if (!flags.choices.empty()) return ChoiceFormat{flags.choices};
  return std::nullopt;
}

}  // namespace carat
