#include "grammar/number_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace carat {
namespace {

constexpr std::int64_t kLargest = 999'999'999'999'999;  // 15 digits
constexpr std::size_t kMaxDecimals = 6;

// Between low and high digits, {0-9} for the rest: "[0-9]{2,3}".
std::string digits(std::size_t least, std::size_t most) {
  if (most == 0) return "\"\"";
  return str("[0-9]{", least, ",", most, "}");
}

std::string digit(char low, char high) {
  return low == high ? str("\"", std::string(1, low), "\"")
                     : str("[", std::string(1, low), "-", std::string(1, high), "]");
}

std::string choice(const std::vector<std::string>& parts) {
  std::string result;
  for (const std::string& part : parts) {
    if (!part.empty()) result += (result.empty() ? "" : " | ") + part;
  }
  return parts.empty() || result.empty() ? "" : "(" + result + ")";
}

bool is_all(std::string_view text, char c) {
  return text.find_first_not_of(c) == std::string_view::npos;
}

char after(char c) {
  return static_cast<char>(c + 1);
}
char before(char c) {
  return static_cast<char>(c - 1);
}

// Digit strings of one length, low <= text <= high. Never empty.
std::string between(std::string_view low, std::string_view high) {
  const std::size_t rest = low.size() - 1;
  if (is_all(low, '0') && is_all(high, '9')) return digits(low.size(), low.size());
  if (rest == 0) return digit(low[0], high[0]);
  if (low[0] == high[0]) return digit(low[0], low[0]) + " " + between(low.substr(1), high.substr(1));
  std::vector<std::string> parts;
  char first = low[0];
  char last = high[0];
  if (!is_all(low.substr(1), '0')) {
    parts.push_back(digit(first, first) + " " + between(low.substr(1), std::string(rest, '9')));
    first = after(first);
  }
  if (!is_all(high.substr(1), '9')) {
    parts.push_back(digit(last, last) + " " + between(std::string(rest, '0'), high.substr(1)));
    last = before(last);
  }
  if (first <= last) parts.push_back(digit(first, last) + " " + digits(rest, rest));
  return choice(parts);
}

// 0 <= low <= high.
std::string magnitudes(std::int64_t low, std::int64_t high) {
  std::vector<std::string> parts;
  if (low == 0) {
    parts.emplace_back("\"0\"");
    low = 1;
  }
  // Lengths of which all numbers belong to it are one part together.
  std::size_t first_full = 0;
  std::size_t last_full = 0;
  for (std::int64_t begin = 1; begin <= high; begin *= 10) {
    const std::int64_t end = begin * 10 - 1;
    if (end < low) continue;
    const std::size_t length = std::to_string(begin).size();
    if (low <= begin && end <= high) {
      if (first_full == 0) first_full = length;
      last_full = length;
    } else {
      parts.push_back(between(std::to_string(std::max(low, begin)), std::to_string(std::min(high, end))));
    }
  }
  if (first_full > 0) parts.push_back("[1-9] " + digits(first_full - 1, last_full - 1));
  return choice(parts);
}

// A number as its decimal digits: 12.5 -> whole 12, decimals "5", no zeros at the end.
struct Decimal {
  std::int64_t whole;
  std::string decimals;
};

Decimal decimal(double magnitude) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), magnitude, std::chars_format::fixed).ptr;
  const std::string_view all(text.data(), static_cast<std::size_t>(end - text.data()));
  const std::size_t point = all.find('.');
  Decimal result{0, point == std::string_view::npos ? "" : std::string(all.substr(point + 1))};
  std::from_chars(all.data(), all.data() + std::min(point, all.size()), result.whole);
  while (!result.decimals.empty() && result.decimals.back() == '0') result.decimals.pop_back();
  return result;
}

// Below, decimals are what follows the point; `bound` has no zeros at its end and may be empty, which is 0. `most`: how
// many more digits may follow where they are free. An empty result: none.

// A digit other than 0 somewhere.
std::string above_zero(std::size_t most) {
  return str("\"0\"{0,", most, "} [1-9] ", digits(0, most));
}

std::string at_least(std::string_view bound, bool is_exclusive, std::size_t most, bool is_first) {
  if (bound.empty()) return is_exclusive ? above_zero(most) : digits(is_first ? 1 : 0, std::max(most, std::size_t{1}));
  std::vector<std::string> parts;
  if (bound[0] < '9') parts.push_back(digit(after(bound[0]), '9') + " " + digits(0, most));
  const std::string rest = at_least(bound.substr(1), is_exclusive, most, false);
  parts.push_back(digit(bound[0], bound[0]) + " " + rest);
  return choice(parts);
}

std::string at_most(std::string_view bound, bool is_exclusive, std::size_t most, bool is_first) {
  if (bound.empty())
    return is_exclusive ? "" : str("\"0\"{", is_first ? 1 : 0, ",", std::max(most, std::size_t{1}), "}");
  std::vector<std::string> parts;
  if (bound[0] > '0') parts.push_back(digit('0', before(bound[0])) + " " + digits(0, most));
  const std::string rest = at_most(bound.substr(1), is_exclusive, most, false);
  // What stops short of the bound is below it.
  const bool may_stop = bound.size() > 1;
  if (!rest.empty()) parts.push_back(digit(bound[0], bound[0]) + (may_stop ? " (" + rest + ")?" : " " + rest));
  return choice(parts);
}

struct Limits {
  bool is_low_exclusive;
  bool is_high_exclusive;
  std::size_t most;
};

std::string decimals_between(std::string_view low, std::string_view high, const Limits& limits) {
  if (high.empty()) return limits.is_low_exclusive || limits.is_high_exclusive ? "" : "\"\"";  // low is, too
  const char first = low.empty() ? '0' : low[0];
  const std::string_view low_rest = low.empty() ? low : low.substr(1);
  if (first == high[0]) {
    const std::string rest = decimals_between(low_rest, high.substr(1), limits);
    return rest.empty() ? "" : digit(first, first) + " " + rest;
  }
  std::vector<std::string> parts;
  parts.push_back(digit(first, first) + " " + at_least(low_rest, limits.is_low_exclusive, limits.most, false));
  if (after(first) < high[0]) {
    parts.push_back(digit(after(first), before(high[0])) + " " + digits(0, limits.most));
  }
  const std::string rest = at_most(high.substr(1), limits.is_high_exclusive, limits.most, false);
  if (high.size() > 1 || !rest.empty()) {
    parts.push_back(digit(high[0], high[0]) + (high.size() > 1 ? " (" + rest + ")?" : " " + rest));
  }
  return choice(parts);
}

// Numbers from 0 on, written with or without decimals.
std::string magnitudes_with_decimals(const NumberValue::Bound& low, const NumberValue::Bound& high, std::size_t most) {
  const Decimal a = decimal(low.value);
  const Decimal b = decimal(high.value);
  std::vector<std::string> parts;
  const std::int64_t first = a.decimals.empty() && !low.is_exclusive ? a.whole : a.whole + 1;
  const std::int64_t last = b.decimals.empty() && high.is_exclusive ? b.whole - 1 : b.whole;
  if (first <= last) parts.push_back(magnitudes(first, last));
  if (most == 0) return choice(parts);

  const auto with_decimals = [&](std::int64_t whole, const std::string& decimals) {
    if (!decimals.empty()) parts.push_back(str("\"", whole, ".\" ", decimals));
  };
  if (a.whole == b.whole && b.decimals.empty()) return choice(parts);
  if (a.whole == b.whole) {
    with_decimals(a.whole, decimals_between(a.decimals, b.decimals, {low.is_exclusive, high.is_exclusive, most}));
  } else {
    with_decimals(a.whole, at_least(a.decimals, low.is_exclusive, most, true));
    if (a.whole + 1 <= b.whole - 1) parts.push_back(magnitudes(a.whole + 1, b.whole - 1) + " \".\" " + digits(1, most));
    with_decimals(b.whole, at_most(b.decimals, high.is_exclusive, most, true));
  }
  return choice(parts);
}

std::string bounded_number(const NumberValue::Bound& low, const NumberValue::Bound& high) {
  if (low.value > high.value) return "";
  // So few decimals that a double tells each number from the bounds.
  double largest = 1;
  for (const NumberValue::Bound& bound : {low, high}) {
    if (std::abs(bound.value) < static_cast<double>(kLargest)) largest = std::max(largest, std::abs(bound.value));
  }
  const auto whole_digits = std::to_string(static_cast<std::int64_t>(largest)).size();
  const std::size_t most = std::min(kMaxDecimals, 15 - std::min<std::size_t>(whole_digits, 15));

  std::vector<std::string> parts;
  if (high.value >= 0) {
    parts.push_back(magnitudes_with_decimals(low.value >= 0 ? low : NumberValue::Bound{0, false}, high, most));
  }
  if (low.value < 0) {
    const NumberValue::Bound nearest =
        high.value < 0 ? NumberValue::Bound{-high.value, high.is_exclusive} : NumberValue::Bound{0, true};
    const std::string part = magnitudes_with_decimals(nearest, {-low.value, low.is_exclusive}, most);
    if (!part.empty()) parts.push_back("\"-\" " + part);
  }
  return choice(parts);
}

}  // namespace

std::string integer_expression(std::int64_t low, std::int64_t high) {
  if (low > high) return "";
  std::vector<std::string> parts;
  if (high >= 0) parts.push_back(magnitudes(std::max<std::int64_t>(low, 0), high));
  if (low < 0) parts.push_back("\"-\" " + magnitudes(std::max<std::int64_t>(-high, 1), -low));
  return choice(parts);
}

std::string number_expression(const NumberValue& value) {
  if (value.is_integer) {
    const auto low = value.min ? std::ceil(value.min->value) : static_cast<double>(-kLargest);
    const auto high = value.max ? std::floor(value.max->value) : static_cast<double>(kLargest);
    const auto clamped = [](double x) {
      return static_cast<std::int64_t>(std::clamp(x, static_cast<double>(-kLargest), static_cast<double>(kLargest)));
    };
    const bool leaves_low = value.min && value.min->is_exclusive && low == value.min->value;
    const bool leaves_high = value.max && value.max->is_exclusive && high == value.max->value;
    return integer_expression(clamped(low) + (leaves_low ? 1 : 0), clamped(high) - (leaves_high ? 1 : 0));
  }
  if (!value.min && !value.max) {
    return "(\"-\"? (\"0\" | [1-9] [0-9]{0,14}) (\".\" [0-9]{1,15})? ([eE] [+-]? [0-9]{1,2})?)";
  }
  const auto limit = static_cast<double>(kLargest);
  return bounded_number(value.min.value_or(NumberValue::Bound{-limit, false}),
                        value.max.value_or(NumberValue::Bound{limit, false}));
}

}  // namespace carat
