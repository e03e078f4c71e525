// Runs a template's program: one Evaluator for one rendering.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "chat/jinja_ast.h"
#include "chat/jinja_template.h"
#include "chat/jinja_value.h"

namespace carat::jinja {

// The variables of a function that runs: the template itself or a macro.
struct Activation {
  Activation* parent = nullptr;  // of the function around the macro's definition
  std::vector<Value> slots;
};

class Evaluator {
 public:
  Evaluator(Runtime& rt, const Variables& variables) : rt_(rt), variables_(variables) {}

  MarkedText run(const Program& program);

 private:
  // What a statement asks of the loop around it.
  enum class Flow { kNext, kBreak, kContinue };
  class Level;

  Value eval(const Expr& expr);
  Value eval_node(const Constant& n) { return n.value; }
  Value eval_node(const Name& n);
  Value eval_node(const ListLiteral& n);
  Value eval_node(const TupleLiteral& n);
  Value eval_node(const DictLiteral& n);
  Value eval_node(const Unary& n);
  Value eval_node(const Arithmetic& n);
  Value eval_node(const Logical& n);
  Value eval_node(const Concatenation& n);
  Value eval_node(const Comparison& n);
  Value eval_node(const Conditional& n);
  Value eval_node(const Attribute& n);
  Value eval_node(const Item& n);
  Value eval_node(const Slice& n);
  Value eval_node(const Call& n);
  Value eval_node(const Filter& n);
  Value eval_node(const Test& n);

  std::vector<Value> eval_all(const std::vector<ExprPtr>& exprs);
  Arguments eval_arguments(const CallArguments& arguments);

  Flow exec(const Body& body, MarkedText& out);
  Flow exec_node(const Data& n, MarkedText& out);
  Flow exec_node(const Print& n, MarkedText& out);
  Flow exec_node(const If& n, MarkedText& out);
  Flow exec_node(const For& n, MarkedText& out);
  Flow exec_node(const Set& n, MarkedText& out);
  Flow exec_node(const SetBlock& n, MarkedText& out);
  Flow exec_node(const MacroDefinition& n, MarkedText& out);
  Flow exec_node(const CallBlock& n, MarkedText& out);
  Flow exec_node(const FilterBlock& n, MarkedText& out);
  Flow exec_node(const With& n, MarkedText& out);
  Flow exec_node(const Break&, MarkedText&) { return Flow::kBreak; }
  Flow exec_node(const Continue&, MarkedText&) { return Flow::kContinue; }

  std::shared_ptr<const Items> filtered_items(const For& loop);
  Value apply_filters(const std::vector<ExprPtr>& filters, MarkedText text);
  void print(const MarkedText& text, MarkedText& out);

  Value& variable(Slot slot);
  void enter_scope(const ScopeStart& start);
  void assign(const Target& target, const Value& value);
  Value make_macro(const Macro& macro);
  Value call(const Value& callee, Arguments& arguments);
  Value call_macro(const Callable& callee, Arguments& arguments);
  void bind_parameters(const Macro& macro, Arguments& arguments);
  Value make_namespace(const Arguments& arguments);

  Runtime& rt_;
  const Variables& variables_;
  Activation* activation_ = nullptr;
  std::size_t depth_ = 0;  // of eval and exec in each other
  std::size_t macro_depth_ = 0;
  // What values point to and what can change; freed when the rendering ends.
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
  std::deque<Activation> kept_activations_;  // of functions that define macros
};

}  // namespace carat::jinja
