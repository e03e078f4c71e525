#include "sampling/sampling_params.h"

#include <array>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>

#include "base/error.h"

namespace carat {
namespace {

struct NumberRange {
  std::string_view name;
  double SamplingParams::*member;
  double low;
  double high;
};

constexpr std::array kNumberRanges{
    NumberRange{"repetition_penalty", &SamplingParams::repetition_penalty, 0.01, 100},
    NumberRange{"frequency_penalty", &SamplingParams::frequency_penalty, -100, 100},
    NumberRange{"presence_penalty", &SamplingParams::presence_penalty, -100, 100},
    NumberRange{"temperature", &SamplingParams::temperature, 0, 100},
    NumberRange{"top_p", &SamplingParams::top_p, 0, 1},
    NumberRange{"min_p", &SamplingParams::min_p, 0, 1},
};

struct CountLimit {
  std::string_view name;
  std::int32_t SamplingParams::*member;
  std::int32_t low;
  std::string_view meaning;
};

constexpr std::array kCountLimits{
    CountLimit{"repeat_last_n", &SamplingParams::repeat_last_n, -1, "-1 (all tokens), 0 (none) or a number of tokens"},
    CountLimit{"top_k", &SamplingParams::top_k, 0, "0 (off) or a number of tokens"},
};

// The shortest text that reads back as x: "0.1", "1e-30", "nan".
std::string number(double x) {
  std::array<char, 32> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), x);
  return {text.data(), result.ptr};
}

// False for NaN.
bool is_within(double x, double low, double high) {
  return x >= low && x <= high;
}

}  // namespace

void validate(const SamplingParams& params, std::size_t vocab) {
  for (const NumberRange& range : kNumberRanges) {
    const double value = params.*range.member;
    if (is_within(value, range.low, range.high)) continue;
    throw Error(ErrorKind::kBadInput, str(range.name, " is ", number(value), ", expected a number from ",
                                          number(range.low), " to ", number(range.high)));
  }
  for (const CountLimit& limit : kCountLimits) {
    const std::int32_t value = params.*limit.member;
    if (value >= limit.low) continue;
    throw Error(ErrorKind::kBadInput, str(limit.name, " is ", value, ", expected ", limit.meaning));
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (token < 0 || static_cast<std::size_t>(token) >= vocab) {
      throw Error(ErrorKind::kBadInput,
                  str("logit_bias names token ", token, ", expected an id from 0 to ", vocab - 1));
    }
    if (!is_within(bias, -100, 100) && bias != -std::numeric_limits<double>::infinity()) {
      throw Error(ErrorKind::kBadInput, str("logit_bias of token ", token, " is ", number(bias),
                                            ", expected a number from -100 to 100, or -infinity to ban the token"));
    }
  }
}

}  // namespace carat
