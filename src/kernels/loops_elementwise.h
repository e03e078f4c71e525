// Loops over vectors of any length, written once over a register vocabulary S (simd_*.h).
#pragma once

#include "kernels/loops_math.h"
#include "kernels/simd_twice.h"

namespace carat::loops {

// out[i] = f(x[i]) and out[i] = f(x[i], y[i]), sixteen at a time; out may be x or y.
template <typename S, typename F>
[[gnu::always_inline]] inline void map(const float* x, std::size_t n, float* out, const F& f) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) S::store(out + i, f(S::load(x + i)));
  if (i < n) S::store_part(out + i, f(S::load_part(x + i, n - i, S::set1(0))), n - i);
}

template <typename S, typename F>
[[gnu::always_inline]] inline void map(const float* x, const float* y, std::size_t n, float* out, const F& f) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) S::store(out + i, f(S::load(x + i), S::load(y + i)));
  if (i < n) {
    const auto zero = S::set1(0);
    S::store_part(out + i, f(S::load_part(x + i, n - i, zero), S::load_part(y + i, n - i, zero)), n - i);
  }
}

template <typename S>
void add(const float* x, std::size_t n, float* y) {
  map<S>(x, y, n, y, [](typename S::F32 a, typename S::F32 b) { return S::add(b, a); });
}

template <typename S>
void mul(const float* x, std::size_t n, float* y) {
  map<S>(x, y, n, y, [](typename S::F32 a, typename S::F32 b) { return S::mul(b, a); });
}

template <typename S>
void scale(float factor, std::size_t n, float* x) {
  const auto f = S::set1(factor);
  map<S>(x, n, x, [f](typename S::F32 a) { return S::mul(a, f); });
}

template <typename S>
void clamp(float low, float high, const float* x, std::size_t n, float* out) {
  map<S>(x, n, out, [low, high](typename S::F32 a) { return clamp<S>(a, low, high); });
}

template <typename S>
void scale_add(float factor, const float* x, std::size_t n, float* y) {
  const auto f = S::set1(factor);
  map<S>(x, y, n, y, [f](typename S::F32 a, typename S::F32 b) { return S::fma(f, a, b); });
}

template <typename S>
void gelu_mul(const float* gate, const float* up, std::size_t n, float* out) {
  using T = Twice<S>;
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) T::store(out + i, T::mul(gelu<T>(T::load(gate + i)), T::load(up + i)));
  map<S>(gate + i, up + i, n - i, out + i, [](typename S::F32 a, typename S::F32 b) { return S::mul(gelu<S>(a), b); });
}

template <typename S>
void sigmoid_mul(const float* gate, const float* x, std::size_t n, float* out) {
  map<S>(gate, x, n, out,
         [](typename S::F32 g, typename S::F32 v) { return S::div(v, S::add(S::set1(1), exp<S>(negative<S>(g)))); });
}

template <typename S>
void soft_cap(float cap, std::size_t n, float* x) {
  const auto c = S::set1(cap);
  map<S>(x, n, x, [c](typename S::F32 a) { return S::mul(c, tanh<S>(S::div(a, c))); });
}

template <typename S>
void rms_norm(const float* x, const float* weight, float eps, std::size_t n, float* out) {
  auto squares = S::zero_f64();
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) squares = S::add_squares(squares, x + i);
  if (i < n) squares = S::add_squares_part(squares, x + i, n - i);
  double lanes[8];
  S::store_f64(lanes, squares);
  const double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  const double mean = sum / static_cast<double>(n);
  const auto factor = S::set1(static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(eps))));
  if (weight == nullptr) {
    map<S>(x, n, out, [factor](typename S::F32 a) { return S::mul(a, factor); });
  } else {
    map<S>(x, weight, n, out, [factor](typename S::F32 a, typename S::F32 w) { return S::mul(S::mul(a, factor), w); });
  }
}

template <typename S>
void rope(const float* cos, const float* sin, std::size_t pairs, std::size_t half, float* x) {
  for (std::size_t i = 0; i < pairs; i += 16) {
    const std::size_t n = pairs - i < 16 ? pairs - i : 16;
    const auto zero = S::set1(0);
    const auto load = [n, zero](const float* p) { return n == 16 ? S::load(p) : S::load_part(p, n, zero); };
    const auto store = [n](float* p, typename S::F32 v) { n == 16 ? S::store(p, v) : S::store_part(p, v, n); };
    const auto a = load(x + i);
    const auto b = load(x + half + i);
    const auto c = load(cos + i);
    const auto s = load(sin + i);
    store(x + i, S::fma(a, c, negative<S>(S::mul(b, s))));
    store(x + half + i, S::fma(b, c, S::mul(a, s)));
  }
}

template <typename S>
float max(const float* x, std::size_t n) {
  const auto lowest = S::set1(-__builtin_inff());
  auto largest = lowest;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) largest = S::max(S::load(x + i), largest);  // NaN gives the second one
  if (i < n) largest = S::max(S::load_part(x + i, n - i, lowest), largest);
  return S::fold_max(largest) + 0.0F;
}

template <typename S>
float exp_shifted(float shift, std::size_t n, float* x) {
  const auto subtract = S::set1(shift);
  auto sum = S::set1(0);
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const auto value = exp<S>(S::sub(S::load(x + i), subtract));
    S::store(x + i, value);
    sum = S::add(sum, value);
  }
  if (i < n) {
    const auto value = exp<S>(S::sub(S::load_part(x + i, n - i, subtract), subtract));
    S::store_part(x + i, value, n - i);
    sum = S::add(sum, S::keep_first(value, n - i));
  }
  return S::fold_add(sum);
}

}  // namespace carat::loops
