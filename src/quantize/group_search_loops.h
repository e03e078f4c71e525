// The loops of GroupSearch, over a register type whose lanes are groups. Each instruction set's .cpp includes this with
// a type of its own, so that nothing inline is shared (see kernels/kernel_table.h).
//
// Isa::Vector: kLanes floats (GCC's vector extension); Isa::kLanes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/group_search.h"

namespace carat::group_search_loops {

// kLanes groups with lanes apart: values[i] and weights[i] hold element i of every group.
template <class Isa, std::size_t Width>
struct Lanes {
  using Vector = typename Isa::Vector;
  Vector values[Width];
  Vector weights[Width];

  // Groups [first, first + kLanes); those past the end are zeros.
  Lanes(const Groups& groups, std::size_t first) {
    alignas(Vector) float columns[2][Width][Isa::kLanes];
    for (std::size_t lane = 0; lane < Isa::kLanes; ++lane) {
      const bool is_there = first + lane < groups.count;
      const std::size_t at = is_there ? (first + lane) * Width : 0;
      for (std::size_t i = 0; i < Width; ++i) {
        columns[0][i][lane] = is_there ? groups.values[at + i] : 0.0F;
        columns[1][i][lane] = is_there ? groups.weights[at + i] : 0.0F;
      }
    }
    for (std::size_t i = 0; i < Width; ++i) {
      values[i] = *reinterpret_cast<const Vector*>(columns[0][i]);
      weights[i] = *reinterpret_cast<const Vector*>(columns[1][i]);
    }
  }
};

template <class Isa>
typename Isa::Vector splat(float x) {
  return typename Isa::Vector{} + x;
}

// v within lowest .. highest and without its fraction; lowest for NaN. Adding 1.5 * 2^23 leaves no room for a fraction.
template <class Isa>
typename Isa::Vector nearest_integer(typename Isa::Vector v, float lowest, float highest) {
  constexpr float kRounder = 12582912.0F;
  v = v > splat<Isa>(lowest) ? v : splat<Isa>(lowest);
  v = v < splat<Isa>(highest) ? v : splat<Isa>(highest);
  return (v + kRounder) - kRounder;
}

// 1 / v; 0 for 0.
template <class Isa>
typename Isa::Vector inverse(typename Isa::Vector v) {
  const auto is_zero = v == splat<Isa>(0.0F);
  const typename Isa::Vector safe = is_zero ? splat<Isa>(1.0F) : v;
  return is_zero ? splat<Isa>(0.0F) : 1.0F / safe;
}

template <class Isa>
void store(typename Isa::Vector v, std::size_t first, std::size_t count, float* out) {
  const std::size_t lanes = count - first < Isa::kLanes ? count - first : Isa::kLanes;
  for (std::size_t lane = 0; lane < lanes; ++lane) out[first + lane] = v[lane];
}

template <class Isa>
typename Isa::Vector load(const float* from, std::size_t first, std::size_t count) {
  typename Isa::Vector v{};
  const std::size_t lanes = count - first < Isa::kLanes ? count - first : Isa::kLanes;
  for (std::size_t lane = 0; lane < lanes; ++lane) v[lane] = from[first + lane];
  return v;
}

// The value farthest from zero, with its sign.
template <class Isa, std::size_t Width>
typename Isa::Vector peak_of(const Lanes<Isa, Width>& x) {
  typename Isa::Vector peak{};
  typename Isa::Vector size{};
  for (std::size_t i = 0; i < Width; ++i) {
    const typename Isa::Vector magnitude = x.values[i] < splat<Isa>(0.0F) ? -x.values[i] : x.values[i];
    const auto is_larger = magnitude > size;
    size = is_larger ? magnitude : size;
    peak = is_larger ? x.values[i] : peak;
  }
  return peak;
}

// ---- one scale ------------------------------------------------------------------------------------------------------

// The best scale for given codes q is sum(w q x) / sum(w q q), and it lowers the error from sum(w x x) by
// sum(w q x)^2 / sum(w q q): the larger that, the better the codes.
template <class Isa>
struct ScaleFit {
  typename Isa::Vector scale{};
  typename Isa::Vector gain{};

  void offer(typename Isa::Vector qx, typename Isa::Vector qq) {
    const typename Isa::Vector candidate = qx * inverse<Isa>(qq);
    const typename Isa::Vector candidate_gain = candidate * qx;
    const auto is_better = candidate_gain > gain;
    scale = is_better ? candidate : scale;
    gain = is_better ? candidate_gain : gain;
  }
};

// Codes of all values for a scale, given as its inverse, offered to the fit. code_of(v): the code's value nearest to v.
template <class Isa, std::size_t Width, class CodeOf>
void offer_codes(const Lanes<Isa, Width>& x, typename Isa::Vector inverse_scale, CodeOf code_of, ScaleFit<Isa>& fit) {
  typename Isa::Vector qx{};
  typename Isa::Vector qq{};
  for (std::size_t i = 0; i < Width; ++i) {
    const typename Isa::Vector q = code_of(x.values[i] * inverse_scale);
    const typename Isa::Vector wq = x.weights[i] * q;
    qx += wq * x.values[i];
    qq += wq * q;
  }
  fit.offer(qx, qq);
}

// Tries scales that put the peak at each of the targets, then lets codes and scale improve each other.
template <class Isa, std::size_t Width, class CodeOf>
typename Isa::Vector best_scale(const Lanes<Isa, Width>& x, const float* targets, std::size_t count, CodeOf code_of) {
  constexpr int kRefinements = 2;
  ScaleFit<Isa> fit;
  const typename Isa::Vector inverse_peak = inverse<Isa>(peak_of(x));
  for (std::size_t t = 0; t < count; ++t) offer_codes(x, targets[t] * inverse_peak, code_of, fit);
  for (int i = 0; i < kRefinements; ++i) offer_codes(x, inverse<Isa>(fit.scale), code_of, fit);
  return fit.scale;
}

// Where the peak may go: around the end of the codes that reaches farther, and around the other end with the sign
// turned. A step is a share of the range, so that 8-bit codes are not tried a whole code apart.
template <class Isa>
struct Targets {
  float values[24];
  std::size_t count = 0;

  void add_around(float end, float step, int below, int above) {
    for (int i = -below; i <= above; ++i) values[count++] = end * (1.0F + step * static_cast<float>(i));
  }
};

template <class Isa, std::size_t Width>
void fit_scale(const Groups& groups, const IntegerCodes& codes, float* scale) {
  Targets<Isa> targets;
  const bool is_wide = codes.highest > 31.0F;
  if (is_wide) {  // 8 bits: little to be won, and that by where the rounding falls
    targets.add_around(codes.lowest, 0.0025F, 3, 1);
    targets.add_around(codes.highest, 0.0025F, 0, 0);
  } else {
    const float step = codes.highest > 15.0F ? 0.012F : codes.highest > 7.0F ? 0.022F : 0.035F;
    targets.add_around(codes.lowest, step, 5, 4);
    targets.add_around(codes.highest, step, 2, 3);
  }
  const auto code_of = [&](typename Isa::Vector v) { return nearest_integer<Isa>(v, codes.lowest, codes.highest); };
  for (std::size_t first = 0; first < groups.count; first += Isa::kLanes) {
    const Lanes<Isa, Width> x(groups, first);
    store<Isa>(best_scale(x, targets.values, targets.count, code_of), first, groups.count, scale);
  }
}

// ---- levels ---------------------------------------------------------------------------------------------------------

// The level nearest to v, or with is_index its index.
template <class Isa>
struct NearestLevel {
  const LevelCodes& codes;
  float thresholds[15];  // halfway between neighbours
  float steps[15];

  NearestLevel(const LevelCodes& level_codes, bool is_index) : codes(level_codes) {
    for (std::size_t i = 0; i < 15; ++i) {
      const float step = codes.levels[i + 1] - codes.levels[i];
      thresholds[i] = codes.levels[i] + 0.5F * step;
      steps[i] = is_index ? (step > 0.0F ? 1.0F : 0.0F) : step;
    }
  }
  typename Isa::Vector operator()(typename Isa::Vector v, float lowest) const {
    typename Isa::Vector result = splat<Isa>(lowest);
    for (std::size_t i = 0; i < 15; ++i) {
      result += v > splat<Isa>(thresholds[i]) ? splat<Isa>(steps[i]) : splat<Isa>(0.0F);
    }
    return result;
  }
};

template <class Isa, std::size_t Width>
void fit_level_scale(const Groups& groups, const LevelCodes& codes, float* scale) {
  Targets<Isa> targets;
  targets.add_around(codes.levels[0], 0.03F, 5, 4);
  targets.add_around(codes.levels[15], 0.03F, 3, 3);
  const NearestLevel<Isa> nearest(codes, false);
  const auto code_of = [&](typename Isa::Vector v) { return nearest(v, codes.levels[0]); };
  for (std::size_t first = 0; first < groups.count; first += Isa::kLanes) {
    const Lanes<Isa, Width> x(groups, first);
    store<Isa>(best_scale(x, targets.values, targets.count, code_of), first, groups.count, scale);
  }
}

// ---- scale and offset -----------------------------------------------------------------------------------------------

// Sums over a group that do not depend on its codes: W = sum(w), X = sum(w x).
template <class Isa>
struct AffineSums {
  typename Isa::Vector w{};
  typename Isa::Vector x{};
};

// The scale s and offset m that are best for given codes: the zeros of the error's derivatives,
//   s = (W * QX - Q * X) / (W * QQ - Q * Q), m = (X - s * Q) / W,
// Q = sum(w q), QQ = sum(w q q), QX = sum(w q x). Where a minimum is wanted and m is above 0, the best one allowed is
// 0, with s = QX / QQ. The error, less sum(w x x), is s * (s * QQ + 2 m * Q - 2 QX) + m * (m * W - 2 X).
template <class Isa>
struct AffineFit {
  typename Isa::Vector scale{};
  typename Isa::Vector offset{};
  typename Isa::Vector error = splat<Isa>(3.0e38F);

  void offer(const AffineSums<Isa>& sums, typename Isa::Vector q, typename Isa::Vector qq, typename Isa::Vector qx,
             bool has_minimum) {
    typename Isa::Vector s = (sums.w * qx - q * sums.x) * inverse<Isa>(sums.w * qq - q * q);
    typename Isa::Vector m = (sums.x - s * q) * inverse<Isa>(sums.w);
    if (has_minimum) {
      const auto is_above = m > splat<Isa>(0.0F);
      s = is_above ? qx * inverse<Isa>(qq) : s;
      m = is_above ? splat<Isa>(0.0F) : m;
    }
    const typename Isa::Vector candidate = s * (s * qq + 2.0F * m * q - 2.0F * qx) + m * (m * sums.w - 2.0F * sums.x);
    const auto is_better = (candidate < error) & (s >= splat<Isa>(0.0F));
    scale = is_better ? s : scale;
    offset = is_better ? m : offset;
    error = is_better ? candidate : error;
  }
};

template <class Isa, std::size_t Width>
void offer_affine_codes(const Lanes<Isa, Width>& x, typename Isa::Vector inverse_scale, typename Isa::Vector offset,
                        float highest, const AffineSums<Isa>& sums, bool has_minimum, AffineFit<Isa>& fit) {
  typename Isa::Vector q_sum{};
  typename Isa::Vector qq{};
  typename Isa::Vector qx{};
  for (std::size_t i = 0; i < Width; ++i) {
    const typename Isa::Vector q = nearest_integer<Isa>((x.values[i] - offset) * inverse_scale, 0.0F, highest);
    const typename Isa::Vector wq = x.weights[i] * q;
    q_sum += wq;
    qq += wq * q;
    qx += wq * x.values[i];
  }
  fit.offer(sums, q_sum, qq, qx, has_minimum);
}

template <class Isa, std::size_t Width>
void fit_scale_and_offset(const Groups& groups, float highest, bool has_minimum, float* scale, float* offset) {
  using Vector = typename Isa::Vector;
  constexpr int kCandidates = 12;  // cut the range into a little fewer and more steps than there are codes
  constexpr int kRefinements = 3;
  const float spread = highest > 15.0F ? 1.6F : highest > 3.0F ? 1.2F : 0.9F;
  for (std::size_t first = 0; first < groups.count; first += Isa::kLanes) {
    const Lanes<Isa, Width> x(groups, first);
    Vector low = has_minimum ? splat<Isa>(0.0F) : x.values[0];
    Vector high = x.values[0];
    AffineSums<Isa> sums;
    for (std::size_t i = 0; i < Width; ++i) {
      low = x.values[i] < low ? x.values[i] : low;
      high = x.values[i] > high ? x.values[i] : high;
      sums.w += x.weights[i];
      sums.x += x.weights[i] * x.values[i];
    }
    AffineFit<Isa> fit;
    fit.offset = low;  // for a group whose values are all the same
    const Vector inverse_range = inverse<Isa>(high - low);
    for (int c = 0; c < kCandidates; ++c) {
      const float share = 2.0F * static_cast<float>(c) / (kCandidates - 1) - 1.0F;
      offer_affine_codes(x, (highest + 0.3F * spread + spread * share) * inverse_range, low, highest, sums, has_minimum,
                         fit);
    }
    for (int i = 0; i < kRefinements; ++i) {
      offer_affine_codes(x, inverse<Isa>(fit.scale), fit.offset, highest, sums, has_minimum, fit);
    }
    store<Isa>(fit.scale, first, groups.count, scale);
    store<Isa>(fit.offset, first, groups.count, offset);
  }
}

// ---- codes ----------------------------------------------------------------------------------------------------------

// code_of(v): the number of the code nearest to v; value_of(v): what that code stands for, in units of the scale.
template <class Isa, std::size_t Width, class CodeOf, class ValueOf>
void write_codes(const Groups& groups, const float* scale, const float* offset, CodeOf code_of, ValueOf value_of,
                 std::uint8_t* nearest, float* error) {
  using Vector = typename Isa::Vector;
  for (std::size_t first = 0; first < groups.count; first += Isa::kLanes) {
    const Lanes<Isa, Width> x(groups, first);
    const std::size_t lanes = groups.count - first < Isa::kLanes ? groups.count - first : Isa::kLanes;
    const Vector s = load<Isa>(scale, first, groups.count);
    const Vector m = offset == nullptr ? Vector{} : load<Isa>(offset, first, groups.count);
    const Vector inverse_scale = inverse<Isa>(s);
    Vector sum{};
    for (std::size_t i = 0; i < Width; ++i) {
      const Vector v = (x.values[i] - m) * inverse_scale;
      if (error != nullptr) {
        const Vector difference = s * value_of(v) + m - x.values[i];
        sum += x.weights[i] * difference * difference;
      }
      if (nearest == nullptr) continue;
      const Vector code = code_of(v);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        nearest[(first + lane) * Width + i] = static_cast<std::uint8_t>(code[lane]);
      }
    }
    if (error != nullptr) store<Isa>(sum, first, groups.count, error);
  }
}

template <class Isa, std::size_t Width>
void integer_codes(const Groups& groups, const IntegerCodes& codes, const float* scale, const float* offset,
                   std::uint8_t* nearest, float* error) {
  using Vector = typename Isa::Vector;
  const auto value_of = [&](Vector v) { return nearest_integer<Isa>(v, codes.lowest, codes.highest); };
  const auto code_of = [&](Vector v) { return value_of(v) - codes.lowest; };
  write_codes<Isa, Width>(groups, scale, offset, code_of, value_of, nearest, error);
}

template <class Isa, std::size_t Width>
void level_codes(const Groups& groups, const LevelCodes& codes, const float* scale, std::uint8_t* nearest,
                 float* error) {
  using Vector = typename Isa::Vector;
  const NearestLevel<Isa> level(codes, false);
  const NearestLevel<Isa> index(codes, true);
  const auto value_of = [&](Vector v) { return level(v, codes.levels[0]); };
  const auto code_of = [&](Vector v) { return index(v, 0.0F); };
  write_codes<Isa, Width>(groups, scale, nullptr, code_of, value_of, nearest, error);
}

// ---- the table ------------------------------------------------------------------------------------------------------

template <class Isa>
constexpr GroupSearch make_table(const char* name, std::uint32_t needs) {
  return {name,
          needs,
          [](const Groups& g, const IntegerCodes& codes, float* scale) {
            g.width == 16 ? fit_scale<Isa, 16>(g, codes, scale) : fit_scale<Isa, 32>(g, codes, scale);
          },
          [](const Groups& g, float highest, bool has_minimum, float* scale, float* offset) {
            g.width == 16 ? fit_scale_and_offset<Isa, 16>(g, highest, has_minimum, scale, offset)
                          : fit_scale_and_offset<Isa, 32>(g, highest, has_minimum, scale, offset);
          },
          [](const Groups& g, const LevelCodes& codes, float* scale) {
            g.width == 16 ? fit_level_scale<Isa, 16>(g, codes, scale) : fit_level_scale<Isa, 32>(g, codes, scale);
          },
          [](const Groups& g, const IntegerCodes& codes, const float* scale, const float* offset, std::uint8_t* nearest,
             float* error) {
            g.width == 16 ? integer_codes<Isa, 16>(g, codes, scale, offset, nearest, error)
                          : integer_codes<Isa, 32>(g, codes, scale, offset, nearest, error);
          },
          [](const Groups& g, const LevelCodes& codes, const float* scale, std::uint8_t* nearest, float* error) {
            g.width == 16 ? level_codes<Isa, 16>(g, codes, scale, nearest, error)
                          : level_codes<Isa, 32>(g, codes, scale, nearest, error);
          }};
}

}  // namespace carat::group_search_loops
