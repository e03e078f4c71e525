// The part of the parser that reads expressions; the statements are jinja_parser.cpp's.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "chat/jinja_ast.h"
#include "chat/jinja_lexer.h"

namespace carat::jinja {

// Bounds that keep the recursion of parser, evaluator and destructors within the stack.
constexpr std::uint32_t kMaxNesting = 100;  // brackets in brackets, blocks in blocks
constexpr std::uint32_t kMaxHeight = 400;   // of an expression's tree: also a chain such as a + b + c + ...

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  // Counts one more level for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.nesting_ > kMaxNesting) parser_.fail("brackets or blocks nest too deeply");
    }
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  Token take();
  bool skip_operator(std::string_view symbol);
  bool skip_name(std::string_view name);
  Token expect(Token::Kind kind, std::string_view what);
  void expect_operator(std::string_view symbol);
  void expect_name(std::string_view name);
  [[noreturn]] void fail(std::string_view reason) const { fail_syntax(current().line, reason); }

  // Makes a node on a line; fails when its tree becomes too high.
  ExprPtr make(std::uint32_t line, Expr::Node node) const;

  ExprPtr expression() { return conditional(); }
  ExprPtr expression_without_condition() { return logical_or(); }
  // One expression or, with commas, a tuple. Which token may follow a trailing comma depends on the place.
  ExprPtr tuple_or_expression(bool with_condition, bool in_parentheses);
  // "|name(arguments)|..." behind a block: each filter without its input.
  std::vector<ExprPtr> block_filters(bool starts_with_name);
  CallArguments call_arguments();

 private:
  ExprPtr conditional();
  ExprPtr logical_or();
  ExprPtr logical_and();
  ExprPtr logical_not();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filters);
  ExprPtr primary();
  ExprPtr literal_list();
  ExprPtr literal_dict();
  ExprPtr integer();
  ExprPtr postfix(ExprPtr object);
  ExprPtr filters_and_tests(ExprPtr input);
  ExprPtr member(ExprPtr object);
  ExprPtr subscript(ExprPtr object, std::uint32_t line);
  ExprPtr call(ExprPtr callee);
  ExprPtr filter(ExprPtr input);
  ExprPtr test(ExprPtr input);
  std::string dotted_name();

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::uint32_t nesting_ = 0;
};

}  // namespace carat::jinja
