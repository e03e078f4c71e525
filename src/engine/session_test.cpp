// The whole text model against the reference: hidden states of every layer, logits and greedy continuations, and the
// promises of session.h: nothing depends on chunks, threads or the instruction set.
#include "engine/session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "base/golden.h"
#include "kernels/cpu.h"
#include "model/tiny_gguf.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

using Ids = std::vector<std::int32_t>;

fs::path case_folder(const std::string& name) {
  return fs::path(CARAT_TEST_DATA) / "golden" / name;
}

// A golden case: its model, inputs, expected outputs and tolerances.
struct Case {
  explicit Case(const std::string& name)
      : model(Model::load(case_folder(name) / "model")),
        expected(golden::load(case_folder(name) / "expected.safetensors")),
        prompt(golden::load(case_folder(name) / "inputs.safetensors").ints("input_ids")),
        tolerances(parse_json_file(case_folder(name) / "case.json").at("tolerance_float32").as_object()) {}

  golden::Tolerance tolerance(std::string_view what) const {
    return {tolerances.at(what).at("max_abs").to_number<double>(), 0};
  }

  std::shared_ptr<const Model> model;
  golden::Tensors expected;
  Ids prompt;
  json::object tolerances;
};

// Collects traced tensors by name, rows of later chunks behind those of earlier ones.
class Collector final : public Trace {
 public:
  void tensor(std::string_view name, MatView<const float> values) override {
    std::vector<float>& all = tensors[std::string(name)];
    for (std::size_t row = 0; row < values.rows(); ++row) {
      all.insert(all.end(), values.row(row).begin(), values.row(row).end());
    }
  }
  std::map<std::string, std::vector<float>> tensors;
};

struct Settings {
  std::string_view isa = "";
  std::size_t threads = 2;
  std::size_t chunk = 512;
};

// The reference computes in float32, so the cache must not round.
Session make_session(const Case& golden_case, const Settings& settings = {}) {
  SessionOptions options;
  options.context = 256;
  options.chunk = settings.chunk;
  options.kv_type = DType::kF32;
  return {golden_case.model, {settings.threads, settings.isa, ActivationType::kF32}, options};
}

std::vector<float> all_logits(Session& session, std::span<const std::int32_t> ids) {
  std::vector<float> logits;
  session.append_all_logits(ids, [&](std::size_t, MatView<const float> rows) {
    for (std::size_t row = 0; row < rows.rows(); ++row) {
      logits.insert(logits.end(), rows.row(row).begin(), rows.row(row).end());
    }
  });
  return logits;
}

std::int32_t best(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
}

class GoldenText : public testing::TestWithParam<const char*> {};

TEST_P(GoldenText, EveryLayerAndAllLogitsOnEveryInstructionSet) {
  const Case golden_case(GetParam());
  const std::vector<float>& hidden = golden_case.expected.floats("hidden_states");  // [layers + 2, tokens, hidden]
  const std::size_t layers = golden_case.model->config().decoder.layers.size();
  const std::size_t size = hidden.size() / (layers + 2);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    SCOPED_TRACE(kernels->name);
    Session session = make_session(golden_case, {kernels->name});
    Collector trace;
    session.set_trace(&trace);
    const std::vector<float> logits = all_logits(session, golden_case.prompt);
    for (std::size_t i = 0; i < layers + 2; ++i) {
      const std::string name = i == 0 ? "embedding" : i <= layers ? str("layer.", i - 1) : "final_norm";
      ASSERT_EQ(golden::mismatch(trace.tensors.at(name), std::span(hidden).subspan(i * size, size),
                                 golden_case.tolerance("hidden_states")),
                "")
          << name;
    }
    EXPECT_EQ(golden::mismatch(logits, golden_case.expected.floats("logits"), golden_case.tolerance("logits")), "");
  }
}

TEST_P(GoldenText, GreedyContinuationWithTheCache) {
  const Case golden_case(GetParam());
  const Ids& expected = golden_case.expected.ints("greedy_ids");
  const std::vector<float>& expected_logits = golden_case.expected.floats("greedy_logits");
  const std::size_t vocab = golden_case.model->config().decoder.vocab;
  Session session = make_session(golden_case);
  std::span<const float> logits = session.append(golden_case.prompt);
  Ids ids;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if ((i + 1) * vocab <= expected_logits.size()) {
      EXPECT_EQ(golden::mismatch(logits, std::span(expected_logits).subspan(i * vocab, vocab),
                                 golden_case.tolerance("greedy_logits")),
                "");
    }
    ids.push_back(best(logits));
    logits = session.append({&ids.back(), 1});
  }
  EXPECT_EQ(ids, expected);
}

TEST_P(GoldenText, GreedyContinuationWithoutTheCache) {
  const Case golden_case(GetParam());
  Session session = make_session(golden_case);
  Ids ids = golden_case.prompt;
  for (const std::int32_t expected : golden_case.expected.ints("greedy_ids")) {
    session.rewind(0);
    ids.push_back(best(session.append(ids)));
    ASSERT_EQ(ids.back(), expected);
  }
}

TEST_P(GoldenText, AnyChunksThreadsAndInstructionSetsGiveTheSameBits) {
  const Case golden_case(GetParam());
  Session whole_session = make_session(golden_case);
  const std::vector<float> whole = all_logits(whole_session, golden_case.prompt);
  const std::size_t vocab = golden_case.model->config().decoder.vocab;
  for (std::size_t chunk = 1; chunk <= golden_case.prompt.size(); chunk += chunk < 20 ? 1 : 13) {
    Session session = make_session(golden_case, {"", 1 + chunk % 3, chunk});
    ASSERT_EQ(all_logits(session, golden_case.prompt), whole) << "chunks of " << chunk;
    // The same where only the last token's logits are wanted, so that the upper layers skip the other rows.
    Session last = make_session(golden_case, {"", 2, chunk});
    const std::span<const float> logits = last.append(golden_case.prompt);
    ASSERT_TRUE(std::ranges::equal(logits, std::span(whole).last(vocab))) << "chunks of " << chunk;
  }
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    Session session = make_session(golden_case, {kernels->name, 3});
    ASSERT_EQ(all_logits(session, golden_case.prompt), whole) << kernels->name;
  }
}

TEST_P(GoldenText, RewindAndGoOnEqualsAFreshStart) {
  const Case golden_case(GetParam());
  std::mt19937 random(7);
  Session session = make_session(golden_case, {"", 2, 16});
  for (int round = 0; round < 30; ++round) {
    session.rewind(random() % (session.position() + 1));
    const std::size_t kept = session.position();
    Ids ids = golden_case.prompt;
    std::rotate(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(random() % ids.size()), ids.end());
    ids.resize(1 + random() % ids.size());
    const std::span<const float> logits = session.append(ids);
    Session fresh = make_session(golden_case, {"", 2, 16});
    const Ids all = session.tokens();
    ASSERT_EQ(all.size(), kept + ids.size());
    ASSERT_TRUE(std::ranges::equal(logits, fresh.append(all))) << "round " << round;
    if (session.position() > 150) session.rewind(0);
  }
}

TEST_P(GoldenText, GgufGivesTheSameBitsAsTheFolder) {
  const Case golden_case(GetParam());
  const fs::path file = fs::temp_directory_path() / str("carat_", GetParam(), "_", ::getpid(), ".gguf");
  write_tiny_gguf(case_folder(GetParam()) / "model", file);
  Case from_gguf = golden_case;
  from_gguf.model = Model::load(file);
  fs::remove(file);  // the mapping stays
  Session a = make_session(golden_case);
  Session b = make_session(from_gguf);
  EXPECT_EQ(all_logits(a, golden_case.prompt), all_logits(b, golden_case.prompt));
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenText, testing::Values("text-dense", "text-e2b", "text-e4b", "text-moe"),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(GoldenMoe, ExpertsAndTheirWeights) {
  const Case golden_case("text-moe");
  Session session = make_session(golden_case);
  Collector trace;
  session.set_trace(&trace);
  all_logits(session, golden_case.prompt);
  const std::size_t layers = golden_case.model->config().decoder.layers.size();
  const Ids& ids = golden_case.expected.ints("expert_ids");  // [layers, tokens, used]
  const std::vector<float>& weights = golden_case.expected.floats("expert_weights");
  const std::size_t size = ids.size() / layers;
  // The case states none: rounding moves hidden states by up to 4.5e-4, and a weight by no more than the router's
  // logits, which are of the same order.
  constexpr double kWeightTolerance = 1e-3;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const std::vector<float>& found = trace.tensors.at(str("layer.", layer, ".expert_ids"));
    EXPECT_TRUE(std::ranges::equal(found, std::span(ids).subspan(layer * size, size))) << "layer " << layer;
    EXPECT_EQ(golden::mismatch(trace.tensors.at(str("layer.", layer, ".expert_weights")),
                               std::span(weights).subspan(layer * size, size), {kWeightTolerance, 0}),
              "");
  }
}

TEST(SessionLimits, SaysWhatDoesNotFit) {
  const Case golden_case("text-e2b");
  Session session = make_session(golden_case);
  const Ids too_many(300, 5);
  EXPECT_THROW(session.append(too_many), Error);
  EXPECT_EQ(session.position(), 0U);
  const Ids outside{2, 512};
  EXPECT_THROW(session.append(outside), Error);
  EXPECT_THROW(session.append({}), Error);
  SessionOptions options;
  options.context = 1U << 30;
  EXPECT_THROW(Session(golden_case.model, {}, options), Error);
  options.context = 64;
  options.kv_type = DType::kQ4_0;
  EXPECT_THROW(Session(golden_case.model, {}, options), Error);
  options.kv_type = DType::kF16;
  EXPECT_THROW(Session(golden_case.model, {1, "sse9"}, options), Error);
}

TEST(SessionLimits, CancelKeepsWholeChunks) {
  const Case golden_case("text-dense");
  Session session = make_session(golden_case, {"", 2, 10});
  int asked = 0;
  EXPECT_THROW(session.append(golden_case.prompt, [&] { return ++asked == 4; }), Error);
  EXPECT_EQ(session.position(), 30U);
}

}  // namespace
}  // namespace carat
