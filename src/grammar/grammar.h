// Grammar: the form of an answer, compiled for a vocabulary; GrammarState: where an answer stands in it.
//
//   GrammarCompiler compiler(tokenizer.vocab());                   // one for each model
//   auto grammar = compiler.compile({.content = JsonSchemaFormat{schema}, .start = AnswerStart::kMayThink});
//   GrammarState state(grammar);                                   // one for each answer
//   while (true) {
//     Sampled next = sampler.sample(logits, history, random, &state.allowed());
//     if (vocab.is_end(next.token)) break;                         // allowed only where the answer is complete
//     state.accept(next.token);
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "grammar/grammar_spec.h"
#include "sampling/token_mask.h"
#include "text/vocab.h"

namespace carat {

// Immutable; threads may share it.
class Grammar {
 public:
  struct Impl;  // xgrammar's; known to grammar.cpp only
  explicit Grammar(std::unique_ptr<const Impl> impl);
  ~Grammar();

  const Impl& impl() const { return *impl_; }
  std::size_t memory_bytes() const;

 private:
  std::unique_ptr<const Impl> impl_;
};

// What a grammar may cost. Beyond them it is refused.
struct GrammarLimits {
  std::size_t max_input_bytes = std::size_t{256} << 10;  // of a schema, pattern or grammar; of all tools together
  std::size_t max_depth = 64;                            // how deep a schema nests
  std::size_t max_rules_bytes = std::size_t{1} << 20;    // of the rules that it comes to
  std::size_t max_memory_bytes = std::size_t{64} << 20;  // of one compiled grammar
  std::size_t cache_bytes = std::size_t{128} << 20;      // of all that are kept for the next request
};

// Compiles grammars for one vocabulary and keeps those used of late. Threads may share it.
class GrammarCompiler {
 public:
  // vocab is used by the constructor only. threads: how many compile one grammar. Takes some 100 ms for 262,144 tokens.
  explicit GrammarCompiler(const Vocab& vocab, GrammarLimits limits = {}, std::size_t threads = 2);
  ~GrammarCompiler();

  // Throws Error(kBadInput) for a format that is malformed, matches nothing, or is beyond the limits, saying where and
  // why; Error(kUnsupported) for a keyword that isn't understood, by its name and path, and for tools or thoughts
  // where the vocabulary has no tokens for them.
  std::shared_ptr<const Grammar> compile(const GrammarSpec& format);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Not for two threads at once, save different states of one grammar. A copy goes on where the original stands.
class GrammarState {
 public:
  explicit GrammarState(std::shared_ptr<const Grammar> grammar);
  ~GrammarState();
  GrammarState(const GrammarState& other);
  GrammarState& operator=(const GrammarState& other);
  GrammarState(GrammarState&&) noexcept;
  GrammarState& operator=(GrammarState&&) noexcept;

  // The tokens that may come next; those that end an answer (Vocab::ends) among them exactly when is_complete(). All
  // others lead to an answer that can be completed, unless a grammar of the user's own has dead ends. Computed on the
  // first call after accept() or rollback(): calling it early, while the model computes, saves the time later.
  const TokenMask& allowed();

  // Goes on by a token. False, and nothing changes, when it isn't allowed, or the answer has ended.
  bool accept(std::int32_t token);
  // Forgets the last `tokens` accepted ones, at most accepted().
  void rollback(std::size_t tokens);

  // The answer could end here.
  bool is_complete() const;
  // One of Vocab::ends() was accepted.
  bool has_ended() const;
  std::size_t accepted() const { return accepted_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  TokenMask mask_;
  bool is_mask_current_ = false;
  std::size_t accepted_ = 0;
};

}  // namespace carat
