// The codebooks of the IQ block types: lists of short vectors that blocks name by index. Data of the GGUF format.
#pragma once

#include <array>
#include <cstdint>

namespace carat {

// NOLINTBEGIN(readability-identifier-naming): IQ2_XS is what everybody calls it

// An entry of kCodebookIQ1_S and IQ2 packs eight values as 2-bit digits, one of IQ3 four values as 4-bit digits; the
// first value's digit is lowest. The digit says which of the type's levels the value is.
extern const std::array<std::uint16_t, 2048> kCodebookIQ1_S;  // IQ1_M too
extern const std::array<std::uint16_t, 256> kCodebookIQ2_XXS;
extern const std::array<std::uint16_t, 512> kCodebookIQ2_XS;
extern const std::array<std::uint16_t, 1024> kCodebookIQ2_S;
extern const std::array<std::uint16_t, 256> kCodebookIQ3_XXS;
extern const std::array<std::uint16_t, 512> kCodebookIQ3_S;

// Levels by digit. Digit 3 of a 2-bit entry does not occur.
inline constexpr std::array<float, 4> kLevelsIQ1{-1, 0, 1, 0};
inline constexpr std::array<float, 4> kLevelsIQ2{8, 25, 43, 0};
inline constexpr std::array<float, 8> kLevelsIQ3_XXS{4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<float, 8> kLevelsIQ3_S{1, 3, 5, 7, 9, 11, 13, 15};

// The levels that 4-bit codes stand for in IQ4_NL and IQ4_XS, and in MXFP4 and NVFP4 (FP4 E2M1, doubled).
inline constexpr std::array<float, 16> kLevelsIQ4{-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr std::array<float, 16> kLevelsFp4{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// NOLINTEND(readability-identifier-naming)

}  // namespace carat
