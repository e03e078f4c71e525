// The real Gemma 3 270M (Q4_K_M) against the reference in float32. Skipped unless CARAT_GEMMA3_GGUF names the file.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "base/golden.h"
#include "engine/session.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path case_folder() {
  return fs::path(CARAT_TEST_DATA) / "golden" / "gemma3-270m";
}

// What is asked of one way to compute (case.json, tolerance_float32).
struct Precision {
  const char* name;
  ActivationType activations;
  DType kv_type;
  double max_logit;   // largest difference of one of the reference's 20 best logits
  double mean_logit;  // mean difference of those
  double perplexity;  // relative difference
};

// Exact: floats throughout. Fast, as carat runs by default: activations as 8-bit codes; quantisation noise of some
// tenths on logits that span tens, and half a percent of perplexity, is what issue and case allow.
constexpr Precision kExact{"Exact", ActivationType::kF32, DType::kF32, 0.005, 0.001, 1e-4};
constexpr Precision kFast{"Fast", ActivationType::kI8, DType::kF16, 4.0, 0.35, 0.005};

class Gemma3 : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    const char* path = std::getenv("CARAT_GEMMA3_GGUF");
    if (path == nullptr) GTEST_SKIP() << "CARAT_GEMMA3_GGUF names no file; scripts/fetch_gemma3 gets it";
    model_ = Model::load(path);
    expected_ = std::make_unique<golden::Tensors>(golden::load(case_folder() / "expected.safetensors"));
  }

  Session make_session() const {
    SessionOptions options;
    options.context = 1024;
    options.kv_type = GetParam().kv_type;
    return {model_, {0, "", GetParam().activations}, options};
  }

  std::shared_ptr<const Model> model_;
  std::unique_ptr<golden::Tensors> expected_;
};

TEST_P(Gemma3, TopLogitsOfEveryPosition) {
  constexpr std::size_t kTop = 20;
  double sum = 0;
  double worst = 0;
  std::size_t count = 0;
  for (int prompt = 0; expected_->contains(str(prompt, ".input_ids")); ++prompt) {
    const auto& ids = expected_->ints(str(prompt, ".input_ids"));
    const auto& top_ids = expected_->ints(str(prompt, ".top_ids"));
    const auto& top_logits = expected_->floats(str(prompt, ".top_logits"));
    Session session = make_session();
    session.append_all_logits(ids, [&](std::size_t first, MatView<const float> logits) {
      for (std::size_t row = 0; row < logits.rows(); ++row) {
        for (std::size_t i = (first + row) * kTop; i < (first + row + 1) * kTop; ++i) {
          const double difference =
              std::abs(double{logits.row(row)[static_cast<std::size_t>(top_ids[i])]} - top_logits[i]);
          sum += difference;
          worst = std::max(worst, difference);
          ++count;
        }
      }
    });
  }
  RecordProperty("worst", std::to_string(worst));
  RecordProperty("mean", std::to_string(sum / static_cast<double>(count)));
  EXPECT_LE(worst, GetParam().max_logit);
  EXPECT_LE(sum / static_cast<double>(count), GetParam().mean_logit);
}

TEST_P(Gemma3, GreedyTextWhereTheMarginIsWide) {
  // A step whose two best logits lie closer than the tolerance may go either way, and so may all after it.
  const double narrow = GetParam().activations == ActivationType::kF32 ? 0.02 : 2 * GetParam().mean_logit;
  const json::value prompts = parse_json_file(case_folder() / "prompts.json");
  std::size_t compared = 0;
  for (std::size_t prompt = 0; expected_->contains(str(prompt, ".input_ids")); ++prompt) {
    const auto& greedy = expected_->ints(str(prompt, ".greedy_ids"));
    const json::array& gaps = prompts.as_array()[prompt].at("greedy_gap_between_best_two").as_array();
    Session session = make_session();
    std::span<const float> logits = session.append(expected_->ints(str(prompt, ".input_ids")));
    for (std::size_t i = 0; i < greedy.size() && gaps[i].to_number<double>() >= narrow; ++i) {
      const auto id = static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
      ASSERT_EQ(id, greedy[i]) << "prompt " << prompt << ", step " << i;
      ++compared;
      logits = session.append({&id, 1});
    }
  }
  EXPECT_GT(compared, GetParam().activations == ActivationType::kF32 ? 50U : 10U);
}

TEST_P(Gemma3, PerplexityOfThePassage) {
  const auto& ids = expected_->ints("passage.input_ids");
  const auto& expected = expected_->floats("passage.negative_log_likelihood");
  double sum = 0;
  Session session = make_session();
  session.append_all_logits(ids, [&](std::size_t first, MatView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows() && first + row + 1 < ids.size(); ++row) {
      double total = 0;
      const float max = std::ranges::max(logits.row(row));
      for (const float logit : logits.row(row)) total += std::exp(double{logit} - max);
      sum += std::log(total) + max - logits.row(row)[static_cast<std::size_t>(ids[first + row + 1])];
    }
  });
  const auto count = static_cast<double>(expected.size());
  const double mean = sum / count;
  const double reference = std::accumulate(expected.begin(), expected.end(), 0.0) / count;
  RecordProperty("mean_nll", std::to_string(mean));
  EXPECT_NEAR(std::exp(mean) / std::exp(reference), 1.0, GetParam().perplexity);
}

INSTANTIATE_TEST_SUITE_P(Precisions, Gemma3, testing::Values(kExact, kFast),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace carat
