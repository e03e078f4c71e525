// The syntax tree of a Jinja template. The parser makes it, resolve_names settles where each variable lives, and from
// then on it is immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "chat/jinja_operators.h"
#include "chat/jinja_value.h"

namespace carat::jinja {

// Where a variable lives: in a function (the template itself or a macro) `hops` functions outwards, at `index`.
struct Slot {
  std::uint32_t hops = 0;
  std::uint32_t index = 0;
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<Value, ExprPtr>> named;  // a name is a string value
  ExprPtr rest;                                  // *rest, or null
  ExprPtr named_rest;                            // **named_rest, or null
};

struct Constant {
  Value value;
};
struct Name {
  std::string name;
  Slot slot;
};
struct ListLiteral {
  std::vector<ExprPtr> elements;
};
struct TupleLiteral {
  std::vector<ExprPtr> elements;
};
struct DictLiteral {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct Unary {
  enum class Op { kNot, kMinus, kPlus };
  Op op;
  ExprPtr operand;
};
struct Arithmetic {
  ArithmeticOp op;
  ExprPtr left, right;
};
struct Logical {
  bool is_and;
  ExprPtr left, right;
};
struct Concatenation {  // a ~ b ~ c
  std::vector<ExprPtr> parts;
};
struct Comparison {  // first op x op y ..., each between neighbours
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct Conditional {  // then if test else otherwise
  ExprPtr test, then;
  ExprPtr otherwise;  // or null
};
struct Attribute {
  ExprPtr object;
  Value name;  // a string
};
struct Item {
  ExprPtr object, index;
};
struct Slice {
  ExprPtr object;
  ExprPtr start, stop, step;  // null when absent
};
struct Call {
  ExprPtr callee;
  CallArguments arguments;
};
struct Filter {
  ExprPtr input;  // null in filter blocks and set blocks: their text
  std::string name;
  CallArguments arguments;
};
struct Test {
  ExprPtr input;
  std::string name;
  CallArguments arguments;
};

struct Expr {
  using Node = std::variant<Constant, Name, ListLiteral, TupleLiteral, DictLiteral, Unary, Arithmetic, Logical,
                            Concatenation, Comparison, Conditional, Attribute, Item, Slice, Call, Filter, Test>;
  Node node;
  std::uint32_t line = 0;
  std::uint32_t height = 1;  // longest way down, in nodes
};

// What an assignment writes to: a variable, an attribute of a namespace, or several of these by unpacking.
struct Target {
  struct Tuple {
    std::vector<Target> targets;
  };
  struct NamespaceAttribute {
    Name owner;
    std::string attribute;
  };
  std::variant<Name, NamespaceAttribute, Tuple> place;
  std::uint32_t line = 0;
};

struct Statement;
using Body = std::vector<Statement>;

// How the variables of a scope begin when it is entered.
struct VariableStart {
  enum class From { kUndefined, kContext, kOuter };
  From from;
  Slot slot;
  Slot outer;        // kOuter: the variable of the same name around it
  std::string name;  // kContext: looked up among what the caller gave and the global functions
};
using ScopeStart = std::vector<VariableStart>;

struct Parameter {
  Name name;
  ExprPtr fallback;  // or null
};

// A macro, or the body of a call block.
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  std::unique_ptr<Body> body;
  ScopeStart start;
  std::uint32_t slot_count = 0;
  // Variables that exist only where the body uses them.
  std::optional<Slot> caller, named_rest, rest;
  bool holds_macros = false;
  std::uint32_t line = 0;
};

struct Data {
  Value text;
};
struct Print {
  ExprPtr value;
};
struct If {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExprPtr iterable;
  ExprPtr condition;  // or null
  Body body, otherwise;
  Slot loop;
  ScopeStart condition_start, body_start, otherwise_start;
};
struct Set {
  Target target;
  ExprPtr value;
};
struct SetBlock {
  Target target;
  std::vector<ExprPtr> filters;  // applied in turn
  Body body;
  ScopeStart start;
};
struct MacroDefinition {
  Name name;
  Macro macro;
};
struct CallBlock {
  ExprPtr call;  // a Call
  Macro caller;
};
struct FilterBlock {
  std::vector<ExprPtr> filters;
  Body body;
  ScopeStart start;
};
// Also {% generation %}, which marks an answer for training: a scope without bindings.
struct With {
  std::vector<std::pair<Target, ExprPtr>> bindings;
  Body body;
  ScopeStart start;
};
struct Break {};
struct Continue {};

struct Statement {
  using Node =
      std::variant<Data, Print, If, For, Set, SetBlock, MacroDefinition, CallBlock, FilterBlock, With, Break, Continue>;
  Node node;
  std::uint32_t line = 0;
};

// A whole template, seen as a macro without parameters.
using Program = Macro;

// Calls visit(ExprPtr&) for each child of an expression that is not null.
template <typename Visit>
void for_each_child(CallArguments& arguments, const Visit& visit) {
  for (ExprPtr& argument : arguments.positional) visit(argument);
  for (auto& [name, argument] : arguments.named) visit(argument);
  if (arguments.rest) visit(arguments.rest);
  if (arguments.named_rest) visit(arguments.named_rest);
}

template <typename Visit>
void for_each_child(Expr& expr, const Visit& visit) {
  const auto each = [&visit](auto&... children) { ((children ? visit(children) : void()), ...); };
  const auto all = [&visit](std::vector<ExprPtr>& children) {
    for (ExprPtr& child : children) visit(child);
  };
  struct Cases {
    decltype(each)& each_;
    decltype(all)& all_;
    const Visit& visit_;
    void operator()(Constant&) const {}
    void operator()(Name&) const {}
    void operator()(ListLiteral& n) const { all_(n.elements); }
    void operator()(TupleLiteral& n) const { all_(n.elements); }
    void operator()(DictLiteral& n) const {
      for (auto& [key, value] : n.entries) each_(key, value);
    }
    void operator()(Unary& n) const { each_(n.operand); }
    void operator()(Arithmetic& n) const { each_(n.left, n.right); }
    void operator()(Logical& n) const { each_(n.left, n.right); }
    void operator()(Concatenation& n) const { all_(n.parts); }
    void operator()(Comparison& n) const {
      each_(n.first);
      for (auto& [op, operand] : n.rest) each_(operand);
    }
    void operator()(Conditional& n) const { each_(n.test, n.then, n.otherwise); }
    void operator()(Attribute& n) const { each_(n.object); }
    void operator()(Item& n) const { each_(n.object, n.index); }
    void operator()(Slice& n) const { each_(n.object, n.start, n.stop, n.step); }
    void operator()(Call& n) const {
      each_(n.callee);
      for_each_child(n.arguments, visit_);
    }
    void operator()(Filter& n) const {
      each_(n.input);
      for_each_child(n.arguments, visit_);
    }
    void operator()(Test& n) const {
      each_(n.input);
      for_each_child(n.arguments, visit_);
    }
  };
  std::visit(Cases{each, all, visit}, expr.node);
}

}  // namespace carat::jinja
