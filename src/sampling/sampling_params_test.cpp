#include "sampling/sampling_params.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "base/error.h"

namespace carat {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What validate says of the defaults after `change`; empty when it lets them pass.
std::string complaint(const std::function<void(SamplingParams&)>& change) {
  SamplingParams params;
  change(params);
  try {
    validate(params, 1000);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(SamplingParams, DefaultsAreThoseOfGemma) {
  const SamplingParams params;
  EXPECT_EQ(params.temperature, 1.0);
  EXPECT_EQ(params.top_k, 64);
  EXPECT_EQ(params.top_p, 0.95);
  EXPECT_EQ(params.min_p, 0.0);
  EXPECT_EQ(params.repetition_penalty, 1.0);
  EXPECT_EQ(complaint([](SamplingParams&) {}), "");
}

TEST(SamplingParams, TheEndsOfEveryRangePass) {
  EXPECT_EQ(complaint([](auto& p) { p.temperature = 0; }), "");
  EXPECT_EQ(complaint([](auto& p) { p.temperature = 100; }), "");
  EXPECT_EQ(complaint([](auto& p) { p.top_p = 0; }), "");
  EXPECT_EQ(complaint([](auto& p) { p.top_p = 1; }), "");
  EXPECT_EQ(complaint([](auto& p) { p.min_p = 1; }), "");
  EXPECT_EQ(complaint([](auto& p) { p.top_k = std::numeric_limits<std::int32_t>::max(); }), "");
  EXPECT_EQ(complaint([](auto& p) { p.repeat_last_n = std::numeric_limits<std::int32_t>::max(); }), "");
  EXPECT_EQ(complaint([](auto& p) { p.logit_bias = {{0, -100}, {999, 100}, {5, -kInfinity}}; }), "");
}

TEST(SamplingParams, AComplaintNamesParameterValueAndRange) {
  EXPECT_EQ(complaint([](auto& p) { p.temperature = -0.1; }), "temperature is -0.1, expected a number from 0 to 100");
  EXPECT_EQ(complaint([](auto& p) { p.temperature = kNan; }), "temperature is nan, expected a number from 0 to 100");
  EXPECT_EQ(complaint([](auto& p) { p.temperature = kInfinity; }),
            "temperature is inf, expected a number from 0 to 100");
  EXPECT_EQ(complaint([](auto& p) { p.top_p = 1.5; }), "top_p is 1.5, expected a number from 0 to 1");
  EXPECT_EQ(complaint([](auto& p) { p.min_p = -1e-30; }), "min_p is -1e-30, expected a number from 0 to 1");
  EXPECT_EQ(complaint([](auto& p) { p.repetition_penalty = 0; }),
            "repetition_penalty is 0, expected a number from 0.01 to 100");
  EXPECT_EQ(complaint([](auto& p) { p.frequency_penalty = 101; }),
            "frequency_penalty is 101, expected a number from -100 to 100");
  EXPECT_EQ(complaint([](auto& p) { p.presence_penalty = -kInfinity; }),
            "presence_penalty is -inf, expected a number from -100 to 100");
  EXPECT_EQ(complaint([](auto& p) { p.top_k = -1; }), "top_k is -1, expected 0 (off) or a number of tokens");
  EXPECT_EQ(complaint([](auto& p) { p.repeat_last_n = -2; }),
            "repeat_last_n is -2, expected -1 (all tokens), 0 (none) or a number of tokens");
  EXPECT_EQ(complaint([](auto& p) {
              p.logit_bias = {{1000, 1}};
            }),
            "logit_bias names token 1000, expected an id from 0 to 999");
  EXPECT_EQ(complaint([](auto& p) {
              p.logit_bias = {{-1, 1}};
            }),
            "logit_bias names token -1, expected an id from 0 to 999");
  EXPECT_EQ(complaint([](auto& p) {
              p.logit_bias = {{3, kInfinity}};
            }),
            "logit_bias of token 3 is inf, expected a number from -100 to 100, or -infinity to ban the token");
  EXPECT_EQ(complaint([](auto& p) {
              p.logit_bias = {{3, kNan}};
            }),
            "logit_bias of token 3 is nan, expected a number from -100 to 100, or -infinity to ban the token");
}

}  // namespace
}  // namespace carat
