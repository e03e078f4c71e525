// Fills a KernelTable with the loops over a register vocabulary S (simd_*.h).
#pragma once

#include "kernels/loops_attention.h"
#include "kernels/loops_convert.h"
#include "kernels/loops_elementwise.h"
#include "kernels/loops_gemm.h"
#include "kernels/loops_unpack.h"

namespace carat::loops {

template <typename S, DType... kDTypes>
consteval void set_unpackers(KernelTable& table) {
  ((table.unpack_f32[static_cast<std::size_t>(kDTypes)] = unpack_f32<S, kDTypes>), ...);
  ((table.unpack_i8[static_cast<std::size_t>(kDTypes)] = unpack_i8<S, kDTypes>), ...);
}

// Everything but panel_gemm_i8, which each ISA has its own instructions for.
template <typename S>
consteval KernelTable make_table(const char* name, std::uint32_t needs) {
  KernelTable table{};
  table.name = name;
  table.needs = needs;
  table.panel_gemm_f32 = panel_gemm_f32<S>;
  table.quantize_i8 = quantize_i8<S>;
  table.rms_norm = rms_norm<S>;
  table.add = add<S>;
  table.mul = mul<S>;
  table.scale = scale<S>;
  table.clamp = clamp<S>;
  table.scale_add = scale_add<S>;
  table.gelu_mul = gelu_mul<S>;
  table.sigmoid_mul = sigmoid_mul<S>;
  table.soft_cap = soft_cap<S>;
  table.rope = rope<S>;
  table.max = max<S>;
  table.exp_shifted = exp_shifted<S>;
  table.to_f16 = to_f16<S>;
  table.to_bf16 = to_bf16<S>;
  set_cache_kernels<S, DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0>(table);
  table.unpack_f32[static_cast<std::size_t>(DType::kF32)] = unpack_plain<S, PlainF32<S>>;
  table.unpack_f32[static_cast<std::size_t>(DType::kF16)] = unpack_plain<S, PlainF16<S>>;
  table.unpack_f32[static_cast<std::size_t>(DType::kBF16)] = unpack_plain<S, PlainBF16<S>>;
  set_unpackers<S, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4>(table);
  return table;
}

}  // namespace carat::loops
