// The drafter against the reference, and generation with it against generation without.
#include "engine/lookahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/golden.h"
#include "model/tiny_gguf.h"

namespace carat {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

fs::path golden_folder(const std::string& name) {
  return fs::path(CARAT_TEST_DATA) / "golden" / name;
}

std::shared_ptr<const Model> target() {
  return Model::load(golden_folder("text-e2b") / "model");
}

Session exact_session(std::shared_ptr<const Model> model, std::size_t chunk = 512) {
  SessionOptions options;
  options.context = 256;
  options.chunk = chunk;
  options.kv_type = DType::kF32;
  return {std::move(model), {1, "", ActivationType::kF32}, options};
}

std::int32_t best(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
}

class Rows final : public Trace {
 public:
  void tensor(std::string_view name, MatView<const float> values) override {
    std::vector<float>& all = tensors[std::string(name)];
    for (std::size_t row = 0; row < values.rows(); ++row) {
      all.insert(all.end(), values.row(row).begin(), values.row(row).end());
    }
  }
  std::map<std::string, std::vector<float>> tensors;
};

class GoldenAssistant : public testing::TestWithParam<const char*> {};

// Four draft steps. Tolerance: case.json's, for float32.
TEST_P(GoldenAssistant, FourStepsAreTheReferences) {
  const std::string name = GetParam();
  const golden::Tensors inputs = golden::load(golden_folder("assistant") / "inputs.safetensors");
  const golden::Tensors expected = golden::load(golden_folder("assistant") / "expected.safetensors");
  const auto model = target();
  const auto assistant = Assistant::load(golden_folder("assistant") / ("model-" + name), *model);
  Session session = exact_session(model);
  const std::int32_t first = best(session.append(inputs.ints("input_ids")));
  EXPECT_EQ(first, inputs.ints("first_token")[0]);

  Drafter drafter(assistant->config(), assistant->weights());
  Rows rows;
  session.set_trace(&rows);
  const Ids proposed = session.propose(drafter, first, session.last_hidden().row(0), 4);
  session.set_trace(nullptr);

  EXPECT_EQ(proposed, expected.ints(name + ".draft_ids"));
  const golden::Tolerance tolerance{0.003, 0};
  EXPECT_EQ(golden::mismatch(rows.tensors["draft.input"], expected.floats(name + ".inputs_embeds"), tolerance), "");
  EXPECT_EQ(golden::mismatch(rows.tensors["draft.logits"], expected.floats(name + ".logits"), tolerance), "");
  EXPECT_EQ(golden::mismatch(rows.tensors["draft.hidden"], expected.floats(name + ".last_hidden_state"), tolerance),
            "");
}

TEST_P(GoldenAssistant, GgufGivesTheSameBitsAsTheFolder) {
  const fs::path folder = golden_folder("assistant") / (std::string("model-") + GetParam());
  const fs::path file = fs::path(testing::TempDir()) / (std::string("carat_drafter_") + GetParam() + ".gguf");
  write_tiny_drafter_gguf(folder, file);
  const Ids prompt = golden::load(golden_folder("assistant") / "inputs.safetensors").ints("input_ids");
  const auto model = target();
  Session session = exact_session(model);
  const std::int32_t first = best(session.append(prompt));
  Rows found[2];
  for (const fs::path& path : {folder, file}) {
    const auto assistant = Assistant::load(path, *model);
    Drafter drafter(assistant->config(), assistant->weights());
    session.set_trace(&found[path == file]);
    session.propose(drafter, first, session.last_hidden().row(0), 4);
    session.set_trace(nullptr);
  }
  EXPECT_EQ(found[0].tensors, found[1].tensors);
  fs::remove(file);
}

// Whatever is picked, greedy or not, the logits are those without an assistant, to the bit.
TEST_P(GoldenAssistant, LogitsAreThoseOfPlainGeneration) {
  const golden::Tensors text = golden::load(golden_folder("text-e2b") / "inputs.safetensors");
  const Ids greedy = golden::load(golden_folder("text-e2b") / "expected.safetensors").ints("greedy_ids");
  const auto model = target();
  const auto assistant = Assistant::load(golden_folder("assistant") / (std::string("model-") + GetParam()), *model);
  for (const std::size_t chunk : {1U, 3U, 512U}) {
    for (const std::size_t max_depth : {0U, 1U, 8U}) {
      Session plain = exact_session(model);
      Session guessed = exact_session(model, chunk);
      Lookahead lookahead(guessed, assistant, max_depth);
      std::span<const float> expected = plain.append(text.ints("input_ids"));
      std::span<const float> found = guessed.append(text.ints("input_ids"));
      Ids ids;
      for (std::size_t i = 0; i < 60; ++i) {
        ASSERT_TRUE(std::ranges::equal(expected, found)) << "token " << i << ", chunk " << chunk;
        const std::int32_t token = i < 40 ? best(expected) : static_cast<std::int32_t>(i * 37 % 512);
        ids.push_back(token);
        expected = plain.append(std::span(&token, 1));
        found = lookahead.advance(token);
      }
      EXPECT_TRUE(std::equal(greedy.begin(), greedy.end(), ids.begin()));
      lookahead.finish();
      EXPECT_EQ(guessed.tokens(), plain.tokens());
      EXPECT_LE(lookahead.counts().accepted, lookahead.counts().proposed);
      EXPECT_EQ(lookahead.counts().passes + lookahead.counts().accepted, 60U);
    }
  }
}

// The context may end in the middle of a round.
TEST_P(GoldenAssistant, FillsTheContextToItsEnd) {
  const auto model = target();
  const auto assistant = Assistant::load(golden_folder("assistant") / (std::string("model-") + GetParam()), *model);
  SessionOptions options;
  options.context = 24;
  Session session(model, {1, "", ActivationType::kF32}, options);
  Lookahead lookahead(session, assistant);
  const Ids prompt{2, 5, 9};
  std::int32_t token = best(session.append(prompt));
  for (std::size_t i = prompt.size(); i < options.context; ++i) token = best(lookahead.advance(token));
  EXPECT_THROW(lookahead.advance(token), Error);
}

INSTANTIATE_TEST_SUITE_P(Drafters, GoldenAssistant, testing::Values("plain", "ordered"));

TEST(Assistant, RefusesAModelItWasNotMadeFor) {
  const auto other = Model::load(golden_folder("text-dense") / "model");
  try {
    Assistant::load(golden_folder("assistant") / "model-plain", *other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string_view(error.what()).find("published with the model"), std::string_view::npos);
  }
}

TEST(Assistant, RefusesAnOrdinaryModel) {
  EXPECT_THROW(Assistant::load(golden_folder("text-e2b") / "model", *target()), Error);
}

}  // namespace
}  // namespace carat
