#include "chat/jinja_scope.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "chat/jinja_lexer.h"

namespace carat::jinja {
namespace {

// Jinja compiles a template to Python functions: one for the template, one for each macro and call block. Every scope
// inside a function (a loop's body, a with block, ...) keeps its variables among the function's locals, which are named
// by the scope's level and the variable. What a scope does with a name decides, before anything runs, how its variable
// begins: one that is read before it is assigned is looked up around the scope or in the context; one that is assigned
// first begins undefined. Reference: jinja2 3.1, idtracking.py (Symbols) and compiler.py (Frame).
struct Function {
  Function* parent = nullptr;
  std::map<std::pair<std::uint32_t, std::string>, std::uint32_t> indices;  // by level and name
  bool holds_macros = false;
  std::uint32_t line = 0;

  std::uint32_t index_of(std::uint32_t level, const std::string& name) {
    constexpr std::size_t kMaxVariables =
        500;  // of a function; chat templates have about 50. Bounds the analysis below
    if (indices.size() > kMaxVariables) fail_syntax(line, str("more than ", kMaxVariables, " variables in one macro"));
    return indices.try_emplace({level, name}, static_cast<std::uint32_t>(indices.size())).first->second;
  }
};

struct Variable {
  const Function* function;
  std::uint32_t index;
};

// The names a scope knows.
class Scope {
 public:
  Scope(Function& function, const Scope* parent)
      : function_(&function), parent_(parent), level_(parent == nullptr ? 0 : parent->level_ + 1) {}

  Function& function() const { return *function_; }

  void load(const std::string& name) {
    if (!find(name)) define(name, Start{VariableStart::From::kContext, {}});
  }

  void store(const std::string& name) {
    stored_.insert(name);
    if (known_.contains(name)) return;
    const auto outer = find_outside(name);
    define(name, outer ? Start{VariableStart::From::kOuter, *outer} : Start{VariableStart::From::kUndefined, {}});
  }

  void declare_parameter(const std::string& name) {
    stored_.insert(name);
    define(name, std::nullopt);
  }

  // Takes over what the branches of an if statement did, each a copy of this scope that went on. A name that only they
  // assign may stay unassigned, so its variable begins with the value from outside.
  void join_branches(const std::vector<Scope>& branches) {
    std::set<std::string> newly_stored;
    for (const Scope& branch : branches) {
      for (const std::string& name : branch.stored_) {
        if (!stored_.contains(name)) newly_stored.insert(name);
      }
    }
    for (const Scope& branch : branches) {
      known_.insert(branch.known_.begin(), branch.known_.end());
      starts_.insert(branch.starts_.begin(), branch.starts_.end());
      stored_.insert(branch.stored_.begin(), branch.stored_.end());
    }
    for (const std::string& name : newly_stored) {
      const auto outer = find_outside(name);
      starts_[name] = outer ? Start{VariableStart::From::kOuter, *outer} : Start{VariableStart::From::kContext, {}};
    }
  }

  std::optional<Variable> find(const std::string& name) const {
    const auto found = known_.find(name);
    return found != known_.end() ? std::optional<Variable>(found->second) : find_outside(name);
  }

  Slot slot(const std::string& name) const { return slot(*find(name)); }

  ScopeStart start() const {
    ScopeStart result;
    for (const auto& [name, begin] : starts_) {
      if (!begin) continue;
      const Slot outer = begin->from == VariableStart::From::kOuter ? slot(begin->outer) : Slot();
      result.push_back({begin->from, slot(name), outer, name});
    }
    return result;
  }

 private:
  struct Start {
    VariableStart::From from;
    Variable outer;
  };

  void define(const std::string& name, std::optional<Start> start) {
    known_.insert_or_assign(name, Variable{function_, function_->index_of(level_, name)});
    starts_.insert_or_assign(name, start);
  }

  std::optional<Variable> find_outside(const std::string& name) const {
    return parent_ == nullptr ? std::nullopt : parent_->find(name);
  }

  Slot slot(const Variable& variable) const {
    Slot result{0, variable.index};
    for (const Function* f = function_; f != variable.function; f = f->parent) ++result.hops;
    return result;
  }

  Function* function_;
  const Scope* parent_;
  std::uint32_t level_;
  std::map<std::string, Variable> known_;
  std::map<std::string, std::optional<Start>> starts_;  // none: a parameter
  std::set<std::string> stored_;
};

// Calls visit(Name&) for every name that an expression reads.
template <typename Visit>
void for_each_name(ExprPtr& expr, const Visit& visit) {
  if (!expr) return;
  if (auto* name = std::get_if<Name>(&expr->node)) visit(*name);
  for_each_child(*expr, [&visit](ExprPtr& child) { for_each_name(child, visit); });
}

template <typename Visit>
void for_each_target_name(Target& target, const Visit& visit) {
  if (auto* name = std::get_if<Name>(&target.place)) {
    visit(*name, true);
  } else if (auto* attribute = std::get_if<Target::NamespaceAttribute>(&target.place)) {
    visit(attribute->owner, false);
  } else {
    for (Target& inner : std::get<Target::Tuple>(target.place).targets) for_each_target_name(inner, visit);
  }
}

// First pass over a scope: notes which names its statements read and assign, in order, without entering inner scopes.
class Collector {
 public:
  explicit Collector(Scope& scope) : scope_(scope) {}

  void expression(ExprPtr& expr) {
    for_each_name(expr, [this](Name& name) { scope_.load(name.name); });
  }

  void expressions(std::vector<ExprPtr>& exprs) {
    for (ExprPtr& expr : exprs) expression(expr);
  }

  void parameters(Target& target) {
    for_each_target_name(target, [this](Name& name, bool) { scope_.declare_parameter(name.name); });
  }

  void body(Body& statements) {
    for (Statement& statement : statements) std::visit(*this, statement.node);
  }

  void operator()(Data&) {}
  void operator()(Print& n) { expression(n.value); }
  void operator()(If& n) {
    expression(n.branches.front().first);
    // The elif branches are one alternative, whose ifs follow one another.
    Scope then = scope_;
    Scope elifs = scope_;
    Scope otherwise = scope_;
    Collector(then).body(n.branches.front().second);
    for (auto branch = n.branches.begin() + 1; branch != n.branches.end(); ++branch) {
      Collector(elifs).expression(branch->first);
      Scope inner = elifs;
      Collector(inner).body(branch->second);
      elifs.join_branches({inner});
    }
    Collector(otherwise).body(n.otherwise);
    scope_.join_branches({then, elifs, otherwise});
  }
  void operator()(For& n) { expression(n.iterable); }
  void operator()(Set& n) {
    expression(n.value);
    assigned(n.target);
  }
  void operator()(SetBlock& n) { assigned(n.target); }
  void operator()(MacroDefinition& n) { scope_.store(n.name.name); }
  void operator()(CallBlock& n) { expression(n.call); }
  void operator()(FilterBlock& n) { expressions(n.filters); }
  void operator()(With& n) {
    for (auto& [target, value] : n.bindings) expression(value);
  }
  void operator()(Break&) {}
  void operator()(Continue&) {}

 private:
  void assigned(Target& target) {
    for_each_target_name(
        target, [this](Name& name, bool is_stored) { is_stored ? scope_.store(name.name) : scope_.load(name.name); });
  }

  Scope& scope_;
};

// Whether anything in statements, inner scopes and macros included, reads a name.
class Search {
 public:
  explicit Search(std::string_view name) : name_(name) {}

  bool in(Body& statements) {
    for (Statement& statement : statements) std::visit(*this, statement.node);
    return is_found_;
  }

  void operator()(Data&) {}
  void operator()(Print& n) { look(n.value); }
  void operator()(If& n) {
    for (auto& [test, then] : n.branches) {
      look(test);
      in(then);
    }
    in(n.otherwise);
  }
  void operator()(For& n) {
    look(n.iterable);
    look(n.condition);
    in(n.body);
    in(n.otherwise);
  }
  void operator()(Set& n) { look(n.value); }
  void operator()(SetBlock& n) { look_all(n.filters, n.body); }
  void operator()(MacroDefinition& n) { in(*n.macro.body); }
  void operator()(CallBlock& n) {
    look(n.call);
    in(*n.caller.body);
  }
  void operator()(FilterBlock& n) { look_all(n.filters, n.body); }
  void operator()(With& n) {
    for (auto& [target, value] : n.bindings) look(value);
    in(n.body);
  }
  void operator()(Break&) {}
  void operator()(Continue&) {}

 private:
  void look(ExprPtr& expr) {
    for_each_name(expr, [this](Name& name) { is_found_ = is_found_ || name.name == name_; });
  }
  void look_all(std::vector<ExprPtr>& exprs, Body& statements) {
    for (ExprPtr& expr : exprs) look(expr);
    in(statements);
  }

  std::string_view name_;
  bool is_found_ = false;
};

void resolve_macro(Macro& macro, const Scope* parent);

// Second pass: fills in the slots of a scope's statements and goes into inner scopes.
class Resolver {
 public:
  explicit Resolver(Scope& scope) : scope_(scope) {}

  void expression(ExprPtr& expr) {
    for_each_name(expr, [this](Name& name) { name.slot = scope_.slot(name.name); });
  }
  void expressions(std::vector<ExprPtr>& exprs) {
    for (ExprPtr& expr : exprs) expression(expr);
  }
  void target(Target& place) {
    for_each_target_name(place, [this](Name& name, bool) { name.slot = scope_.slot(name.name); });
  }
  void body(Body& statements) {
    for (Statement& statement : statements) std::visit(*this, statement.node);
  }

  void operator()(Data&) {}
  void operator()(Print& n) { expression(n.value); }
  void operator()(If& n) {
    for (auto& [test, then] : n.branches) {
      expression(test);
      body(then);
    }
    body(n.otherwise);
  }
  void operator()(For& n) {
    expression(n.iterable);
    {
      Scope scope(scope_.function(), &scope_);
      scope.declare_parameter("loop");
      n.loop = scope.slot("loop");
      Collector(scope).parameters(n.target);
      Resolver(scope).target(n.target);
      inner_scope(scope, {}, n.body, n.body_start);
    }
    if (n.condition) {
      // Its target's variables are those of the body's scope, which has the same level.
      Scope scope(scope_.function(), &scope_);
      Collector(scope).parameters(n.target);
      Collector(scope).expression(n.condition);
      Resolver(scope).expression(n.condition);
      n.condition_start = scope.start();
    }
    Scope scope(scope_.function(), &scope_);
    inner_scope(scope, {}, n.otherwise, n.otherwise_start);
  }
  void operator()(Set& n) {
    expression(n.value);
    target(n.target);
  }
  void operator()(SetBlock& n) {
    target(n.target);
    Scope scope(scope_.function(), &scope_);
    inner_scope(scope, &n.filters, n.body, n.start);
  }
  void operator()(MacroDefinition& n) {
    n.name.slot = scope_.slot(n.name.name);
    scope_.function().holds_macros = true;
    resolve_macro(n.macro, &scope_);
  }
  void operator()(CallBlock& n) {
    expression(n.call);
    scope_.function().holds_macros = true;
    resolve_macro(n.caller, &scope_);
  }
  void operator()(FilterBlock& n) {
    Scope scope(scope_.function(), &scope_);
    inner_scope(scope, &n.filters, n.body, n.start);
  }
  void operator()(With& n) {
    Scope scope(scope_.function(), &scope_);
    for (auto& [place, value] : n.bindings) {
      expression(value);
      Collector(scope).parameters(place);
      Resolver(scope).target(place);
    }
    inner_scope(scope, {}, n.body, n.start);
  }
  void operator()(Break&) {}
  void operator()(Continue&) {}

 private:
  static void inner_scope(Scope& scope, std::vector<ExprPtr>* filters, Body& statements, ScopeStart& start) {
    if (filters != nullptr) Collector(scope).expressions(*filters);
    Collector(scope).body(statements);
    if (filters != nullptr) Resolver(scope).expressions(*filters);
    Resolver(scope).body(statements);
    start = scope.start();
  }

  Scope& scope_;
};

// parent: the scope around the macro; null for the program itself.
void resolve_macro(Macro& macro, const Scope* parent) {
  Function function;
  function.line = macro.line;
  if (parent != nullptr) function.parent = &parent->function();
  Scope scope(function, parent);
  Collector collector(scope);
  for (Parameter& parameter : macro.parameters) scope.declare_parameter(parameter.name.name);
  for (Parameter& parameter : macro.parameters) collector.expression(parameter.fallback);
  if (parent != nullptr) {
    using Special = std::pair<std::string, std::optional<Slot>*>;
    for (const auto& [name, place] :
         {Special{"caller", &macro.caller}, Special{"kwargs", &macro.named_rest}, Special{"varargs", &macro.rest}}) {
      const bool is_parameter = std::any_of(macro.parameters.begin(), macro.parameters.end(),
                                            [&name = name](const Parameter& p) { return p.name.name == name; });
      if (is_parameter || !Search(name).in(*macro.body)) continue;
      scope.declare_parameter(name);
      *place = scope.slot(name);
    }
  }
  collector.body(*macro.body);

  Resolver resolver(scope);
  for (Parameter& parameter : macro.parameters) {
    parameter.name.slot = scope.slot(parameter.name.name);
    resolver.expression(parameter.fallback);
  }
  resolver.body(*macro.body);
  macro.start = scope.start();
  macro.slot_count = static_cast<std::uint32_t>(function.indices.size());
  macro.holds_macros = function.holds_macros;
}

}  // namespace

void resolve_names(Program& program) {
  resolve_macro(program, nullptr);
}

}  // namespace carat::jinja
