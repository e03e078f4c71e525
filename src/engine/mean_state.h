// MeanState: the mean of hidden states, as a direction.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace carat {

class MeanState {
 public:
  // Position of the state added last; -1 before the first.
  std::ptrdiff_t last_position() const { return last_position_; }

  // hidden: [hidden], of the token at `position`.
  void add(std::size_t position, std::span<const float> hidden) {
    sum_.resize(hidden.size());
    for (std::size_t i = 0; i < hidden.size(); ++i) sum_[i] += static_cast<double>(hidden[i]);
    last_position_ = static_cast<std::ptrdiff_t>(position);
  }

  // The mean (or, which is as good, the sum) with length 1: [hidden]; zeros stay zeros.
  std::vector<float> direction() const {
    double squares = 0;
    for (const double value : sum_) squares += value * value;
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    std::vector<float> out;
    out.reserve(sum_.size());
    for (const double value : sum_) out.push_back(static_cast<float>(value * scale));
    return out;
  }

 private:
  std::vector<double> sum_;
  std::ptrdiff_t last_position_ = -1;
};

}  // namespace carat
