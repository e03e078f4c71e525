#include "chat/jinja_expressions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

namespace carat::jinja {
namespace {

using Kind = Token::Kind;

std::string describe(const Token& token) {
  switch (token.kind) {
    case Kind::kEnd:
      return "end of template";
    case Kind::kPrintEnd:
      return "end of print statement";
    case Kind::kBlockEnd:
      return "end of statement block";
    case Kind::kString:
      return "a string";
    default:
      return str("'", printable(token.text), "'");
  }
}

std::optional<CompareOp> compare_operator(const Token& token) {
  static constexpr std::array<std::pair<std::string_view, CompareOp>, 6> kOperators{{{"==", CompareOp::kEqual},
                                                                                     {"!=", CompareOp::kNotEqual},
                                                                                     {"<", CompareOp::kLess},
                                                                                     {"<=", CompareOp::kLessEqual},
                                                                                     {">", CompareOp::kGreater},
                                                                                     {">=", CompareOp::kGreaterEqual}}};
  for (const auto& [symbol, op] : kOperators) {
    if (token.is_operator(symbol)) return op;
  }
  return std::nullopt;
}

std::optional<ArithmeticOp> product_operator(const Token& token) {
  if (token.is_operator("*")) return ArithmeticOp::kMultiply;
  if (token.is_operator("/")) return ArithmeticOp::kDivide;
  if (token.is_operator("//")) return ArithmeticOp::kFloorDivide;
  if (token.is_operator("%")) return ArithmeticOp::kModulo;
  return std::nullopt;
}

}  // namespace

Token ExpressionParser::take() {
  Token token = current();
  if (!token.is(Kind::kEnd)) ++at_;
  return token;
}

bool ExpressionParser::skip_operator(std::string_view symbol) {
  if (!current().is_operator(symbol)) return false;
  ++at_;
  return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  ++at_;
  return true;
}

Token ExpressionParser::expect(Kind kind, std::string_view what) {
  if (!current().is(kind)) fail(str("expected ", what, ", got ", describe(current())));
  return take();
}

void ExpressionParser::expect_operator(std::string_view symbol) {
  if (!skip_operator(symbol)) fail(str("expected '", symbol, "', got ", describe(current())));
}

void ExpressionParser::expect_name(std::string_view name) {
  if (!skip_name(name)) fail(str("expected '", name, "', got ", describe(current())));
}

ExprPtr ExpressionParser::make(std::uint32_t line, Expr::Node node) const {
  auto expr = std::make_unique<Expr>(Expr{std::move(node), line});
  for_each_child(*expr, [&expr](const ExprPtr& child) { expr->height = std::max(expr->height, child->height + 1); });
  if (expr->height > kMaxHeight) fail_syntax(line, "an expression nests too deeply");
  return expr;
}

ExprPtr ExpressionParser::tuple_or_expression(bool with_condition, bool in_parentheses) {
  const std::uint32_t line = current().line;
  std::vector<ExprPtr> elements;
  bool is_tuple = false;
  const auto at_end = [this] {
    return current().is(Kind::kPrintEnd) || current().is(Kind::kBlockEnd) || current().is_operator(")");
  };
  while (!at_end()) {
    elements.push_back(with_condition ? expression() : expression_without_condition());
    if (!skip_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !elements.empty()) return std::move(elements.front());
  if (!is_tuple && !in_parentheses) fail(str("expected an expression, got ", describe(current())));
  return make(line, TupleLiteral{std::move(elements)});
}

ExprPtr ExpressionParser::conditional() {
  const Nesting nesting(*this);
  const std::uint32_t line = current().line;
  ExprPtr value = logical_or();
  while (skip_name("if")) {
    ExprPtr test = logical_or();
    ExprPtr otherwise = skip_name("else") ? conditional() : nullptr;
    value = make(line, Conditional{std::move(test), std::move(value), std::move(otherwise)});
  }
  return value;
}

ExprPtr ExpressionParser::logical_or() {
  const std::uint32_t line = current().line;
  ExprPtr left = logical_and();
  while (skip_name("or")) left = make(line, Logical{false, std::move(left), logical_and()});
  return left;
}

ExprPtr ExpressionParser::logical_and() {
  const std::uint32_t line = current().line;
  ExprPtr left = logical_not();
  while (skip_name("and")) left = make(line, Logical{true, std::move(left), logical_not()});
  return left;
}

ExprPtr ExpressionParser::logical_not() {
  const std::uint32_t line = current().line;
  if (!skip_name("not")) return comparison();
  const Nesting nesting(*this);
  return make(line, Unary{Unary::Op::kNot, logical_not()});
}

ExprPtr ExpressionParser::comparison() {
  const std::uint32_t line = current().line;
  ExprPtr first = sum();
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
  while (true) {
    if (const auto op = compare_operator(current())) {
      take();
      rest.emplace_back(*op, sum());
    } else if (skip_name("in")) {
      rest.emplace_back(CompareOp::kIn, sum());
    } else if (current().is_name("not") && ahead().is_name("in")) {
      take();
      take();
      rest.emplace_back(CompareOp::kNotIn, sum());
    } else {
      break;
    }
  }
  return rest.empty() ? std::move(first) : make(line, Comparison{std::move(first), std::move(rest)});
}

ExprPtr ExpressionParser::sum() {
  const std::uint32_t line = current().line;
  ExprPtr left = concatenation();
  while (current().is_operator("+") || current().is_operator("-")) {
    const ArithmeticOp op = take().text == "+" ? ArithmeticOp::kAdd : ArithmeticOp::kSubtract;
    left = make(line, Arithmetic{op, std::move(left), concatenation()});
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  const std::uint32_t line = current().line;
  std::vector<ExprPtr> parts;
  parts.push_back(product());
  while (skip_operator("~")) parts.push_back(product());
  return parts.size() == 1 ? std::move(parts.front()) : make(line, Concatenation{std::move(parts)});
}

ExprPtr ExpressionParser::product() {
  const std::uint32_t line = current().line;
  ExprPtr left = power();
  while (const auto op = product_operator(current())) {
    take();
    left = make(line, Arithmetic{*op, std::move(left), power()});
  }
  return left;
}

// Binds to the left, as Jinja's grammar has it: 2 ** 3 ** 2 is 64.
ExprPtr ExpressionParser::power() {
  const std::uint32_t line = current().line;
  ExprPtr left = unary(true);
  while (skip_operator("**")) left = make(line, Arithmetic{ArithmeticOp::kPower, std::move(left), unary(true)});
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  const std::uint32_t line = current().line;
  ExprPtr value;
  if (current().is_operator("-") || current().is_operator("+")) {
    const Nesting nesting(*this);
    const Unary::Op op = take().text == "-" ? Unary::Op::kMinus : Unary::Op::kPlus;
    value = make(line, Unary{op, unary(false)});
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::integer() {
  const Token token = take();
  std::string_view digits = token.text;
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0') {
    const char prefix = static_cast<char>(digits[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) digits.remove_prefix(2);
  }
  std::int64_t value = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value, base).ec != std::errc()) {
    fail_syntax(token.line, str("the integer ", token.text, " does not fit into 64 bits"));
  }
  return make(token.line, Constant{Value(value)});
}

ExprPtr ExpressionParser::primary() {
  const std::uint32_t line = current().line;
  if (current().is(Kind::kName)) {
    Token token = take();
    if (token.text == "true" || token.text == "True") return make(line, Constant{Value(true)});
    if (token.text == "false" || token.text == "False") return make(line, Constant{Value(false)});
    if (token.text == "none" || token.text == "None") return make(line, Constant{Value::none()});
    return make(line, Name{std::move(token.text), {}});
  }
  if (current().is(Kind::kString)) {
    std::string text;
    while (current().is(Kind::kString)) text += take().text;
    return make(line, Constant{Value::trusted(text)});
  }
  if (current().is(Kind::kInteger)) return integer();
  if (current().is(Kind::kFloat)) {
    const Token token = take();
    double value = 0;
    const auto result = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (result.ec != std::errc()) fail_syntax(line, str("the number ", token.text, " is out of range"));
    return make(line, Constant{Value(value)});
  }
  if (skip_operator("(")) {
    ExprPtr value = tuple_or_expression(true, true);
    expect_operator(")");
    return value;
  }
  if (current().is_operator("[")) return literal_list();
  if (current().is_operator("{")) return literal_dict();
  fail(str("unexpected ", describe(current())));
}

ExprPtr ExpressionParser::literal_list() {
  const std::uint32_t line = take().line;
  std::vector<ExprPtr> elements;
  while (!current().is_operator("]")) {
    elements.push_back(expression());
    if (!skip_operator(",")) break;
  }
  expect_operator("]");
  return make(line, ListLiteral{std::move(elements)});
}

ExprPtr ExpressionParser::literal_dict() {
  const std::uint32_t line = take().line;
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
  while (!current().is_operator("}")) {
    ExprPtr key = expression();
    expect_operator(":");
    entries.emplace_back(std::move(key), expression());
    if (!skip_operator(",")) break;
  }
  expect_operator("}");
  return make(line, DictLiteral{std::move(entries)});
}

ExprPtr ExpressionParser::postfix(ExprPtr object) {
  while (true) {
    if (current().is_operator(".") || current().is_operator("[")) {
      object = member(std::move(object));
    } else if (current().is_operator("(")) {
      object = call(std::move(object));
    } else {
      return object;
    }
  }
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr input) {
  while (true) {
    if (current().is_operator("|")) {
      input = filter(std::move(input));
    } else if (current().is_name("is")) {
      input = test(std::move(input));
    } else if (current().is_operator("(")) {
      input = call(std::move(input));
    } else {
      return input;
    }
  }
}

ExprPtr ExpressionParser::member(ExprPtr object) {
  const std::uint32_t line = current().line;
  if (skip_operator("[")) return subscript(std::move(object), line);
  take();
  if (current().is(Kind::kInteger)) return make(line, Item{std::move(object), integer()});
  const Token name = expect(Kind::kName, "a name or number");
  return make(line, Attribute{std::move(object), Value::trusted(name.text)});
}

// The inside of object[...]: an index, a slice, or several indices, which make a tuple.
ExprPtr ExpressionParser::subscript(ExprPtr object, std::uint32_t line) {
  const auto at_bound_end = [this] {
    return current().is_operator(":") || current().is_operator("]") || current().is_operator(",");
  };
  std::vector<ExprPtr> indices;
  while (!current().is_operator("]")) {
    ExprPtr start = current().is_operator(":") ? nullptr : expression();
    if (skip_operator(":")) {
      ExprPtr stop = at_bound_end() ? nullptr : expression();
      ExprPtr step = skip_operator(":") && !at_bound_end() ? expression() : nullptr;
      if (!indices.empty() || !current().is_operator("]")) fail("a slice among several indices is not supported");
      expect_operator("]");
      return make(line, Slice{std::move(object), std::move(start), std::move(stop), std::move(step)});
    }
    indices.push_back(std::move(start));
    if (current().is_operator("]")) break;
    expect_operator(",");
  }
  expect_operator("]");
  ExprPtr index = indices.size() == 1 ? std::move(indices.front()) : make(line, TupleLiteral{std::move(indices)});
  return make(line, Item{std::move(object), std::move(index)});
}

CallArguments ExpressionParser::call_arguments() {
  CallArguments arguments;
  expect_operator("(");
  const auto ensure = [this](bool is_right) {
    if (!is_right) fail("invalid syntax for function call expression");
  };
  while (!current().is_operator(")")) {
    if (skip_operator("*")) {
      ensure(!arguments.rest && !arguments.named_rest);
      arguments.rest = expression();
    } else if (skip_operator("**")) {
      ensure(!arguments.named_rest);
      arguments.named_rest = expression();
    } else if (current().is(Kind::kName) && ahead().is_operator("=")) {
      ensure(!arguments.named_rest);
      Value name = Value::trusted(take().text);
      take();
      arguments.named.emplace_back(std::move(name), expression());
    } else {
      ensure(!arguments.rest && !arguments.named_rest && arguments.named.empty());
      arguments.positional.push_back(expression());
    }
    if (!skip_operator(",")) break;
  }
  expect_operator(")");
  return arguments;
}

ExprPtr ExpressionParser::call(ExprPtr callee) {
  const std::uint32_t line = current().line;
  CallArguments arguments = call_arguments();
  return make(line, Call{std::move(callee), std::move(arguments)});
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect(Kind::kName, "a name").text;
  while (skip_operator(".")) {
    name += '.';
    name += expect(Kind::kName, "a name").text;
  }
  return name;
}

// "|name(arguments)"; input may be null.
ExprPtr ExpressionParser::filter(ExprPtr input) {
  skip_operator("|");
  const std::uint32_t line = current().line;
  std::string name = dotted_name();
  CallArguments arguments = current().is_operator("(") ? call_arguments() : CallArguments();
  return make(line, Filter{std::move(input), std::move(name), std::move(arguments)});
}

std::vector<ExprPtr> ExpressionParser::block_filters(bool starts_with_name) {
  std::vector<ExprPtr> filters;
  while (starts_with_name || current().is_operator("|")) {
    filters.push_back(filter(nullptr));
    starts_with_name = false;
  }
  return filters;
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  const std::uint32_t line = take().line;
  const bool is_negated = skip_name("not");
  std::string name = dotted_name();
  CallArguments arguments;
  const Token& next = current();
  const bool is_operand = next.is(Kind::kName) || next.is(Kind::kString) || next.is(Kind::kInteger) ||
                          next.is(Kind::kFloat) || next.is_operator("[") || next.is_operator("{");
  if (next.is_operator("(")) {
    arguments = call_arguments();
  } else if (is_operand && !next.is_name("else") && !next.is_name("or") && !next.is_name("and")) {
    if (next.is_name("is")) fail("you cannot chain multiple tests with is");
    arguments.positional.push_back(postfix(primary()));
  }
  ExprPtr result = make(line, Test{std::move(input), std::move(name), std::move(arguments)});
  return is_negated ? make(line, Unary{Unary::Op::kNot, std::move(result)}) : std::move(result);
}

}  // namespace carat::jinja
