#include "chat/jinja_parser.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "chat/jinja_expressions.h"
#include "chat/jinja_scope.h"

namespace carat::jinja {
namespace {

using Kind = Token::Kind;

class Parser : public ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(tokenize(source)) {}

  Program run() {
    Program program;
    program.body = std::make_unique<Body>(body({}));
    program.line = 1;
    return program;
  }

 private:
  // Statements up to a tag that begins with one of the names in ends, which is left to be taken, or to the end.
  Body body(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(*this);
    Body statements;
    while (!current().is(Kind::kEnd)) {
      const std::uint32_t line = current().line;
      if (current().is(Kind::kData)) {
        statements.push_back({Data{Value::trusted(take().text)}, line});
      } else if (current().is(Kind::kPrintBegin)) {
        take();
        statements.push_back({Print{tuple_or_expression(true, false)}, line});
        expect(Kind::kPrintEnd, "end of print statement");
      } else {
        take();  // a block's begin: there is nothing else between tags
        const bool is_end =
            std::any_of(ends.begin(), ends.end(), [this](auto name) { return current().is_name(name); });
        if (is_end) return statements;
        statement(statements, line);
        expect(Kind::kBlockEnd, "end of statement block");
      }
    }
    if (ends.size() > 0) fail(str("the template ends where '", *(ends.end() - 1), "' is expected"));
    return statements;
  }

  // The body of a block behind its head.
  Body block(std::initializer_list<std::string_view> ends) {
    skip_operator(":");
    expect(Kind::kBlockEnd, "end of statement block");
    return body(ends);
  }

  // A block whose end tag is taken, too.
  Body whole_block(std::string_view end) {
    Body statements = block({end});
    take();
    return statements;
  }

  void statement(Body& out, std::uint32_t line) {
    const Token tag = expect(Kind::kName, "a tag's name");
    const std::string& name = tag.text;
    if (name == "if") {
      out.push_back({if_statement(), line});
    } else if (name == "for") {
      out.push_back({for_statement(), line});
    } else if (name == "set") {
      set_statement(out, line);
    } else if (name == "macro") {
      out.push_back({macro_statement(line), line});
    } else if (name == "call") {
      out.push_back({call_statement(line), line});
    } else if (name == "filter") {
      std::vector<ExprPtr> filters = block_filters(true);
      out.push_back({FilterBlock{std::move(filters), whole_block("endfilter"), {}}, line});
    } else if (name == "with") {
      out.push_back({with_statement(), line});
    } else if (name == "generation") {
      out.push_back({With{{}, whole_block("endgeneration"), {}}, line});
    } else if (name == "print") {
      print_statement(out, line);
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) fail(str("'", name, "' outside loop"));
      if (name == "break") {
        out.push_back({Break{}, line});
      } else {
        out.push_back({Continue{}, line});
      }
    } else {
      fail(str("the tag '", printable(name), "' is unknown or not supported"));
    }
  }

  If if_statement() {
    If result;
    while (true) {
      ExprPtr test = tuple_or_expression(false, false);
      Body then = block({"elif", "else", "endif"});
      result.branches.emplace_back(std::move(test), std::move(then));
      const Token tag = take();
      if (tag.text == "elif") continue;
      if (tag.text == "else") result.otherwise = whole_block("endif");
      return result;
    }
  }

  For for_statement() {
    For result;
    result.target = target(false, "in");
    expect_name("in");
    result.iterable = tuple_or_expression(false, false);
    if (skip_name("if")) result.condition = expression();
    if (current().is_name("recursive")) fail("recursive loops are not supported");
    ++loops_;
    result.body = block({"endfor", "else"});
    --loops_;
    if (take().text == "else") result.otherwise = whole_block("endfor");
    return result;
  }

  void set_statement(Body& out, std::uint32_t line) {
    Target place = target(true, {});
    if (skip_operator("=")) {
      out.push_back({Set{std::move(place), tuple_or_expression(true, false)}, line});
      return;
    }
    std::vector<ExprPtr> filters = block_filters(false);
    out.push_back({SetBlock{std::move(place), std::move(filters), whole_block("endset"), {}}, line});
  }

  MacroDefinition macro_statement(std::uint32_t line) {
    Name name{expect(Kind::kName, "the macro's name").text, {}};
    Macro macro = signature(line);
    macro.name = name.name;
    macro_body(macro, "endmacro");
    return {std::move(name), std::move(macro)};
  }

  CallBlock call_statement(std::uint32_t line) {
    Macro caller;
    if (current().is_operator("(")) {
      caller = signature(line);
    }
    caller.line = line;
    ExprPtr call = expression();
    if (!std::holds_alternative<Call>(call->node)) fail("expected call");
    macro_body(caller, "endcall");
    return {std::move(call), std::move(caller)};
  }

  // The body of a macro. A loop around its definition is not one that it could leave.
  void macro_body(Macro& macro, std::string_view end) {
    const std::uint32_t outer_loops = std::exchange(loops_, 0);
    macro.body = std::make_unique<Body>(whole_block(end));
    loops_ = outer_loops;
  }

  Macro signature(std::uint32_t line) {
    Macro macro;
    macro.line = line;
    expect_operator("(");
    while (!current().is_operator(")")) {
      if (!macro.parameters.empty()) expect_operator(",");
      Parameter parameter{{expect(Kind::kName, "a parameter's name").text, {}}, nullptr};
      if (skip_operator("=")) {
        parameter.fallback = expression();
      } else if (!macro.parameters.empty() && macro.parameters.back().fallback) {
        fail("non-default argument follows default argument");
      }
      macro.parameters.push_back(std::move(parameter));
    }
    expect_operator(")");
    return macro;
  }

  With with_statement() {
    With result;
    while (!current().is(Kind::kBlockEnd)) {
      if (!result.bindings.empty()) expect_operator(",");
      Target place = target(false, "=");
      expect_operator("=");
      ExprPtr value = expression();
      result.bindings.emplace_back(std::move(place), std::move(value));
    }
    result.body = whole_block("endwith");
    return result;
  }

  void print_statement(Body& out, std::uint32_t line) {
    bool is_first = true;
    while (!current().is(Kind::kBlockEnd)) {
      if (!std::exchange(is_first, false)) expect_operator(",");
      out.push_back({Print{expression()}, line});
    }
  }

  // One target or, with commas, several. `end` is the token that may follow a trailing comma.
  Target target(bool allows_namespace, std::string_view end) {
    const std::uint32_t line = current().line;
    std::vector<Target> targets;
    bool is_tuple = false;
    const auto at_end = [this, end] {
      return current().is(Kind::kBlockEnd) || current().is_operator(")") ||
             (!end.empty() && (current().is_name(end) || current().is_operator(end)));
    };
    while (!at_end()) {
      targets.push_back(single_target(allows_namespace));
      if (!skip_operator(",")) break;
      is_tuple = true;
    }
    if (targets.empty()) fail("expected a name to assign to");
    if (!is_tuple) return std::move(targets.front());
    return {Target::Tuple{std::move(targets)}, line};
  }

  Target single_target(bool allows_namespace) {
    const std::uint32_t line = current().line;
    if (skip_operator("(")) {
      const Nesting nesting(*this);
      Target inner = target(false, {});
      expect_operator(")");
      return inner;
    }
    const Token name = expect(Kind::kName, "a name to assign to");
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
      if (name.text == constant) fail("can't assign to a constant");
    }
    if (name.text == "loop") fail("can't assign to the special variable 'loop'");
    if (!allows_namespace || !skip_operator(".")) return {Name{name.text, {}}, line};
    std::string attribute = expect(Kind::kName, "an attribute's name").text;
    return {Target::NamespaceAttribute{Name{name.text, {}}, std::move(attribute)}, line};
  }

  std::uint32_t loops_ = 0;  // for statements around this place
};

}  // namespace

Program parse(std::string_view source) {
  Program program = Parser(source).run();
  resolve_names(program);
  return program;
}

}  // namespace carat::jinja
