// For tests/cli/test_grammar.py: answers drawn at random under a grammar, at temperature 2 from logits that are noise.
//
//   grammar_sample TOKENIZER.json EVERY < LINES
//
// A line: {"schema": ...} or {"tools": [{"name", "parameters"}]}, and "seed". For each, a line {"text", "is_complete"}
// with the answer, for tools also "calls" and "rest" (text that is none of a call) as the output parser finds them, or
// {"error"}. EVERY: of the vocabulary's longer pieces every so many are kept; 1 keeps all.
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "chat/output_parser.h"
#include "grammar/grammar.h"
#include "sampling/sampler.h"
#include "text/detokenizer.h"
#include "text/load_tokenizer.h"

namespace carat {
namespace {

constexpr std::size_t kMaxTokens = 400;
constexpr std::size_t kShortPiece = 2;  // bytes; pieces up to that length are all kept

// A vocabulary with some of the pieces of another.
Vocab thinned(const Vocab& vocab, std::size_t every) {
  VocabSource source;
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    std::string piece;
    for (const char c : vocab.piece(id)) piece += c == ' ' ? std::string(kSpaceMark) : std::string(1, c);
    const TokenType type = vocab.type(id);
    if (type == TokenType::kNormal && piece.size() > kShortPiece && i % every != 0) continue;
    if (type == TokenType::kByte) {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(vocab.piece(id)[0]);
      piece = {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
    }
    const auto place = static_cast<std::int64_t>(source.tokens.size());
    if (vocab.eos() == id) source.eos = place;
    if (vocab.is_end(id)) source.ends.push_back(place);
    source.tokens.push_back({piece, type});
  }
  return Vocab(source, "thinned");
}

class Sampling {
 public:
  explicit Sampling(const Vocab& vocab) : vocab_(vocab), compiler_(vocab), sampler_(params(), vocab.size()) {
    Random random(1);
    noise_.resize(2 * vocab.size());
    for (float& logit : noise_) logit = static_cast<float>(8 * random.uniform() - 4);
    for (std::int32_t id = 0; id < static_cast<std::int32_t>(vocab.size()); ++id) {
      const std::string_view piece = vocab.piece(id);
      const bool is_structure =
          piece.size() == 1 && std::string_view("\"}],:0123456789").find(piece[0]) != std::string_view::npos;
      if (is_structure || vocab.is_end(id) || piece == "<|\"|>" || piece == "<tool_call|>") closing_.push_back(id);
    }
  }

  json::object answer(const json::object& line) {
    GrammarSpec spec;
    const bool has_calls = line.contains("tools");
    if (has_calls) {
      for (const json::value& tool : line.at("tools").as_array()) {
        spec.tools.push_back({std::string(tool.at("name").as_string()), tool.at("parameters"), true});
      }
      spec.calls = CallMode::kRequired;
    } else {
      spec.content = JsonSchemaFormat{line.at("schema")};
    }
    GrammarState state(compiler_.compile(spec));
    Random random(line.at("seed").to_number<std::uint64_t>());
    std::vector<float> logits(vocab_.size());
    Detokenizer detokenizer(vocab_, {.skip_special = true});
    OutputParser parser;
    std::string text;
    bool has_ended = false;
    for (std::size_t n = 0; n < kMaxTokens && !has_ended; ++n) {
      const std::size_t offset = random.next() % vocab_.size();
      std::copy_n(noise_.begin() + static_cast<std::ptrdiff_t>(offset), vocab_.size(), logits.begin());
      // Noise alone would hardly ever end a string, let alone an answer.
      if (random.uniform() < 0.5) {
        for (const std::int32_t id : closing_) logits[static_cast<std::size_t>(id)] += 16;
      }
      const std::int32_t token = sampler_.sample(logits, {}, random, &state.allowed()).token;
      if (!state.accept(token)) throw Error(ErrorKind::kInternal, "a token that the mask allows is refused");
      has_ended = vocab_.is_end(token);
      if (has_ended) break;
      if (const auto control = control_token(vocab_.piece(token))) {
        parser.push(detokenizer.flush());
        parser.push(*control);
      } else {
        const std::string piece = detokenizer.push(token);
        parser.push(piece);
        text += piece;
      }
    }
    const std::string end = detokenizer.flush();
    parser.push(end);
    parser.finish();
    json::object result{{"text", text + end}, {"is_complete", has_ended}};
    if (has_calls) {
      const ParsedOutput parsed = parser.take();
      json::array calls;
      for (const ToolCall& call : parsed.tool_calls)
        calls.push_back({{"name", call.name}, {"arguments", call.arguments}});
      result["calls"] = calls;
      result["rest"] = parsed.content + parsed.unparsed + parsed.reasoning;
    }
    return result;
  }

 private:
  static SamplingParams params() {
    SamplingParams params;
    params.temperature = 2;
    params.top_k = 0;
    params.top_p = 1;
    return params;
  }

  const Vocab& vocab_;
  GrammarCompiler compiler_;
  Sampler sampler_;
  std::vector<float> noise_;           // [2 * vocab]
  std::vector<std::int32_t> closing_;  // tokens that bring an answer to its end
};

void run(const std::string& tokenizer_path, std::size_t every) {
  const Tokenizer tokenizer = load_tokenizer(tokenizer_path);
  const Vocab vocab = thinned(tokenizer.vocab(), every);
  Sampling sampling(vocab);
  for (std::string line; std::getline(std::cin, line);) {
    json::object result;
    try {
      result = sampling.answer(parse_json(line, "line", ErrorKind::kBadInput).as_object());
    } catch (const Error& error) {
      result = {{"error", error.what()}};
    }
    std::cout << json::serialize(result) << '\n';
  }
}

}  // namespace
}  // namespace carat

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: grammar_sample TOKENIZER.json EVERY < LINES\n";
    return 2;
  }
  try {
    carat::run(arguments[1], std::stoul(arguments[2]));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
