// The numbers of exp, tanh and gelu, shared by all tables so that they give the same bits. Plain constants only: files
// compiled with instruction-set flags include this.
//
// With n = round(v / ln 2) and r = v - n ln 2, |r| <= ln 2 / 2:
//     exp(v) = 2^n * (1 + q(r)),  q(r) = exp(r) - 1 = r + r^2 * P(r).
// P is the minimax polynomial of degree 4 for the error of exp(r): 0.07 * 2^-24 with these rounded coefficients.
#pragma once

namespace carat {

constexpr float kExpP0 = 0x1p-1F;
constexpr float kExpP1 = 0x1.55549p-3F;
constexpr float kExpP2 = 0x1.55546p-5F;
constexpr float kExpP3 = 0x1.123b02p-7F;
constexpr float kExpP4 = 0x1.6db376p-10F;

constexpr float kLog2E = 0x1.715476p+0F;
constexpr float kLn2High = 0x1.62e43p-1F;  // ln 2 = high + low to 48 bits
constexpr float kLn2Low = -0x1.05c61p-29F;

// Added to |x| < 2^21 it leaves round-half-even(x) in the lower bits of the sum.
constexpr float kRoundMagic = 0x1.8p23F;

// exp is 0 or infinity beyond these; clamped so that n stays in the range of the exponent halves.
constexpr float kExpLowest = -69.5F;
constexpr float kExpHighest = 89.0F;

// What is smaller counts as 0. A softmax would lose it in rounding; but multiplied with a value of f16, which is at
// least 2^-24, it would give numbers below 2^-126, which take processors a hundred times as long as others.
constexpr float kExpSmallest = 0x1p-100F;

// tanh(y) = -m / (2 + m) with m = exp(-2|y|) - 1, which is -1 in floats from here on.
constexpr float kTanhLowest = -40.0F;

// gelu(x) = x / (1 + 2^-w), w = x * (a + b x^2), a = 2 sqrt(2/pi) / ln 2, b = 0.044715 a; a and b as high + low, since
// an error of w is a relative error of the result. Beyond |x| = 11 the power is 0 or infinity.
constexpr float kGeluA = 0x1.26aec2p+1F;
constexpr float kGeluALow = 0x1.bce75ap-27F;
constexpr float kGeluB = 0x1.a5a7dp-4F;
constexpr float kGeluBLow = -0x1.151aaep-29F;
constexpr float kGeluBound = 11.0F;

// quantize_i8 takes blocks whose largest magnitude is below this for zeros: 127 / magnitude must stay finite.
constexpr float kQuantizeSmallest = 0x1p-100F;

}  // namespace carat
