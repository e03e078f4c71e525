#include "chat/jinja_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "chat/jinja_operators.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

// Code points that repr() writes as escapes: controls, formats, separators other than the space, private use.
bool is_printable(char32_t c) {
  if (c < 0x7f) return c >= 0x20;
  if (c <= 0xa0 || c == 0xad || is_python_space(c)) return false;
  return !((c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xe000 && c <= 0xf8ff) || c >= 0xe0000);
}

void append_hex(std::string& out, char32_t value, int digits) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[value >> shift & 15];
}

void append_string_repr(MarkedText& out, const MarkedText& text) {
  const bool has_single = text.view().find('\'') != std::string_view::npos;
  const char quote = has_single && text.view().find('"') == std::string_view::npos ? '"' : '\'';
  out.append(std::string_view(&quote, 1), true);
  std::string image;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = first_code_point(text.view().substr(i));
    image.clear();
    if (c.value == U'\\' || c.value == static_cast<char32_t>(quote)) {
      image += '\\';
      image += static_cast<char>(c.value);
    } else if (c.value == U'\n') {
      image = "\\n";
    } else if (c.value == U'\r') {
      image = "\\r";
    } else if (c.value == U'\t') {
      image = "\\t";
    } else if (is_printable(c.value)) {
      image = text.view().substr(i, c.length);
    } else {
      image = c.value < 0x100 ? "\\x" : c.value < 0x10000 ? "\\u" : "\\U";
      append_hex(image, c.value, c.value < 0x100 ? 2 : c.value < 0x10000 ? 4 : 8);
    }
    out.append(image, text.is_trusted_at(i));
    i += c.length;
  }
  out.append(std::string_view(&quote, 1), true);
}

// Writes repr() of values into one text.
class ReprWriter {
 public:
  explicit ReprWriter(Runtime& rt) : rt_(rt) {}

  void write(const Value& value) {
    rt_.spend(1);
    if (const MarkedText* text = value.text_if()) {
      rt_.check_text_size(out_.size() + text->size());
      append_string_repr(out_, *text);
    } else if (const auto* integer = value.get_if<std::int64_t>()) {
      put(std::to_string(*integer));
    } else if (const bool* boolean = value.get_if<bool>()) {
      put(*boolean ? "True" : "False");
    } else if (const double* number = value.get_if<double>()) {
      put(float_repr(*number));
    } else if (value.is<None>()) {
      put("None");
    } else if (value.is<Undefined>()) {
      put("Undefined");
    } else if (const auto* range = value.get_if<Range>()) {
      put(str("range(", range->start, ", ", range->stop));
      put(range->step == 1 ? std::string(")") : str(", ", range->step, ")"));
    } else {
      write_container(value);
    }
  }

  MarkedText take() { return std::move(out_); }

 private:
  void put(std::string_view text) { out_.append(text, true); }

  void write_elements(const std::vector<Value>& elements) {
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (i > 0) put(", ");
      write(elements[i]);
    }
  }

  void write_container(const Value& value) {
    if (value.is<List>()) {
      put("[");
      write_elements(*value.elements_if());
      put("]");
    } else if (value.is<Tuple>()) {
      put("(");
      write_elements(*value.elements_if());
      put(value.elements_if()->size() == 1 ? ",)" : ")");
    } else if (const auto* dict = value.get_if<Dict>()) {
      put("{");
      bool is_first = true;
      for (const auto& [key, element] : (*dict)->entries()) {
        if (!std::exchange(is_first, false)) put(", ");
        write(key);
        put(": ");
        write(element);
      }
      put("}");
    } else if (value.is<DictView>()) {
      put(str(type_name(value), "(["));
      write_elements(iterate(rt_, value)->values);
      put("])");
    } else if (const auto* function = value.get_if<Function>(); function != nullptr) {
      put(str((*function)->kind == Callable::Kind::kMacro ? "<Macro '" : "<function '", (*function)->name, "'>"));
    } else {
      put(str("<", type_name(value), " object>"));
    }
  }

  Runtime& rt_;
  MarkedText out_;
};

class JsonWriter {
 public:
  JsonWriter(Runtime& rt, const JsonStyle& style) : rt_(rt), style_(style) {}

  void write(const Value& value) {
    rt_.spend(1);
    if (const MarkedText* text = value.text_if()) {
      write_string(*text);
    } else if (const std::string literal = literal_of(value); !literal.empty()) {
      put(literal);
    } else if (const std::vector<Value>* elements = value.elements_if()) {
      write_all('[', ']', *elements, [this](const Value& element) { write(element); });
    } else if (const auto* dict = value.get_if<Dict>()) {
      std::vector<DictData::Entry> entries = (*dict)->entries();
      if (style_.sort_keys) {
        std::stable_sort(entries.begin(), entries.end(),
                         [this](const auto& a, const auto& b) { return less(rt_, a.first, b.first); });
      }
      write_all('{', '}', entries, [this](const DictData::Entry& entry) {
        write_key(entry.first);
        put(style_.key_separator);
        write(entry.second);
      });
    } else {
      rt_.fail("Object of type ", type_name(value), " is not JSON serializable");
    }
  }

  MarkedText take() { return std::move(out_); }

 private:
  void put(std::string_view text) { out_.append(text, true); }

  // The text of null, booleans and numbers; empty for other values.
  static std::string literal_of(const Value& value) {
    if (value.is<None>()) return "null";
    if (const bool* boolean = value.get_if<bool>()) return *boolean ? "true" : "false";
    if (const auto* integer = value.get_if<std::int64_t>()) return std::to_string(*integer);
    if (const double* number = value.get_if<double>()) {
      if (std::isnan(*number)) return "NaN";
      if (std::isinf(*number)) return *number > 0 ? "Infinity" : "-Infinity";
      return float_repr(*number);
    }
    return {};
  }

  template <typename Elements, typename WriteOne>
  void write_all(char open, char close, const Elements& elements, const WriteOne& write_one) {
    put(std::string_view(&open, 1));
    ++level_;
    bool is_first = true;
    for (const auto& element : elements) {
      if (!is_first) put(style_.item_separator);
      is_first = false;
      break_line();
      write_one(element);
      rt_.check_text_size(out_.size());
    }
    --level_;
    if (!is_first) break_line();
    put(std::string_view(&close, 1));
  }

  void break_line() {
    if (!style_.indent) return;
    put("\n");
    rt_.spend_text(level_ * style_.indent->size());
    for (std::size_t i = 0; i < level_; ++i) put(*style_.indent);
  }

  void write_key(const Value& key) {
    if (const MarkedText* text = key.text_if()) return write_string(*text);
    const std::string literal = literal_of(key);
    if (literal.empty()) rt_.fail("keys must be str, int, float, bool or None, not ", type_name(key));
    put("\"" + literal + "\"");
  }

  void write_string(const MarkedText& text) {
    rt_.check_text_size(out_.size() + text.size());
    put("\"");
    std::string image;
    for (std::size_t i = 0; i < text.size();) {
      const CodePoint c = first_code_point(text.view().substr(i));
      image.clear();
      append_escaped(image, c.value, text.view().substr(i, c.length));
      out_.append(image, text.is_trusted_at(i));
      i += c.length;
    }
    put("\"");
  }

  void append_escaped(std::string& out, char32_t c, std::string_view as_is) const {
    static constexpr std::array<std::pair<char32_t, std::string_view>, 7> kShort{{{U'"', "\\\""},
                                                                                  {U'\\', "\\\\"},
                                                                                  {U'\n', "\\n"},
                                                                                  {U'\r', "\\r"},
                                                                                  {U'\t', "\\t"},
                                                                                  {U'\f', "\\f"},
                                                                                  {U'\b', "\\b"}}};
    const auto* found = std::find_if(kShort.begin(), kShort.end(), [c](const auto& row) { return row.first == c; });
    if (found != kShort.end()) {
      out += found->second;
    } else if (c < 0x20 || (style_.ensure_ascii && c >= 0x7f && c < 0x10000)) {
      out += "\\u";
      append_hex(out, c, 4);
    } else if (style_.ensure_ascii && c >= 0x10000) {
      out += "\\u";
      append_hex(out, 0xd800 + ((c - 0x10000) >> 10), 4);
      out += "\\u";
      append_hex(out, 0xdc00 + ((c - 0x10000) & 0x3ff), 4);
    } else {
      out += as_is;
    }
  }

  Runtime& rt_;
  const JsonStyle& style_;
  MarkedText out_;
  std::size_t level_ = 0;
};

// One "%..." of a format: %(key)-08.3f
struct Conversion {
  std::string key;
  bool has_key = false;
  bool is_left = false;
  bool has_sign = false;
  bool has_space = false;
  bool is_zero_padded = false;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char type = 0;
};

// Reads a conversion after its "%" and moves `at` behind it.
Conversion read_conversion(Runtime& rt, std::string_view format, std::size_t& at) {
  constexpr std::size_t kMaxWidth = 1000;
  Conversion c;
  const auto peek = [&] { return at < format.size() ? format[at] : '\0'; };
  const auto read_number = [&] {
    std::size_t number = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at) {
      number = number * 10 + static_cast<std::size_t>(peek() - '0');
      if (number > kMaxWidth) rt.fail("a width in a format is above ", kMaxWidth);
    }
    return number;
  };
  if (peek() == '(') {
    const std::size_t end = format.find(')', at);
    if (end == std::string_view::npos) rt.fail("incomplete format key");
    c.has_key = true;
    c.key = format.substr(at + 1, end - at - 1);
    at = end + 1;
  }
  for (bool is_flag = true; is_flag;) {
    switch (peek()) {
      case '-':
        c.is_left = true;
        break;
      case '+':
        c.has_sign = true;
        break;
      case ' ':
        c.has_space = true;
        break;
      case '0':
        c.is_zero_padded = true;
        break;
      default:
        is_flag = false;
    }
    if (is_flag) ++at;
  }
  c.width = read_number();
  if (peek() == '.') {
    ++at;
    c.precision = read_number();
  }
  c.type = peek();
  if (c.type == '\0') rt.fail("incomplete format");
  ++at;
  return c;
}

std::string number_image(Runtime& rt, const Conversion& c, const Value& value) {
  const bool wants_float = std::string_view("eEfFgG").find(c.type) != std::string_view::npos;
  if (!value.is_number()) {
    rt.fail(wants_float
                ? str("must be real number, not ", type_name(value))
                : str("%", std::string_view(&c.type, 1), " format: a real number is required, not ", type_name(value)));
  }
  if (wants_float) {
    const double number = *float_of(value);
    const int precision = static_cast<int>(c.precision.value_or(6));
    const std::string pattern = str("%.*", std::string_view(&c.type, 1));
    std::string image(std::size_t{400} + static_cast<std::size_t>(precision), '\0');
    // The pattern is one of six made above; the widest double has 309 digits before the point.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int n = std::snprintf(image.data(), image.size(), pattern.c_str(), precision, number);
#pragma GCC diagnostic pop
    image.resize(static_cast<std::size_t>(std::max(n, 0)));
    return image;
  }
  std::int64_t number = 0;
  if (const double* real = value.get_if<double>()) {
    if (c.type != 'd' && c.type != 'i' && c.type != 'u') {
      rt.fail("%", std::string_view(&c.type, 1), " format: an integer is required, not float");
    }
    if (!(std::fabs(*real) < 9.2e18)) rt.fail("cannot convert float to a 64-bit integer");
    number = static_cast<std::int64_t>(*real);
  } else {
    number = *integer_of(value);
  }
  const int base = c.type == 'x' || c.type == 'X' ? 16 : c.type == 'o' ? 8 : 10;
  std::array<char, 72> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  std::string image(digits.data(), end);
  if (c.type == 'X') {
    std::transform(image.begin(), image.end(), image.begin(),
                   [](char x) { return x >= 'a' && x <= 'f' ? static_cast<char>(x - 'a' + 'A') : x; });
  }
  const std::size_t sign_size = number < 0 ? 1 : 0;
  if (c.precision && image.size() - sign_size < *c.precision) {
    image.insert(sign_size, *c.precision - (image.size() - sign_size), '0');
  }
  return image;
}

MarkedText converted(Runtime& rt, const Conversion& c, const Value& value) {
  MarkedText body;
  bool is_numeric = false;
  switch (c.type) {
    case 's':
      body = to_text(rt, value);
      break;
    case 'r':
      body = repr(rt, value);
      break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      std::string image = number_image(rt, c, value);
      if (image[0] != '-' && (c.has_sign || c.has_space)) image.insert(0, 1, c.has_sign ? '+' : ' ');
      body = MarkedText(std::move(image), true);
      is_numeric = true;
      break;
    }
    default:
      rt.fail("unsupported format character '", std::string_view(&c.type, 1), "'");
  }
  if (!is_numeric && c.precision) body = body.part(0, code_point_offset(body.view(), *c.precision));
  const std::size_t size = count_code_points(body.view());
  if (size >= c.width) return body;
  const std::size_t padding = c.width - size;
  MarkedText result;
  if (c.is_left) {
    result.append(body);
    result.append(std::string(padding, ' '), true);
  } else if (is_numeric && c.is_zero_padded) {
    const std::size_t sign_size = std::string_view("+- ").find(body.view()[0]) != std::string_view::npos ? 1 : 0;
    result.append(body, 0, sign_size);
    result.append(std::string(padding, '0'), true);
    result.append(body, sign_size, body.size());
  } else {
    result.append(std::string(padding, ' '), true);
    result.append(body);
  }
  return result;
}

// How a format numbers its fields: "{} {}" or "{0} {1}", but not both.
struct FieldNumbering {
  std::size_t next = 0;
  bool is_automatic = false;
  bool is_manual = false;
};

// The value that a replacement field such as "0", "name.attribute" or "0[key]" names.
Value field_value(Runtime& rt, std::string_view field, const Arguments& arguments, FieldNumbering& numbering) {
  const std::size_t name_end = std::min(field.find_first_of(".["), field.size());
  const std::string_view name = field.substr(0, name_end);
  Value value;
  const bool is_number = std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) {
    (name.empty() ? numbering.is_automatic : numbering.is_manual) = true;
    if (numbering.is_automatic && numbering.is_manual) rt.fail("cannot mix automatic and manual field numbering");
    std::size_t index = numbering.next;
    if (name.empty()) {
      ++numbering.next;
    } else if (std::from_chars(name.data(), name.data() + name.size(), index).ec != std::errc()) {
      index = arguments.positional.size();
    }
    if (index >= arguments.positional.size()) rt.fail("Replacement index ", index, " out of range");
    value = arguments.positional[index];
  } else {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& named) { return named.first.text_if()->view() == name; });
    if (found == arguments.named.end()) rt.fail("str.format: no argument named '", name, "'");
    value = found->second;
  }
  for (std::string_view rest = field.substr(name_end); !rest.empty();) {
    const bool is_attribute = rest[0] == '.';
    const std::size_t end = is_attribute ? std::min(rest.find_first_of(".[", 1), rest.size()) : rest.find(']');
    if (end == std::string_view::npos) rt.fail("expected '}' before end of string");
    const std::string_view key = rest.substr(1, end - 1);
    std::int64_t index = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), index);
    if (is_attribute) {
      value = get_attribute(rt, value, Value::trusted(key));
    } else if (parsed.ec == std::errc() && parsed.ptr == key.data() + key.size()) {
      value = get_item(rt, value, Value(index));
    } else {
      value = get_item(rt, value, Value::trusted(key));
    }
    rest.remove_prefix(is_attribute ? end : end + 1);
  }
  return value;
}

}  // namespace

MarkedText to_text(Runtime& rt, const Value& value) {
  if (const MarkedText* text = value.text_if()) {
    rt.spend_text(text->size());
    return *text;
  }
  return value.is<Undefined>() ? MarkedText() : repr(rt, value);
}

MarkedText repr(Runtime& rt, const Value& value) {
  ReprWriter writer(rt);
  writer.write(value);
  return writer.take();
}

// Shortest digits that read back as the same number; positional for exponents from -4 to 15, as Python's repr.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 40> buffer{};
  const auto* end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  const std::string_view scientific(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = scientific.find('e');
  int exponent = 0;
  const char* digits = scientific.data() + e + (scientific[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits, scientific.data() + scientific.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(scientific);
  std::array<char, 40> fixed{};
  const auto* fixed_end = std::to_chars(fixed.data(), fixed.data() + fixed.size(), value, std::chars_format::fixed).ptr;
  std::string image(fixed.data(), static_cast<std::size_t>(fixed_end - fixed.data()));
  if (image.find('.') == std::string::npos) image += ".0";
  return image;
}

MarkedText to_json(Runtime& rt, const Value& value, const JsonStyle& style) {
  JsonWriter writer(rt, style);
  writer.write(value);
  return writer.take();
}

MarkedText percent_format(Runtime& rt, const MarkedText& format, const Value& value) {
  const std::vector<Value> single{value};
  const std::vector<Value>& values = value.is<Tuple>() ? *value.elements_if() : single;
  const bool is_mapping = value.is<Dict>() || value.is<List>() || value.is<Undefined>();  // what has __getitem__
  MarkedText result;
  std::size_t used = 0;
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t percent = std::min(format.view().find('%', at), format.size());
    result.append(format, at, percent);
    if (percent == format.size()) break;
    const bool is_trusted = format.is_trusted_at(percent);
    at = percent + 1;
    const Conversion conversion = read_conversion(rt, format.view(), at);
    if (conversion.type == '%') {
      result.append("%", is_trusted);
    } else if (conversion.has_key) {
      if (!value.is<Dict>()) rt.fail("format requires a mapping");
      const Value* found = (*value.get_if<Dict>())->find(Value::trusted(conversion.key));
      if (found == nullptr) rt.fail("no key '", conversion.key, "' for a format");
      result.append(converted(rt, conversion, *found));
    } else {
      if (used == values.size()) rt.fail("not enough arguments for format string");
      result.append(converted(rt, conversion, values[used++]));
    }
    rt.check_text_size(result.size());
  }
  if (used < values.size() && !is_mapping) rt.fail("not all arguments converted during string formatting");
  return result;
}

MarkedText brace_format(Runtime& rt, const MarkedText& format, const Arguments& arguments) {
  MarkedText result;
  FieldNumbering numbering;
  const std::string_view text = format.view();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t brace = std::min(text.find_first_of("{}", at), text.size());
    result.append(format, at, brace);
    if (brace == text.size()) break;
    if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
      result.append(format, brace, brace + 1);
      at = brace + 2;
      continue;
    }
    const std::size_t end = text.find('}', brace);
    if (text[brace] == '}') rt.fail("Single '}' encountered in format string");
    if (end == std::string_view::npos) rt.fail("expected '}' before end of string");
    std::string_view field = text.substr(brace + 1, end - brace - 1);
    if (field.find_first_of(":{") != std::string_view::npos) {
      rt.fail("str.format with a format specification is not supported; use the format filter");
    }
    const bool wants_repr = field.ends_with("!r");
    if (wants_repr || field.ends_with("!s")) field.remove_suffix(2);
    const Value value = field_value(rt, field, arguments, numbering);
    result.append(wants_repr ? repr(rt, value) : to_text(rt, value));
    rt.check_text_size(result.size());
    at = end + 1;
  }
  return result;
}

}  // namespace carat::jinja
