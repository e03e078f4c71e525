#include "cli/answer_form.h"

namespace carat {

void add_format_flags(CLI::App& verb, FormatFlags& flags) {
  constexpr const char* kGroup = "Form of the answer";
  CLI::Option* format = verb.add_option("--format", flags.format, "json: a JSON object; a file: JSON by that schema")
                            ->type_name("json|FILE")
                            ->group(kGroup);
  CLI::Option* regex = verb.add_option("--regex", flags.regex, "What the whole answer must match")
                           ->type_name("REGEX")
                           ->excludes(format)
                           ->group(kGroup);
  CLI::Option* grammar = verb.add_option("--grammar", flags.grammar, "A file with a grammar (GBNF), from its rule root")
                             ->type_name("FILE")
                             ->excludes(format)
                             ->excludes(regex)
                             ->group(kGroup);
  verb.add_option("--choice", flags.choices, "A text that the answer may be; once for each")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->excludes(format)
      ->excludes(regex)
      ->excludes(grammar)
      ->group(kGroup);
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
