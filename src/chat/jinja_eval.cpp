#include "chat/jinja_eval.h"

#include <algorithm>
#include <utility>

#include "chat/jinja_filters.h"
#include "chat/jinja_format.h"
#include "chat/jinja_methods.h"
#include "chat/jinja_operators.h"

namespace carat::jinja {

// One level of recursion, for as long as it lives. A level takes well below 2 KiB of stack, also in sanitized builds.
class Evaluator::Level {
 public:
  explicit Level(Evaluator& evaluator) : evaluator_(evaluator) {
    constexpr std::size_t kMaxDepth = 1500;
    if (++evaluator_.depth_ > kMaxDepth) evaluator_.rt_.fail("the template nests too deeply");
  }
  ~Level() { --evaluator_.depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Evaluator& evaluator_;
};

MarkedText Evaluator::run(const Program& program) {
  Activation root;
  root.slots.resize(program.slot_count);
  activation_ = &root;
  enter_scope(program.start);
  MarkedText out;
  exec(*program.body, out);
  return out;
}

// Expressions.

Value Evaluator::eval(const Expr& expr) {
  const Level level(*this);
  rt_.spend(1);
  rt_.set_line(expr.line);
  return std::visit([this](const auto& node) { return eval_node(node); }, expr.node);
}

std::vector<Value> Evaluator::eval_all(const std::vector<ExprPtr>& exprs) {
  std::vector<Value> values;
  values.reserve(exprs.size());
  for (const ExprPtr& expr : exprs) values.push_back(eval(*expr));
  return values;
}

Value Evaluator::eval_node(const Name& n) {
  const Value& value = variable(n.slot);
  const auto* undefined = value.get_if<Undefined>();
  if (undefined == nullptr || undefined->why != nullptr) return value;
  return Value::undefined(str("'", n.name, "' is undefined"));
}

Value Evaluator::eval_node(const ListLiteral& n) {
  return make_list(rt_, eval_all(n.elements));
}
Value Evaluator::eval_node(const TupleLiteral& n) {
  return make_tuple(rt_, eval_all(n.elements));
}

Value Evaluator::eval_node(const DictLiteral& n) {
  std::vector<DictData::Entry> entries;
  for (const auto& [key, value] : n.entries) {
    Value evaluated_key = eval(*key);
    entries.emplace_back(std::move(evaluated_key), eval(*value));
  }
  return make_dict(rt_, std::move(entries));
}

Value Evaluator::eval_node(const Unary& n) {
  const Value operand = eval(*n.operand);
  switch (n.op) {
    case Unary::Op::kNot:
      return Value(!truth(operand));
    case Unary::Op::kMinus:
      return negated(rt_, operand);
    case Unary::Op::kPlus:
      return unary_plus(rt_, operand);
  }
  return {};
}

Value Evaluator::eval_node(const Arithmetic& n) {
  const Value left = eval(*n.left);
  return arithmetic(rt_, n.op, left, eval(*n.right));
}

Value Evaluator::eval_node(const Logical& n) {
  Value left = eval(*n.left);
  return truth(left) == n.is_and ? eval(*n.right) : left;
}

Value Evaluator::eval_node(const Concatenation& n) {
  MarkedText text;
  for (const ExprPtr& part : n.parts) {
    const MarkedText piece = to_text(rt_, eval(*part));
    rt_.check_text_size(text.size() + piece.size());
    text.append(piece);
  }
  return Value::text(std::move(text));
}

Value Evaluator::eval_node(const Comparison& n) {
  Value left = eval(*n.first);
  for (const auto& [op, operand] : n.rest) {
    Value right = eval(*operand);
    if (!compare(rt_, op, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Evaluator::eval_node(const Conditional& n) {
  if (truth(eval(*n.test))) return eval(*n.then);
  if (n.otherwise) return eval(*n.otherwise);
  return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
}

Value Evaluator::eval_node(const Attribute& n) {
  return get_attribute(rt_, eval(*n.object), n.name);
}

Value Evaluator::eval_node(const Item& n) {
  const Value object = eval(*n.object);
  return get_item(rt_, object, eval(*n.index));
}

Value Evaluator::eval_node(const Slice& n) {
  const auto bound = [this](const ExprPtr& expr) { return expr ? eval(*expr) : Value::none(); };
  const Value object = eval(*n.object);
  const Value start = bound(n.start);
  const Value stop = bound(n.stop);
  return get_slice(rt_, object, start, stop, bound(n.step));
}

Value Evaluator::eval_node(const Call& n) {
  const Value callee = eval(*n.callee);
  Arguments arguments = eval_arguments(n.arguments);
  return call(callee, arguments);
}

Value Evaluator::eval_node(const Filter& n) {
  const Value input = eval(*n.input);
  return apply_filter(rt_, n.name, input, eval_arguments(n.arguments));
}

Value Evaluator::eval_node(const Test& n) {
  const Value input = eval(*n.input);
  return Value(apply_test(rt_, n.name, input, eval_arguments(n.arguments)));
}

Arguments Evaluator::eval_arguments(const CallArguments& arguments) {
  Arguments result{eval_all(arguments.positional), {}};
  for (const auto& [name, value] : arguments.named) result.named.emplace_back(name, eval(*value));
  if (arguments.rest) {
    const auto rest = iterate(rt_, eval(*arguments.rest));
    rt_.spend(rest->values.size());
    result.positional.insert(result.positional.end(), rest->values.begin(), rest->values.end());
  }
  if (arguments.named_rest) {
    const Value rest = eval(*arguments.named_rest);
    const auto* dict = rest.get_if<Dict>();
    if (dict == nullptr) rt_.fail("argument after ** must be a mapping, not ", type_name(rest));
    rt_.spend((*dict)->entries().size());
    for (const auto& entry : (*dict)->entries()) {
      if (!entry.first.is<String>()) rt_.fail("keywords must be strings");
      result.named.push_back(entry);
    }
  }
  return result;
}

// Statements.

Evaluator::Flow Evaluator::exec(const Body& body, MarkedText& out) {
  const Level level(*this);
  for (const Statement& statement : body) {
    rt_.spend(1);
    rt_.set_line(statement.line);
    const Flow flow = std::visit([&](const auto& node) { return exec_node(node, out); }, statement.node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

void Evaluator::print(const MarkedText& text, MarkedText& out) {
  if (text.size() > rt_.limits().output_bytes - out.size()) {
    rt_.fail("the output is longer than ", rt_.limits().output_bytes, " bytes");
  }
  rt_.spend_text(text.size());
  out.append(text);
}

Evaluator::Flow Evaluator::exec_node(const Data& n, MarkedText& out) {
  print(*n.text.text_if(), out);
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_node(const Print& n, MarkedText& out) {
  const Value value = eval(*n.value);
  if (const MarkedText* text = value.text_if()) {
    print(*text, out);
  } else {
    print(to_text(rt_, value), out);
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_node(const If& n, MarkedText& out) {
  for (const auto& [test, body] : n.branches) {
    if (truth(eval(*test))) return exec(body, out);
  }
  return exec(n.otherwise, out);
}

std::shared_ptr<const Items> Evaluator::filtered_items(const For& loop) {
  auto items = iterate(rt_, eval(*loop.iterable));
  if (!loop.condition) return items;
  std::vector<Value> kept;
  for (const Value& item : items->values) {
    assign(loop.target, item);
    enter_scope(loop.condition_start);
    if (truth(eval(*loop.condition))) kept.push_back(item);
  }
  return make_items(rt_, std::move(kept));
}

Evaluator::Flow Evaluator::exec_node(const For& n, MarkedText& out) {
  Loop& loop = loops_.emplace_back();
  loop.items = filtered_items(n);
  const std::vector<Value>& values = loop.items->values;
  // As in Jinja, the else part runs unless some round came to the end of the body: also after a break in the first one.
  bool is_any_complete = false;
  for (loop.index = 0; loop.index < values.size(); ++loop.index) {
    rt_.spend(1);
    variable(n.loop) = Value(&loop);
    assign(n.target, values[loop.index]);
    enter_scope(n.body_start);
    const Flow flow = exec(n.body, out);
    if (flow == Flow::kBreak) break;
    is_any_complete = is_any_complete || flow == Flow::kNext;
  }
  if (loop.index == values.size() && loop.index > 0) --loop.index;  // a loop that is kept stays at its last element
  if (is_any_complete) return Flow::kNext;
  enter_scope(n.otherwise_start);
  return exec(n.otherwise, out);
}

Evaluator::Flow Evaluator::exec_node(const Set& n, MarkedText&) {
  assign(n.target, eval(*n.value));
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_node(const SetBlock& n, MarkedText&) {
  enter_scope(n.start);
  MarkedText text;
  const Flow flow = exec(n.body, text);
  if (flow == Flow::kNext) assign(n.target, apply_filters(n.filters, std::move(text)));
  return flow;
}

Evaluator::Flow Evaluator::exec_node(const MacroDefinition& n, MarkedText&) {
  variable(n.name.slot) = make_macro(n.macro);
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_node(const CallBlock& n, MarkedText& out) {
  const auto& node = std::get<Call>(n.call->node);
  const Value callee = eval(*node.callee);
  Arguments arguments = eval_arguments(node.arguments);
  arguments.named.emplace_back(Value::trusted("caller"), make_macro(n.caller));
  print(to_text(rt_, call(callee, arguments)), out);
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_node(const FilterBlock& n, MarkedText& out) {
  enter_scope(n.start);
  MarkedText text;
  const Flow flow = exec(n.body, text);
  if (flow == Flow::kNext) print(to_text(rt_, apply_filters(n.filters, std::move(text))), out);
  return flow;
}

Evaluator::Flow Evaluator::exec_node(const With& n, MarkedText& out) {
  enter_scope(n.start);
  for (const auto& [target, value] : n.bindings) assign(target, eval(*value));
  return exec(n.body, out);
}

Value Evaluator::apply_filters(const std::vector<ExprPtr>& filters, MarkedText text) {
  Value value = make_text(rt_, std::move(text));
  for (const ExprPtr& expr : filters) {
    const auto& filter = std::get<Filter>(expr->node);
    value = apply_filter(rt_, filter.name, value, eval_arguments(filter.arguments));
  }
  return value;
}

// Variables.

Value& Evaluator::variable(Slot slot) {
  Activation* activation = activation_;
  for (std::uint32_t i = 0; i < slot.hops; ++i) activation = activation->parent;
  return activation->slots[slot.index];
}

void Evaluator::enter_scope(const ScopeStart& start) {
  rt_.spend(start.size());
  for (const VariableStart& begin : start) {
    Value value;
    if (begin.from == VariableStart::From::kOuter) {
      value = variable(begin.outer);
    } else if (begin.from == VariableStart::From::kContext) {
      const auto found = variables_.find(begin.name);
      value = found != variables_.end() ? found->second : global_function(begin.name).value_or(Value());
    }
    variable(begin.slot) = std::move(value);
  }
}

void Evaluator::assign(const Target& target, const Value& value) {
  if (const auto* name = std::get_if<Name>(&target.place)) {
    variable(name->slot) = value;
  } else if (const auto* member = std::get_if<Target::NamespaceAttribute>(&target.place)) {
    const auto* owner = variable(member->owner.slot).get_if<Namespace*>();
    if (owner == nullptr) rt_.fail("cannot assign attribute on non-namespace object '", member->owner.name, "'");
    (*owner)->attributes.insert_or_assign(member->attribute, value);
  } else {
    const auto& targets = std::get<Target::Tuple>(target.place).targets;
    const auto items = try_iterate(rt_, value);
    if (items == nullptr) rt_.fail("cannot unpack non-iterable ", type_name(value), " object");
    if (items->values.size() < targets.size()) {
      rt_.fail("not enough values to unpack (expected ", targets.size(), ", got ", items->values.size(), ")");
    }
    if (items->values.size() > targets.size()) rt_.fail("too many values to unpack (expected ", targets.size(), ")");
    for (std::size_t i = 0; i < targets.size(); ++i) assign(targets[i], items->values[i]);
  }
}

// Calls.

// The value of a macro defined here: it knows the activation whose variables it sees.
Value Evaluator::make_macro(const Macro& macro) {
  return Value(Function(
      std::make_shared<const Callable>(Callable{Callable::Kind::kMacro, macro.name, Value(), &macro, activation_})));
}

Value Evaluator::call(const Value& callee, Arguments& arguments) {
  rt_.spend(1);
  if (callee.is<Undefined>()) fail_undefined(rt_, callee);
  const auto* function = callee.get_if<Function>();
  if (function == nullptr) rt_.fail("'", type_name(callee), "' object is not callable");
  switch ((*function)->kind) {
    case Callable::Kind::kMacro:
      return call_macro(**function, arguments);
    case Callable::Kind::kMethod:
    case Callable::Kind::kLoopMethod:
      return call_method(rt_, **function, arguments);
    case Callable::Kind::kFunction:
      break;
  }
  if ((*function)->name == "namespace") return make_namespace(arguments);
  return call_global_function(rt_, (*function)->name, arguments);
}

Value Evaluator::make_namespace(const Arguments& arguments) {
  // namespace() takes what dict() takes.
  const Value dict = call_global_function(rt_, "dict", arguments);
  Namespace& result = namespaces_.emplace_back();
  for (const auto& [key, value] : (*dict.get_if<Dict>())->entries()) {
    if (const MarkedText* name = key.text_if()) result.attributes.insert_or_assign(name->bytes(), value);
  }
  return Value(&result);
}

Value Evaluator::call_macro(const Callable& callee, Arguments& arguments) {
  if (++macro_depth_ > rt_.limits().macro_depth) {
    rt_.fail("macros call each other more than ", rt_.limits().macro_depth, " deep");
  }
  const Macro& macro = *callee.macro;
  const std::uint32_t line = rt_.line();
  rt_.spend(1 + macro.slot_count);
  // Variables that macros defined inside may see later must outlive the call.
  Activation own;
  Activation& activation = macro.holds_macros ? kept_activations_.emplace_back() : own;
  activation.parent = callee.activation;
  activation.slots.resize(macro.slot_count);
  Activation* const caller = std::exchange(activation_, &activation);
  enter_scope(macro.start);
  bind_parameters(macro, arguments);
  MarkedText out;
  exec(*macro.body, out);
  activation_ = caller;
  rt_.set_line(line);
  --macro_depth_;
  return Value::text(std::move(out));
}

// Positional arguments first, then by name; what is left over goes to varargs and kwargs where the macro uses them.
// Reference: jinja2 3.1, runtime.py, Macro.__call__.
void Evaluator::bind_parameters(const Macro& macro, Arguments& arguments) {
  const std::size_t count = macro.parameters.size();
  const std::string name = macro.name.empty() ? "caller" : macro.name;
  std::vector<std::pair<Value, Value>>& named = arguments.named;
  const auto take_named = [&named](std::string_view wanted) -> Value {
    const auto found = std::find_if(named.begin(), named.end(),
                                    [&](const auto& argument) { return argument.first.text_if()->view() == wanted; });
    if (found == named.end()) return {};
    Value value = std::move(found->second);
    named.erase(found);
    return value;
  };
  std::vector<bool> is_given(count);
  bool has_caller_parameter = false;
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& parameter = macro.parameters[i];
    has_caller_parameter = has_caller_parameter || parameter.name.name == "caller";
    const std::size_t names_before = named.size();
    if (i < arguments.positional.size()) {
      variable(parameter.name.slot) = arguments.positional[i];
      is_given[i] = true;
    } else {
      variable(parameter.name.slot) = take_named(parameter.name.name);
      is_given[i] = named.size() < names_before;
    }
  }
  if (macro.caller) {
    const Value caller = take_named("caller");
    const bool is_given_caller = !caller.is<Undefined>() && !caller.is<None>();
    variable(*macro.caller) = is_given_caller ? caller : Value::undefined("No caller defined");
  }
  if (macro.named_rest) {
    variable(*macro.named_rest) = make_dict(rt_, named);
  } else if (!named.empty()) {
    rt_.fail("macro '", name, "' takes no keyword argument '", printable(named.front().first.text_if()->view()), "'");
  }
  const std::size_t consumed = std::min(count, arguments.positional.size());
  if (macro.rest) {
    const auto rest = arguments.positional.begin() + static_cast<std::ptrdiff_t>(consumed);
    variable(*macro.rest) = make_tuple(rt_, std::vector<Value>(rest, arguments.positional.end()));
  } else if (arguments.positional.size() > count) {
    rt_.fail("macro '", name, "' takes not more than ", count, " argument(s)");
  }
  // Defaults come last and in order, so that one may use the parameters before it.
  for (std::size_t i = 0; i < count; ++i) {
    if (is_given[i]) continue;
    const Parameter& parameter = macro.parameters[i];
    variable(parameter.name.slot) =
        parameter.fallback ? eval(*parameter.fallback)
                           : Value::undefined(str("parameter '", parameter.name.name, "' was not provided"));
  }
}

}  // namespace carat::jinja
