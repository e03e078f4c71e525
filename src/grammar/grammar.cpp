#include "grammar/grammar.h"

#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "grammar/answer_rules.h"

// xgrammar's log, which would go to stderr: its errors become exceptions, the rest is left out.
namespace xgrammar {
[[noreturn]] void LogFatalImpl(const std::string& file, int line, const std::string& message);
void LogMessageImpl(const std::string& file, int line, int level, const std::string& message);

void LogFatalImpl(const std::string& /*file*/, int /*line*/, const std::string& message) {
  throw XGrammarError(message);
}
void LogMessageImpl(const std::string& /*file*/, int /*line*/, int /*level*/, const std::string& /*message*/) {}
}  // namespace xgrammar

namespace carat {
namespace {

// What xgrammar takes for the bytes of a control token: a byte that no text has, so that no text stands for one, and
// its id, as xgrammar wants tokens to differ.
std::string control_bytes(std::size_t id) {
  return str("\xff", id);
}

xgrammar::TokenizerInfo tokenizer_info(const Vocab& vocab, const ProtocolTokens& tokens) {
  std::vector<std::string> bytes(vocab.size());
  for (std::size_t id = 0; id < vocab.size(); ++id) bytes[id] = vocab.piece(static_cast<std::int32_t>(id));
  for (const std::int32_t id : tokens.control) {
    bytes[static_cast<std::size_t>(id)] = control_bytes(static_cast<std::size_t>(id));
  }
  return {bytes, xgrammar::VocabType::RAW, static_cast<int>(vocab.size()), vocab.ends(), false};
}

// Content to key, for the cache.
json::value key_of(const ContentFormat& content) {
  struct Visitor {
    json::value operator()(const JsonSchemaFormat& format) const {
      return {{"schema", format.schema}, {"strict", format.is_strict}};
    }
    json::value operator()(const JsonObjectFormat& /*format*/) const { return "object"; }
    json::value operator()(const RegexFormat& format) const { return {{"regex", format.pattern}}; }
    json::value operator()(const GrammarFormat& format) const { return {{"grammar", format.text}}; }
    json::value operator()(const ChoiceFormat& format) const {
      return {{"choices", json::array(format.choices.begin(), format.choices.end())}};
    }
  };
  return std::visit(Visitor(), content);
}

// Not the same order of members, not the same key: it is the order of an answer's properties.
std::string key_of(const GrammarSpec& format) {
  json::array tools;
  for (const ToolSpec& tool : format.tools) tools.push_back({tool.name, tool.parameters, tool.is_strict});
  return json::serialize(json::object{{"content", format.content ? key_of(*format.content) : json::value(nullptr)},
                                      {"tools", tools},
                                      {"choice", static_cast<int>(format.calls)},
                                      {"parallel", format.allows_parallel_calls},
                                      {"start", static_cast<int>(format.start)}});
}

}  // namespace

struct Grammar::Impl {
  xgrammar::CompiledGrammar compiled;
  std::size_t vocab;
};

Grammar::Grammar(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Grammar::~Grammar() = default;

std::size_t Grammar::memory_bytes() const {
  return impl_->compiled.MemorySizeBytes();
}

struct GrammarCompiler::Impl {
  Impl(const Vocab& vocab, const GrammarLimits& the_limits, std::size_t threads)
      : limits(the_limits),
        tokens(vocab),
        info(tokenizer_info(vocab, tokens)),
        vocab_size(vocab.size()),
        compiler(info, static_cast<int>(threads), false) {}

  std::shared_ptr<const Grammar> find(const std::string& key) {
    const std::lock_guard lock(mutex);
    const auto found = index.find(key);
    if (found == index.end()) return nullptr;
    kept.splice(kept.begin(), kept, found->second);
    return found->second->grammar;
  }

  void keep(const std::string& key, std::shared_ptr<const Grammar> grammar) {
    const std::size_t bytes = grammar->memory_bytes() + key.size();
    const std::lock_guard lock(mutex);
    if (index.contains(key) || bytes > limits.cache_bytes) return;
    kept.push_front({key, std::move(grammar), bytes});
    index[key] = kept.begin();
    kept_bytes += bytes;
    while (kept_bytes > limits.cache_bytes) {
      kept_bytes -= kept.back().bytes;
      index.erase(kept.back().key);
      kept.pop_back();
    }
  }

  struct Kept {
    std::string key;
    std::shared_ptr<const Grammar> grammar;
    std::size_t bytes;
  };

  const GrammarLimits limits;
  const ProtocolTokens tokens;
  const xgrammar::TokenizerInfo info;
  const std::size_t vocab_size;
  xgrammar::GrammarCompiler compiler;

  std::mutex mutex;      // of what follows
  std::list<Kept> kept;  // the one used last comes first
  std::map<std::string, std::list<Kept>::iterator> index;
  std::size_t kept_bytes = 0;
};

GrammarCompiler::GrammarCompiler(const Vocab& vocab, GrammarLimits limits, std::size_t threads)
    : impl_(std::make_unique<Impl>(vocab, limits, threads)) {}
GrammarCompiler::~GrammarCompiler() = default;

std::shared_ptr<const Grammar> GrammarCompiler::compile(const GrammarSpec& format) {
  const std::string key = key_of(format);
  const GrammarLimits& limits = impl_->limits;
  if (key.size() > limits.max_input_bytes) {
    throw Error(ErrorKind::kBadInput, str("the schemas and grammars of the request have ", key.size(),
                                          " bytes together, the limit is ", limits.max_input_bytes));
  }
  if (auto grammar = impl_->find(key)) return grammar;

  const std::string rules = answer_rules(format, impl_->tokens, limits.max_depth);
  if (rules.size() > limits.max_rules_bytes) {
    throw Error(ErrorKind::kBadInput, str("the schemas and grammars of the request come to ", rules.size(),
                                          " bytes of rules, the limit is ", limits.max_rules_bytes));
  }
  try {
    auto impl = std::make_unique<Grammar::Impl>(Grammar::Impl{
        impl_->compiler.CompileGrammar(xgrammar::Grammar::FromEBNF(rules, kRootRule)), impl_->vocab_size});
    auto grammar = std::make_shared<const Grammar>(std::move(impl));
    if (grammar->memory_bytes() > limits.max_memory_bytes) {
      throw Error(ErrorKind::kBadInput, str("the request's grammar takes ", grammar->memory_bytes(),
                                            " bytes, the limit is ", limits.max_memory_bytes));
    }
    if (GrammarState(grammar).allowed().allowed_count() == 0) {
      throw Error(ErrorKind::kBadInput, "the request's grammar matches no text at all");
    }
    impl_->keep(key, grammar);
    return grammar;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kBadInput, str("grammar: ", printable(error.what(), 400)));
  }
}

struct GrammarState::Impl {
  std::shared_ptr<const Grammar> grammar;
  xgrammar::GrammarMatcher matcher;
};

GrammarState::GrammarState(std::shared_ptr<const Grammar> grammar)
    : impl_(std::make_unique<Impl>(Impl{grammar, xgrammar::GrammarMatcher(grammar->impl().compiled)})),
      mask_(grammar->impl().vocab) {}
GrammarState::~GrammarState() = default;
GrammarState::GrammarState(GrammarState&&) noexcept = default;
GrammarState& GrammarState::operator=(GrammarState&&) noexcept = default;

GrammarState::GrammarState(const GrammarState& other)
    : impl_(std::make_unique<Impl>(Impl{other.impl_->grammar, other.impl_->matcher.Fork()})),
      mask_(other.mask_),
      is_mask_current_(other.is_mask_current_),
      accepted_(other.accepted_) {}

GrammarState& GrammarState::operator=(const GrammarState& other) {
  if (this != &other) *this = GrammarState(other);
  return *this;
}

const TokenMask& GrammarState::allowed() {
  if (is_mask_current_) return mask_;
  const std::span<std::uint32_t> words = mask_.words();
  if (impl_->matcher.IsTerminated()) {
    std::ranges::fill(words, 0U);
  } else {
    std::int64_t shape = static_cast<std::int64_t>(words.size());
    DLTensor tensor{.data = words.data(),
                    .device = {kDLCPU, 0},
                    .ndim = 1,
                    .dtype = xgrammar::GetBitmaskDLType(),
                    .shape = &shape,
                    .strides = nullptr,
                    .byte_offset = 0};
    impl_->matcher.FillNextTokenBitmask(&tensor);
    const std::size_t used = mask_.size() % 32;
    if (used != 0) words.back() &= (std::uint32_t{1} << used) - 1;
  }
  is_mask_current_ = true;
  return mask_;
}

bool GrammarState::accept(std::int32_t token) {
  if (token < 0 || static_cast<std::size_t>(token) >= mask_.size() || !impl_->matcher.AcceptToken(token)) return false;
  ++accepted_;
  is_mask_current_ = false;
  return true;
}

void GrammarState::rollback(std::size_t tokens) {
  tokens = std::min(tokens, accepted_);
  if (tokens == 0) return;
  impl_->matcher.Rollback(static_cast<int>(tokens));
  accepted_ -= tokens;
  is_mask_current_ = false;
}

bool GrammarState::is_complete() const {
  return impl_->matcher.IsCompleted();
}

bool GrammarState::has_ended() const {
  return impl_->matcher.IsTerminated();
}

}  // namespace carat
