// The 8-bit panels of all types as compile-time constants, for panel_format() and for the unpackers of every table.
#pragma once

#include "kernels/kernel_table.h"

namespace carat {

struct PanelFormats {
  PanelFormat of[kDTypeCount];
};

// Source of zero points and groups: the block definitions of GGUF (tensor/quantize.h).
consteval PanelFormats make_panel_formats() {
  PanelFormats formats{};
  const auto set = [&formats](DType dtype, const PanelFormat& format) {
    formats.of[static_cast<std::size_t>(dtype)] = format;
  };
  set(DType::kQ4_0, {.max_code = 15, .zero = 8, .group = 32});
  set(DType::kQ4_1, {.max_code = 15, .group = 32, .has_minimum = true});
  set(DType::kQ5_0, {.max_code = 31, .zero = 16, .group = 32});
  set(DType::kQ5_1, {.max_code = 31, .group = 32, .has_minimum = true});
  set(DType::kQ8_0, {.max_code = 255, .zero = 128, .group = 32});
  set(DType::kQ2_K, {.max_code = 3, .group = 16, .has_minimum = true});
  set(DType::kQ3_K, {.max_code = 7, .zero = 4, .group = 16});
  set(DType::kQ4_K, {.max_code = 15, .group = 32, .has_minimum = true});
  set(DType::kQ5_K, {.max_code = 31, .group = 32, .has_minimum = true});
  set(DType::kQ6_K, {.max_code = 63, .zero = 32, .group = 16});
  set(DType::kIQ4_NL, {.max_code = 241, .zero = 128, .group = 32});  // codes: the table's -127 .. 113, plus 128
  set(DType::kIQ4_XS, {.max_code = 241, .zero = 128, .group = 32});
  set(DType::kMXFP4, {.max_code = 24, .zero = 12, .group = 32});  // codes: -6 .. 6 in halves, plus 12
  return formats;
}

constexpr PanelFormats kPanelFormats = make_panel_formats();

}  // namespace carat
