#include "grammar/schema_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "grammar/number_rules.h"
#include "grammar/pattern.h"

namespace carat {
namespace {

// What may stand in a string as it is (ranges: kAnyCharacters).
constexpr const char* kJsonCharacters =
    R"([\x20-\x21\x23-\x5b\x5d-\x7f\u0080-\u07ff\u0800-\ud7ff\ue000-\uffff\U00010000-\U0010ffff])";

// Between values of JSON. An indentation has an end, so that a model can't lose itself in white space.
constexpr const char* kSpace = "carat-json-space ::= (\" \" | \"\\n\" [ \\t]{0,8})?\n";

// One character of a JSON string, escaped or not, as a regular expression; the last range is U+10000 to U+10FFFF.
constexpr const char* kJsonCharacterPattern = R"(([\x20-\x21\x23-\x5b\x5d-\x7f\u0080-\u07ff\u0800-\ud7ff\ue000-\uffff)"
                                              "\xf0\x90\x80\x80-\xf4\x8f\xbf\xbf"
                                              R"(]|\\["\\/bfnrt]))";

constexpr const char* kDate = R"([1-9] [0-9]{3} "-" (("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8]) |)"
                              R"( ("0" [13-9] | "1" [0-2]) "-" ("29" | "30") | ("0" [13578] | "1" [02]) "-31") |)"
                              R"( [1-9] [0-9] ("0" [48] | [2468] [048] | [13579] [26]) "-02-29")";
constexpr const char* kTime = R"(([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})?)"
                              R"( ("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]))";
constexpr const char* kUuid = R"([0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12})";
constexpr const char* kEmail =
    R"([a-zA-Z0-9_%+-]+ ("." [a-zA-Z0-9_%+-]+){0,4} "@" ([a-zA-Z0-9]+ ("-" [a-zA-Z0-9]+)* "."){1,4} [a-zA-Z]{2,8})";
constexpr const char* kByte = R"(("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9] [0-9] | [0-9]))";

std::string format_expression(std::string_view format) {
  if (format == "date") return str("(", kDate, ")");
  if (format == "time") return str("(", kTime, ")");
  if (format == "date-time") return str("(", kDate, ") \"T\" (", kTime, ")");
  if (format == "uuid") return kUuid;
  if (format == "email") return kEmail;
  return str(kByte, " \".\" ", kByte, " \".\" ", kByte, " \".\" ", kByte);  // ipv4
}

// A key of a tool call that needs no quotes: nothing in it is syntax, or would be trimmed away.
bool is_bare_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.' || c == '$';
  });
}

class RuleWriter {
 public:
  RuleWriter(const Schema& schema, const Notation& notation, std::string name, const std::string& where)
      : schema_(schema), notation_(notation), name_(std::move(name)), where_(where) {}

  std::string write() {
    find_possible();
    if (!possible_[schema_.root]) {
      throw Error(ErrorKind::kBadInput, str(where_,
                                            ": no value is valid. Required properties contradict each other, or "
                                            "contain themselves without end."));
    }
    rules_ = str(name_, " ::= ", reference(schema_.root), "\n");
    while (!waiting_.empty()) {
      const SchemaId id = waiting_.back();
      waiting_.pop_back();
      const std::string body = std::visit([&](const auto& value) { return expression(value, id); }, schema_.nodes[id]);
      rules_ += str(rule_name(id), " ::= ", body, "\n");
    }
    return std::move(rules_);
  }

 private:
  std::string rule_name(SchemaId id) const { return str(name_, "-", id); }
  std::string reference(SchemaId id) {
    if (written_.insert(id).second) waiting_.push_back(id);
    return rule_name(id);
  }
  std::string base(const char* rule) const { return str(notation_.is_json() ? "carat-json-" : "carat-call-", rule); }
  std::string space() const { return notation_.is_json() ? " carat-json-space" : ""; }
  std::string quote() const { return notation_.is_json() ? R"("\"")" : str("Token(", *notation_.quote, ")"); }

  // Which nodes have values at all: those of which it follows from others, until no more does.
  void find_possible() {
    possible_.assign(schema_.nodes.size(), false);
    for (bool has_changed = true; has_changed;) {
      has_changed = false;
      for (SchemaId id = schema_.nodes.size(); id-- > 0;) {  // children mostly stand behind their parents
        if (possible_[id]) continue;
        possible_[id] = std::visit([&](const auto& value) { return is_possible(value); }, schema_.nodes[id]);
        has_changed = has_changed || possible_[id];
      }
    }
  }
  template <typename Value>
  bool is_possible(const Value& /*value*/) const {
    return true;
  }
  static bool is_possible(const NoValue& /*value*/) { return false; }
  static bool is_possible(const NumberValue& value) { return !number_expression(value).empty(); }
  bool is_possible(const UnionValue& value) const {
    return std::any_of(value.alternatives.begin(), value.alternatives.end(),
                       [&](SchemaId id) { return possible_[id]; });
  }
  bool is_possible(const ArrayValue& value) const {
    return value.min_items <= possible_items(value).value_or(value.min_items);
  }
  bool is_possible(const ObjectValue& value) const {
    return std::all_of(value.properties.begin(), value.properties.end(),
                       [&](const auto& property) { return !property.is_required || possible_[property.schema]; });
  }
  // The most elements that an array can have; nothing when there is no end.
  std::optional<std::size_t> possible_items(const ArrayValue& value) const {
    for (std::size_t i = 0; i < value.prefix.size(); ++i) {
      if (!possible_[value.prefix[i]]) return i;
    }
    if (!value.items || !possible_[*value.items]) return value.prefix.size();
    return value.max_items;
  }

  // --- What each kind of value looks like
  // -----------------------------------------------------------------------------

  std::string expression(const AnyValue& /*value*/, SchemaId /*id*/) const { return base("value"); }
  static std::string expression(const NoValue& /*value*/, SchemaId /*id*/) { return "\"\""; }  // never referred to
  static std::string expression(const NullValue& /*value*/, SchemaId /*id*/) { return "\"null\""; }
  static std::string expression(const BooleanValue& /*value*/, SchemaId /*id*/) { return R"("true" | "false")"; }
  static std::string expression(const NumberValue& value, SchemaId /*id*/) { return number_expression(value); }

  std::string expression(const UnionValue& value, SchemaId /*id*/) {
    std::string result;
    for (const SchemaId id : value.alternatives) {
      if (possible_[id]) result += str(result.empty() ? "" : " | ", reference(id));
    }
    return result;
  }

  std::string expression(const StringValue& value, SchemaId id) {
    if (!value.pattern.empty()) {
      return str(quote(), " Regex(", ebnf_literal(whole_text_pattern(value.pattern, where_)), R"(, flags="u")",
                 notation_.is_json() ? ", json_string=true) " : ") ", quote());
    }
    if (!value.format.empty()) return str(quote(), " (", format_expression(value.format), ") ", quote());
    if (value.min_length == 0 && !value.max_length) return base("string");
    return counted_string(value, id);
  }

  // The text is a rule of its own. The least is counted by states, for each of which a mask over the whole vocabulary
  // is made when the grammar is compiled; in JSON by a regular expression, for where a character is a rule (it may be
  // an escape) whatever token has more than one is tried at every step. The most is a budget, which costs a little at
  // each token of the text; it counts an escape as the two characters it is written with: never too many.
  std::string counted_string(const StringValue& value, SchemaId id) {
    if (value.max_length == std::size_t{0}) return str(quote(), " ", quote());
    const std::string rule = str(rule_name(id), "-text");
    const std::string least = str("{", value.min_length, ",}");
    rules_ += rule;
    if (value.max_length) rules_ += str("[max_chars=", *value.max_length, "]");
    rules_ += notation_.is_json() ? str(" ::= Regex(", ebnf_literal(kJsonCharacterPattern + least), ")\n")
                                  : str(" ::= ", kAnyCharacters, least, "\n");
    return str(quote(), " ", rule, " ", quote());
  }

  std::string expression(const LiteralValue& value, SchemaId /*id*/) const {
    std::string result;
    for (const json::value& literal : value.values)
      result += str(result.empty() ? "" : " | ", literal_expression(literal));
    return result;
  }

  std::string literal_expression(const json::value& value) const {
    if (value.is_string()) return string_literal(value.get_string());
    if (value.is_array()) {
      std::string result = "\"[\"";
      for (std::size_t i = 0; i < value.get_array().size(); ++i) {
        result += str(i > 0 ? str(" ", separator(",")) : "", " ", literal_expression(value.get_array()[i]));
      }
      return result + " \"]\"";
    }
    if (value.is_object()) {
      std::string result = "\"{\"";
      bool is_first = true;
      for (const auto& [key, member] : value.get_object()) {
        result += str(is_first ? "" : str(" ", separator(",")), " ", key_expression(key), " ", separator(":"), " ",
                      literal_expression(member));
        is_first = false;
      }
      return result + " \"}\"";
    }
    if (value.is_double()) {
      std::array<char, 64> text{};
      const auto end = std::to_chars(text.data(), text.data() + text.size(), value.get_double()).ptr;
      return ebnf_literal({text.data(), static_cast<std::size_t>(end - text.data())});
    }
    return ebnf_literal(json::serialize(value));
  }

  std::string string_literal(std::string_view text) const {
    if (notation_.is_json()) return ebnf_literal(json::serialize(json::value(text)));
    return str(quote(), " ", ebnf_literal(text), " ", quote());
  }

  std::string key_expression(std::string_view key) const {
    return notation_.is_json() || !is_bare_key(key) ? string_literal(key) : ebnf_literal(key);
  }

  // A comma or colon and the space behind it.
  std::string separator(const char* sign) const { return str("\"", sign, "\"", space()); }

  std::string expression(const ArrayValue& value, SchemaId id) {
    const std::optional<std::size_t> most = possible_items(value);
    const std::size_t prefix_size = std::min(value.prefix.size(), most.value_or(value.prefix.size()));
    const std::string end = str(space(), " \"]\"");

    // From the last element of the prefix to the first: what may follow, each a rule so that nothing is written twice.
    std::string rest = more_items(value, prefix_size, most, prefix_size > 0);
    for (std::size_t i = prefix_size; i-- > 0;) {
      const bool may_end = i >= value.min_items;
      const std::string element =
          str(i > 0 ? separator(",") : "", " ", reference(value.prefix[i]), rest.empty() ? "" : " ", rest);
      const std::string rule = str(rule_name(id), "-from", i);
      rules_ += str(rule, " ::= ", may_end ? str("(", element, ")?") : element, "\n");
      rest = rule;
    }
    if (rest.empty()) return str("\"[\"", end);
    return str("\"[\"", space(), " ", rest, end);
  }

  // Elements behind the prefix, of which there are `done`; empty when there can't be any.
  std::string more_items(const ArrayValue& value, std::size_t done, const std::optional<std::size_t>& most,
                         bool has_before) {
    if (!value.items || !possible_[*value.items] || (most && *most <= done)) return "";
    const std::size_t least = value.min_items > done ? value.min_items - done : 0;
    const std::string item = reference(*value.items);
    const auto times = [&](std::size_t from, const std::optional<std::size_t>& to) {
      return str("{", from, ",", to ? std::to_string(*to) : "", "}");
    };
    const std::optional<std::size_t> room = most ? std::optional(*most - done) : std::nullopt;
    if (has_before) return str("(", separator(","), " ", item, ")", times(least, room));
    const std::string others = str("(", separator(","), " ", item, ")",
                                   times(least > 0 ? least - 1 : 0, room ? std::optional(*room - 1) : std::nullopt));
    return least == 0 ? str("(", item, " ", others, ")?") : str(item, " ", others);
  }

  // Properties in their order; one that isn't required can be left out. Two rules for each property stand for what
  // comes from it on: with something written before it (a comma is due) and without.
  std::string expression(const ObjectValue& value, SchemaId id) {
    std::vector<const ObjectValue::Property*> properties;
    for (const ObjectValue::Property& property : value.properties) {
      if (possible_[property.schema]) properties.push_back(&property);
    }
    std::string after = "\"\"";   // behind a property, up to the end
    std::string before = "\"\"";  // the same, nothing written yet
    if (value.additional && possible_[*value.additional]) {
      const std::string other = other_property(value, id);
      after = str("(", separator(","), " ", other, ")*");
      before = str("(", other, " ", after, ")?");
    }
    for (std::size_t i = properties.size(); i-- > 0;) {
      const ObjectValue::Property& property = *properties[i];
      const std::string own = str(key_expression(property.name), " ", separator(":"), " ", reference(property.schema));
      const std::string after_rule = str(rule_name(id), "-after", i);
      const std::string before_rule = str(rule_name(id), "-from", i);
      const std::string skip_after = property.is_required ? "" : str(" | ", after);
      const std::string skip_before = property.is_required ? "" : str(" | ", before);
      rules_ += str(before_rule, " ::= ", own, " ", after, skip_before, "\n");
      if (i > 0) rules_ += str(after_rule, " ::= ", separator(","), " ", own, " ", after, skip_after, "\n");
      after = after_rule;
      before = before_rule;
    }
    if (before == "\"\"") return R"("{" "}")";
    return str("\"{\"", space(), " ", before, space(), " \"}\"");
  }

  // A property with a name that the schema doesn't have.
  std::string other_property(const ObjectValue& value, SchemaId id) {
    std::set<std::string> names;
    for (const ObjectValue::Property& property : value.properties) names.insert(property.name);
    const std::string rule = str(rule_name(id), "-other");
    const std::string key = names.empty() ? base("key") : other_key(names, rule);
    rules_ += str(rule, " ::= ", key, " ", separator(":"), " ", reference(*value.additional), "\n");
    return rule;
  }

  // A key that is none of `names`: a walk through the tree of their letters that leaves it somewhere.
  std::string other_key(const std::set<std::string>& names, const std::string& rule) {
    const std::string letters = str(rule, "-key");
    write_other_key(letters, names, 0);
    return notation_.is_json() ? str(R"("\"" )", letters, R"( "\"")") : letters;
  }

  // What may follow the first `depth` bytes that all of `names` share. Only keys of letters, digits and the like are
  // made up, which need no quotes and no escapes.
  void write_other_key(const std::string& rule, const std::set<std::string>& names, std::size_t depth) {
    std::map<char, std::set<std::string>> branches;
    bool is_name = depth == 0;  // a key isn't empty
    for (const std::string& name : names) {
      if (name.size() == depth) {
        is_name = true;
      } else if (is_bare_key({&name[depth], 1})) {
        branches[name[depth]].insert(name);
      }
    }
    std::string free;
    for (const char c : std::string_view("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")) {
      if (!branches.contains(c)) free += c;
    }
    std::vector<std::string> parts;
    if (!is_name) parts.emplace_back("\"\"");
    if (!free.empty()) parts.push_back(str("[", free, "] [a-zA-Z0-9_]*"));
    for (const auto& [letter, longer] : branches) {
      const std::string next = str(rule, "-", static_cast<int>(letter));
      write_other_key(next, longer, depth + 1);
      parts.push_back(str(ebnf_literal({&letter, 1}), " ", next));
    }
    for (std::size_t i = 0; i < parts.size(); ++i) rules_ += str(i == 0 ? str(rule, " ::= ") : " | ", parts[i]);
    rules_ += "\n";
  }

  const Schema& schema_;
  const Notation& notation_;
  std::string name_;
  const std::string& where_;
  std::string rules_;
  std::vector<bool> possible_;  // [nodes]
  std::set<SchemaId> written_;
  std::vector<SchemaId> waiting_;  // referred to, not written yet
};

}  // namespace

std::string ebnf_literal(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr std::string_view kHex = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      result += "\\u00";
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string base_rules(const Notation& notation) {
  const std::string number = number_expression({});
  if (notation.is_json()) {
    return str(
        kSpace,
        // Not half of a surrogate pair: what is one character stays one.
        R"(carat-json-escape ::= ["\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))", "\n",
        // The closing quote belongs to the rule: so a mask over the vocabulary is known beforehand but for the
        // tokens that have it in them.
        R"(carat-json-string ::= "\"" carat-json-string-rest)", "\n", R"(carat-json-string-rest ::= "\"" | )",
        kJsonCharacters, R"( carat-json-string-rest | "\\" carat-json-escape carat-json-string-rest)", "\n",
        "carat-json-key ::= carat-json-string\n", "carat-json-number ::= ", number, "\n",
        R"(carat-json-array ::= "[" carat-json-space "]" | "[" carat-json-space carat-json-value ("," carat-json-space carat-json-value)* carat-json-space "]")",
        "\n", R"(carat-json-member ::= carat-json-string ":" carat-json-space carat-json-value)", "\n",
        R"(carat-json-object ::= "{" carat-json-space "}" | "{" carat-json-space carat-json-member ("," carat-json-space carat-json-member)* carat-json-space "}")",
        "\n",
        R"(carat-json-value ::= carat-json-object | carat-json-array | carat-json-string | carat-json-number | "true" | "false" | "null")",
        "\n");
  }
  const std::string quote = str("Token(", *notation.quote, ")");
  return str(
      "carat-call-string ::= ", quote, " ", kAnyCharacters, "* ", quote, "\n",
      "carat-call-key ::= [a-zA-Z_] [a-zA-Z0-9_]*\n", "carat-call-number ::= ", number, "\n",
      R"(carat-call-array ::= "[]" | "[" carat-call-value ("," carat-call-value)* "]")", "\n",
      R"(carat-call-member ::= carat-call-key ":" carat-call-value)", "\n",
      R"(carat-call-object ::= "{}" | "{" carat-call-member ("," carat-call-member)* "}")", "\n",
      R"(carat-call-value ::= carat-call-object | carat-call-array | carat-call-string | carat-call-number | "true" | "false" | "null")",
      "\n");
}

std::string any_object_rule(const Notation& notation) {
  return notation.is_json() ? "carat-json-object" : "carat-call-object";
}

std::string schema_rules(const Schema& schema, const Notation& notation, const std::string& name,
                         const std::string& where) {
  return RuleWriter(schema, notation, name, where).write();
}

}  // namespace carat
