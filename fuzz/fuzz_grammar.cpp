// Any bytes as a schema, a tool's parameters, a regular expression or a grammar: refused with an Error, or compiled to
// a form in which an answer can be begun.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "grammar/grammar.h"
#include "text/tiny_vocab.h"

namespace {

carat::Vocab tiny_vocab() {
  carat::VocabSource source = carat::tiny::source({"{\"", "\":", "\", \"", "\"}", "true", "12", "-1", "call:"});
  for (const char* name : {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|\"|>"}) {
    source.tokens.push_back({name, carat::TokenType::kControl});
  }
  return carat::Vocab(source, "tiny");
}

carat::GrammarSpec spec_of(std::uint8_t kind, std::string_view text) {
  carat::GrammarSpec spec;
  switch (kind % 4) {
    case 0:
      spec.content =
          carat::JsonSchemaFormat{carat::parse_json(text, "schema", carat::ErrorKind::kBadInput), kind < 128};
      break;
    case 1:
      spec.tools = {{"f", carat::parse_json(text, "schema", carat::ErrorKind::kBadInput), kind < 128}};
      break;
    case 2:
      spec.content = carat::RegexFormat{std::string(text)};
      break;
    default:
      spec.content = carat::GrammarFormat{std::string(text)};
  }
  return spec;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const carat::Vocab vocab = tiny_vocab();
  static carat::GrammarCompiler compiler(vocab, {.max_input_bytes = 4096, .cache_bytes = 0}, 1);
  if (size == 0) return 0;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    carat::GrammarState state(compiler.compile(spec_of(data[0], text)));
    for (std::size_t step = 0; step < 32 && !state.has_ended(); ++step) {
      const carat::TokenMask& mask = state.allowed();
      std::int32_t token = static_cast<std::int32_t>(data[step % size] * 7 % vocab.size());
      for (std::size_t i = 0; i < vocab.size() && !mask.allows(token); ++i) {
        token = static_cast<std::int32_t>((static_cast<std::size_t>(token) + 1) % vocab.size());
      }
      if (!mask.allows(token)) break;  // a dead end of a grammar from outside
      if (!state.accept(token)) __builtin_trap();
    }
  } catch (const carat::Error&) {
  }
  return 0;
}
