// What holding an answer to a form costs, over Gemma 4's whole vocabulary: compiling a grammar, and at each token the
// mask of what may follow (`mean_us`, `worst_us`) while an answer goes through it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "grammar/grammar.h"
#include "text/load_tokenizer.h"

namespace carat {
namespace {

struct Case {
  const char* name;
  const char* schema;  // of the answer, or of a tool's arguments
  bool is_tool;
  const char* answer;
};

constexpr Case kCases[] = {
    {"any_object", nullptr, false,
     R"({"title": "A short history of bread", "pages": 312, "parts": [{"name": "Grain", "from": 1}, {"name": "Yeast"}]})"},
    {"person",
     R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},)"
     R"("email":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age"]})",
     false, R"({"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "tags": ["mathematics", "engines"]})"},
    {"nested",
     R"({"type":"object","properties":{"order":{"type":"object","properties":{"id":{"type":"string","format":"uuid"},)"
     R"("lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string","pattern":"^[A-Z]{3}-[0-9]{4}$"},)"
     R"("quantity":{"type":"integer"},"price":{"type":"number","minimum":0}},"required":["sku","quantity","price"]}}},)"
     R"("required":["id","lines"]},"status":{"enum":["open","paid","sent"]}},"required":["order","status"]})",
     false,
     R"({"order": {"id": "0b4f6f1e-8a5c-4c57-9f0e-6a1f3e1c2d3b", "lines": [{"sku": "ABC-1234", "quantity": 2, "price": 9.95},)"
     R"( {"sku": "XYZ-0001", "quantity": 1, "price": 120}]}, "status": "paid"})"},
    {"max_length",
     R"({"type":"object","properties":{"title":{"type":"string","maxLength":80},"text":{"type":"string","maxLength":400}}})",
     false,
     R"({"title": "On bread", "text": "Bread is among the oldest of prepared foods, and it is still made every day."})"},
    {"min_length", R"({"type":"object","properties":{"text":{"type":"string","minLength":16}}})", false,
     R"({"text": "Bread is among the oldest of prepared foods."})"},
    {"tool_max_length", R"({"type":"object","properties":{"text":{"type":"string","maxLength":2000}}})", true,
     R"(Let me write it down.<|tool_call>call:read{text:<|"|>Bread is among the oldest foods.<|"|>}<tool_call|>)"},
    {"tool_call",
     R"({"type":"object","properties":{"path":{"type":"string"},"lines":{"type":"integer"},)"
     R"("options":{"type":"object","properties":{"follow":{"type":"boolean"}}}},"required":["path"]})",
     true,
     R"(<|tool_call>call:read{path:<|"|>/etc/some "file" {x}.txt<|"|>,lines:20,options:{follow:true}}<tool_call|>)"},
};

GrammarSpec spec_of(const Case& which) {
  GrammarSpec spec;
  if (which.is_tool) {
    spec.tools = {{"read", json::parse(which.schema), true}};
  } else if (which.schema == nullptr) {
    spec.content = JsonObjectFormat{};
  } else {
    spec.content = JsonSchemaFormat{json::parse(which.schema)};
  }
  return spec;
}

const Tokenizer& tokenizer() {
  static const Tokenizer gemma4 = load_tokenizer(CARAT_GEMMA4_TOKENIZER);
  return gemma4;
}

void compile(benchmark::State& state, const Case& which) {
  GrammarLimits limits;
  limits.cache_bytes = 0;
  GrammarCompiler compiler(tokenizer().vocab(), limits);
  const GrammarSpec spec = spec_of(which);
  std::size_t bytes = 0;
  for (auto _ : state) bytes = compiler.compile(spec)->memory_bytes();
  state.counters["KiB"] = static_cast<double>(bytes) / 1024;
}

void token(benchmark::State& state, const Case& which) {
  GrammarCompiler compiler(tokenizer().vocab());
  const auto grammar = compiler.compile(spec_of(which));
  const std::vector<std::int32_t> ids = tokenizer().encode(which.answer);
  using Microseconds = std::chrono::duration<double, std::micro>;
  double total = 0;
  double worst = 0;
  std::size_t tokens = 0;
  for (auto _ : state) {
    GrammarState form(grammar);
    for (const std::int32_t id : ids) {
      const auto begin = std::chrono::steady_clock::now();
      benchmark::DoNotOptimize(form.allowed().words().data());
      if (!form.accept(id)) state.SkipWithError("the answer leaves its form");
      const double took = Microseconds(std::chrono::steady_clock::now() - begin).count();
      total += took;
      worst = std::max(worst, took);
      ++tokens;
    }
  }
  state.counters["mean_us"] = total / static_cast<double>(tokens);
  state.counters["worst_us"] = worst;
}

}  // namespace
}  // namespace carat

int main(int count, char** arguments) {
  for (const carat::Case& which : carat::kCases) {
    const std::string name = which.name;
    benchmark::RegisterBenchmark(("compile/" + name).c_str(), carat::compile, which)->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("token/" + name).c_str(), carat::token, which)->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
