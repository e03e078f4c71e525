// The loops of GroupSearch, over a register type whose lanes are groups. Each instruction set's .cpp includes this with
// a type of its own, so that nothing inline is shared (see kernels/kernel_table.h).
//
// Isa::Vector: kLanes floats (the vector extension of GCC and Clang); Isa::Integers and Isa::Bytes: kLanes
// integers of 32 and 8 bits; Isa::kLanes; Isa::min and max, which are b where a or b is no number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "quantize/group_search.h"

namespace carat::group_search_loops {

// The square of kLanes rows turned: rows[i][j] becomes rows[j][i]. Pairs of rows `Step` apart swap the halves of what
// they hold, for Step = kLanes / 2, ..., 1.
template <class Isa, std::size_t Step, std::size_t... Lane>
void swap_halves(typename Isa::Vector* rows, std::index_sequence<Lane...>) {
  constexpr std::size_t kLanes = sizeof...(Lane);
  for (std::size_t i = 0; i < kLanes; ++i) {
    if ((i & Step) != 0) continue;
    const typename Isa::Vector a = rows[i];
    const typename Isa::Vector b = rows[i + Step];
    rows[i] = __builtin_shufflevector(a, b, ((Lane & Step) == 0 ? Lane : kLanes + Lane - Step)...);
    rows[i + Step] = __builtin_shufflevector(a, b, ((Lane & Step) == 0 ? Lane + Step : kLanes + Lane)...);
  }
  if constexpr (Step > 1) swap_halves<Isa, Step / 2>(rows, std::index_sequence<Lane...>());
}
template <class Isa>
void transpose(typename Isa::Vector* rows) {
  swap_halves<Isa, Isa::kLanes / 2>(rows, std::make_index_sequence<Isa::kLanes>());
}

// [kLanes, Width] -> columns[i][lane] = rows[lane * Width + i]; rows from `there` on are zeros.
template <class Isa, std::size_t Width>
void load_columns(const float* rows, std::size_t there, typename Isa::Vector* columns) {
  constexpr std::size_t kLanes = Isa::kLanes;
  for (std::size_t i = 0; i < Width; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (lane < there) {
        __builtin_memcpy(&columns[i + lane], rows + lane * Width + i, sizeof(columns[0]));
      } else {
        columns[i + lane] = typename Isa::Vector{};
      }
    }
    transpose<Isa>(columns + i);
  }
}

// kLanes groups with lanes apart: values[i] holds element i of every group. Weights that are all 1 are left out.
template <class Isa, std::size_t Width, bool IsWeighted>
struct Lanes {
  using Vector = typename Isa::Vector;
  Vector values[Width];
  Vector weights[IsWeighted ? Width : 1];
  static constexpr std::size_t kWidth = Width;

  // Groups [first, first + kLanes); those past the end are zeros.
  Lanes(const Groups& groups, std::size_t first) {
    load_columns<Isa, Width>(groups.values + first * Width, groups.count - first, values);
    if constexpr (IsWeighted) load_columns<Isa, Width>(groups.weights + first * Width, groups.count - first, weights);
  }
  Vector weighted(std::size_t i, Vector v) const {
    if constexpr (IsWeighted) return weights[i] * v;
    return v;
  }
};

template <class Isa>
typename Isa::Vector splat(float x) {
  return typename Isa::Vector{} + x;
}

// Adding it to a number of at most 22 bits leaves no room for a fraction: 1.5 * 2^23.
constexpr float kRounder = 12582912.0F;

// v within lowest .. highest and without its fraction; lowest for NaN.
template <class Isa>
typename Isa::Vector nearest_integer(typename Isa::Vector v, float lowest, float highest) {
  v = Isa::min(Isa::max(v, splat<Isa>(lowest)), splat<Isa>(highest));
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

template <class Isa, std::size_t Width, bool IsWeighted, class Body>
void for_each_lanes_of(const Groups& groups, const Body& body) {
  for (std::size_t first = 0; first < groups.count; first += Isa::kLanes) {
    body(Lanes<Isa, Width, IsWeighted>(groups, first), first);
  }
}
// body(lanes, number of the first group in them)
template <class Isa, class Body>
void for_each_lanes(const Groups& groups, const Body& body) {
  if (groups.width == 16) {
    groups.weights == nullptr ? for_each_lanes_of<Isa, 16, false>(groups, body)
                              : for_each_lanes_of<Isa, 16, true>(groups, body);
  } else {
    groups.weights == nullptr ? for_each_lanes_of<Isa, 32, false>(groups, body)
                              : for_each_lanes_of<Isa, 32, true>(groups, body);
  }
}

// The value farthest from zero, with its sign.
template <class Isa, class X>
typename Isa::Vector peak_of(const X& x) {
  typename Isa::Vector peak{};
  typename Isa::Vector size{};
  for (const typename Isa::Vector value : x.values) {
    const typename Isa::Vector magnitude = value < splat<Isa>(0.0F) ? -value : value;
    const auto is_larger = magnitude > size;
    size = is_larger ? magnitude : size;
    peak = is_larger ? value : peak;
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
template <class Isa, class X, class CodeOf>
void offer_codes(const X& x, typename Isa::Vector inverse_scale, CodeOf code_of, ScaleFit<Isa>& fit) {
  // Two sums each: an addition waits for the one before it.
  typename Isa::Vector qx[2]{};
  typename Isa::Vector qq[2]{};
  for (std::size_t i = 0; i < X::kWidth; ++i) {
    const typename Isa::Vector q = code_of(x.values[i] * inverse_scale);
    const typename Isa::Vector wq = x.weighted(i, q);
    qx[i % 2] += wq * x.values[i];
    qq[i % 2] += wq * q;
  }
  fit.offer(qx[0] + qx[1], qq[0] + qq[1]);
}

// Where the peak may go: around the end of the codes that reaches farther, and around the other end with the sign
// turned. A step is a share of the range, so that 8-bit codes are not tried a whole code apart.
struct Targets {
  float values[24];
  std::size_t count = 0;
  int refinements = 2;  // how often codes and scale improve each other afterwards

  void add_around(float end, float step, int below, int above) {
    for (int i = -below; i <= above; ++i) values[count++] = end * (1.0F + step * static_cast<float>(i));
  }
};

// Tries scales that put the peak at each of the targets, then lets codes and scale improve each other.
template <class Isa, class X, class CodeOf>
typename Isa::Vector best_scale(const X& x, const Targets& targets, CodeOf code_of) {
  ScaleFit<Isa> fit;
  const typename Isa::Vector inverse_peak = inverse<Isa>(peak_of<Isa>(x));
  for (std::size_t t = 0; t < targets.count; ++t) offer_codes(x, targets.values[t] * inverse_peak, code_of, fit);
  for (int i = 0; i < targets.refinements; ++i) offer_codes(x, inverse<Isa>(fit.scale), code_of, fit);
  return fit.scale;
}

template <class Isa>
void fit_scale(const Groups& groups, const IntegerCodes& codes, float* scale) {
  Targets targets;
  if (codes.highest > 31.0F) {  // 8 bits: little to be won, and that by where the rounding falls
    targets.add_around(codes.lowest, 0.0025F, 3, 1);
    targets.add_around(codes.highest, 0.0025F, 0, 0);
  } else if (codes.highest == 15.0F) {  // 5 bits: three times as many lower the error by 0.2 %
    targets.add_around(codes.lowest, 0.025F, 2, 1);
    targets.add_around(codes.highest, 0.025F, 1, 0);
    targets.refinements = 1;
  } else {
    const float step = codes.highest > 15.0F ? 0.012F : 0.035F;
    targets.add_around(codes.lowest, step, 5, 4);
    targets.add_around(codes.highest, step, 2, 3);
  }
  const auto code_of = [&](typename Isa::Vector v) { return nearest_integer<Isa>(v, codes.lowest, codes.highest); };
  for_each_lanes<Isa>(groups, [&](const auto& x, std::size_t first) {
    store<Isa>(best_scale<Isa>(x, targets, code_of), first, groups.count, scale);
  });
}

// ---- levels ---------------------------------------------------------------------------------------------------------

// The level nearest to v and its index: found by halving, in the thresholds between neighbours.
template <class Isa>
struct NearestLevel {
  const LevelCodes& codes;
  float thresholds[16];  // the last one is not used

  explicit NearestLevel(const LevelCodes& level_codes) : codes(level_codes) {
    for (std::size_t i = 0; i < 15; ++i) thresholds[i] = 0.5F * (codes.levels[i] + codes.levels[i + 1]);
    thresholds[15] = 0;
  }
  typename Isa::Integers index(typename Isa::Vector v) const {
    typename Isa::Integers index{};
    for (int step = 8; step > 0; step /= 2) {
      index +=
          v > Isa::look_up(thresholds, index + (step - 1)) ? typename Isa::Integers{} + step : typename Isa::Integers{};
    }
    return index;
  }
  typename Isa::Vector level(typename Isa::Vector v) const { return Isa::look_up(codes.levels, index(v)); }
};

template <class Isa>
void fit_level_scale(const Groups& groups, const LevelCodes& codes, float* scale) {
  Targets targets;  // twice as many lower the error by 0.5 %
  targets.add_around(codes.levels[0], 0.05F, 2, 2);
  targets.add_around(codes.levels[15], 0.0F, 0, 0);
  targets.refinements = 1;
  const NearestLevel<Isa> nearest(codes);
  const auto code_of = [&](typename Isa::Vector v) { return nearest.level(v); };
  for_each_lanes<Isa>(groups, [&](const auto& x, std::size_t first) {
    store<Isa>(best_scale<Isa>(x, targets, code_of), first, groups.count, scale);
  });
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

// above: the values less the offset.
template <class Isa, class X>
void offer_affine_codes(const X& x, const typename Isa::Vector* above, typename Isa::Vector inverse_scale,
                        float highest, const AffineSums<Isa>& sums, bool has_minimum, AffineFit<Isa>& fit) {
  // Two sums each: an addition waits for the one before it.
  typename Isa::Vector q_sum[2]{};
  typename Isa::Vector qq[2]{};
  typename Isa::Vector qx[2]{};
  for (std::size_t i = 0; i < X::kWidth; ++i) {
    const typename Isa::Vector q = nearest_integer<Isa>(above[i] * inverse_scale, 0.0F, highest);
    const typename Isa::Vector wq = x.weighted(i, q);
    q_sum[i % 2] += wq;
    qq[i % 2] += wq * q;
    qx[i % 2] += wq * x.values[i];
  }
  fit.offer(sums, q_sum[0] + q_sum[1], qq[0] + qq[1], qx[0] + qx[1], has_minimum);
}

template <class Isa, class X>
AffineFit<Isa> best_scale_and_offset(const X& x, float highest, bool has_minimum) {
  using Vector = typename Isa::Vector;
  // The scales tried cut the range into a little fewer and more steps than there are codes: the more codes, the less is
  // to be won. Blocks with a minimum are those of K-quants, whose scales and minima are rounded once more; of the
  // others, Q4_1 and Q5_1, trying half as many more lowers the error by 0.3 to 0.8 % only.
  const bool is_wide = highest > 15.0F;
  int candidates = is_wide ? 5 : 8;
  int refinements = 1;
  float spread = 1.2F;
  if (has_minimum) {
    candidates = is_wide ? 8 : 12;
    refinements = is_wide ? 2 : 3;
    spread = is_wide ? 1.6F : highest > 3.0F ? 1.2F : 0.9F;
  }
  Vector low = has_minimum ? splat<Isa>(0.0F) : x.values[0];
  Vector high = x.values[0];
  AffineSums<Isa> sums;
  for (std::size_t i = 0; i < X::kWidth; ++i) {
    low = Isa::min(x.values[i], low);
    high = Isa::max(x.values[i], high);
    sums.w += x.weighted(i, splat<Isa>(1.0F));
    sums.x += x.weighted(i, x.values[i]);
  }
  AffineFit<Isa> fit;
  fit.offset = low;  // for a group whose values are all the same
  const Vector inverse_range = inverse<Isa>(high - low);
  Vector above[X::kWidth];
  const auto measure_from = [&](Vector offset) {
    for (std::size_t i = 0; i < X::kWidth; ++i) above[i] = x.values[i] - offset;
  };
  measure_from(low);
  for (int c = 0; c < candidates; ++c) {
    const float share = 2.0F * static_cast<float>(c) / static_cast<float>(candidates - 1) - 1.0F;
    offer_affine_codes<Isa>(x, above, (highest + 0.3F * spread + spread * share) * inverse_range, highest, sums,
                            has_minimum, fit);
  }
  for (int i = 0; i < refinements; ++i) {
    measure_from(fit.offset);
    offer_affine_codes<Isa>(x, above, inverse<Isa>(fit.scale), highest, sums, has_minimum, fit);
  }
  return fit;
}

template <class Isa>
void fit_scale_and_offset(const Groups& groups, float highest, bool has_minimum, float* scale, float* offset) {
  for_each_lanes<Isa>(groups, [&](const auto& x, std::size_t first) {
    const AffineFit<Isa> fit = best_scale_and_offset<Isa>(x, highest, has_minimum);
    store<Isa>(fit.scale, first, groups.count, scale);
    store<Isa>(fit.offset, first, groups.count, offset);
  });
}

// ---- steps ----------------------------------------------------------------------------------------------------------

template <class Isa, class X>
typename Isa::Vector error_of(const X& x, typename Isa::Vector scale, typename Isa::Vector offset,
                              const IntegerCodes& codes) {
  using Vector = typename Isa::Vector;
  const Vector inverse_scale = inverse<Isa>(scale);
  Vector sum[2]{};
  for (std::size_t i = 0; i < X::kWidth; ++i) {
    const Vector value = x.values[i] - offset;
    const Vector difference = scale * nearest_integer<Isa>(value * inverse_scale, codes.lowest, codes.highest) - value;
    sum[i % 2] += x.weighted(i, difference * difference);
  }
  return sum[0] + sum[1];
}

template <class Isa>
void fit_steps(const Groups& groups, const IntegerCodes& codes, const Steps& steps) {
  using Vector = typename Isa::Vector;
  const auto clamped = [](Vector v, float lowest, float highest) {
    return Isa::min(Isa::max(v, splat<Isa>(lowest)), splat<Isa>(highest));
  };
  const int reach = steps.highest_offset == 0.0F ? 0 : 1;
  for_each_lanes<Isa>(groups, [&](const auto& x, std::size_t first) {
    const Vector unit = load<Isa>(steps.unit, first, groups.count);
    const Vector offset_unit = load<Isa>(steps.offset_unit, first, groups.count);
    const Vector begin = load<Isa>(steps.scale, first, groups.count);
    const Vector offset_begin = load<Isa>(steps.offset, first, groups.count);
    Vector best = begin;
    Vector best_offset = offset_begin;
    Vector least = splat<Isa>(3.0e38F);
    for (int s = -1; s <= 1; ++s) {
      for (int m = -reach; m <= reach; ++m) {
        const Vector scale = clamped(begin + static_cast<float>(s), steps.lowest_scale, steps.highest_scale);
        const Vector offset = clamped(offset_begin + static_cast<float>(m), 0.0F, steps.highest_offset);
        const Vector error = error_of<Isa>(x, unit * scale, -offset_unit * offset, codes);
        const auto is_better = error < least;
        best = is_better ? scale : best;
        best_offset = is_better ? offset : best_offset;
        least = is_better ? error : least;
      }
    }
    store<Isa>(best, first, groups.count, steps.scale);
    store<Isa>(best_offset, first, groups.count, steps.offset);
  });
}

// ---- codes ----------------------------------------------------------------------------------------------------------

// Numbers of codes, whole and from 0 on, with lanes apart -> bytes [groups, width], of the groups that are there.
template <class Isa, std::size_t Width>
void store_codes(typename Isa::Vector (&columns)[Width], std::size_t first, std::size_t count, std::uint8_t* nearest) {
  const std::size_t lanes = count - first < Isa::kLanes ? count - first : Isa::kLanes;
  for (std::size_t i = 0; i < Width; i += Isa::kLanes) {
    transpose<Isa>(columns + i);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      // The lowest bits of a number to which the rounder was added are the number.
      const auto bits = reinterpret_cast<typename Isa::Integers>(columns[i + lane] + kRounder);
      const auto bytes = __builtin_convertvector(bits, typename Isa::Bytes);
      __builtin_memcpy(nearest + (first + lane) * Width + i, &bytes, sizeof(bytes));
    }
  }
}

// code_of(v): the number of the code nearest to v; value_of(v): what that code stands for, in units of the scale.
template <class Isa, class CodeOf, class ValueOf>
void write_codes(const Groups& groups, const float* scale, const float* offset, CodeOf code_of, ValueOf value_of,
                 std::uint8_t* nearest, float* error) {
  using Vector = typename Isa::Vector;
  for_each_lanes<Isa>(groups, [&](const auto& x, std::size_t first) {
    constexpr std::size_t kWidth = std::decay_t<decltype(x)>::kWidth;
    const Vector s = load<Isa>(scale, first, groups.count);
    const Vector m = offset == nullptr ? Vector{} : load<Isa>(offset, first, groups.count);
    const Vector inverse_scale = inverse<Isa>(s);
    Vector codes[kWidth];
    Vector sum{};
    for (std::size_t i = 0; i < kWidth; ++i) {
      const Vector v = (x.values[i] - m) * inverse_scale;
      if (error != nullptr) {
        const Vector difference = s * value_of(v) + m - x.values[i];
        sum += x.weighted(i, difference * difference);
      }
      if (nearest != nullptr) codes[i] = code_of(v);
    }
    if (error != nullptr) store<Isa>(sum, first, groups.count, error);
    if (nearest != nullptr) store_codes<Isa>(codes, first, groups.count, nearest);
  });
}

template <class Isa>
void integer_codes(const Groups& groups, const IntegerCodes& codes, const float* scale, const float* offset,
                   std::uint8_t* nearest, float* error) {
  using Vector = typename Isa::Vector;
  const auto value_of = [&](Vector v) { return nearest_integer<Isa>(v, codes.lowest, codes.highest); };
  const auto code_of = [&](Vector v) { return value_of(v) - codes.lowest; };
  write_codes<Isa>(groups, scale, offset, code_of, value_of, nearest, error);
}

template <class Isa>
void level_codes(const Groups& groups, const LevelCodes& codes, const float* scale, std::uint8_t* nearest,
                 float* error) {
  using Vector = typename Isa::Vector;
  const NearestLevel<Isa> at(codes);
  const auto value_of = [&](Vector v) { return at.level(v); };
  const auto code_of = [&](Vector v) { return __builtin_convertvector(at.index(v), Vector); };
  write_codes<Isa>(groups, scale, nullptr, code_of, value_of, nearest, error);
}

// ---- the table ------------------------------------------------------------------------------------------------------

template <class Isa>
constexpr GroupSearch make_table(const char* name, std::uint32_t needs) {
  return {name,
          needs,
          fit_scale<Isa>,
          fit_scale_and_offset<Isa>,
          fit_level_scale<Isa>,
          fit_steps<Isa>,
          integer_codes<Isa>,
          level_codes<Isa>};
}

}  // namespace carat::group_search_loops
