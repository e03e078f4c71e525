// GroupSearch: for many groups of 16 or 32 values at once, the scale (and offset) whose codes stand for the values with
// the smallest weighted square error. The loops are written once (group_search_loops.h) over registers whose lanes are
// groups, and compiled for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace carat {

// values, weights: [count, width], width 16 or 32. A value's error counts times its weight, which is >= 0; without
// weights (nullptr), all count alike.
struct Groups {
  const float* values;
  const float* weights;
  std::size_t count;
  std::size_t width;
};

// value ~ scale * code + offset, codes being the integers from lowest to highest.
struct IntegerCodes {
  float lowest;
  float highest;
};

// value ~ scale * levels[code]: rising levels, of which unused ones at the end repeat the last one.
struct LevelCodes {
  float levels[16];
};

// Scales and offsets that are integers times a unit of each group: scale = unit * step, offset = -offset_unit * step.
struct Steps {
  const float* unit;         // [count]
  const float* offset_unit;  // [count]
  float lowest_scale;
  float highest_scale;
  float highest_offset;  // 0: there are no offsets
  // [count] each: in, where to begin; out, the best of these and of their neighbours.
  float* scale;
  float* offset;
};

// Results are the same to the last bit for every table.
struct GroupSearch {
  const char* name;
  std::uint32_t needs;  // bits of CpuFeature
  // scale [count], of either sign; the offset is 0. 0 for groups of zeros.
  void (*fit_scale)(const Groups& groups, const IntegerCodes& codes, float* scale);
  // scale [count] >= 0 and offset [count], which is at most 0 where has_minimum: there the offset is a minimum to be
  // taken away.
  void (*fit_scale_and_offset)(const Groups& groups, float highest, bool has_minimum, float* scale, float* offset);
  void (*fit_level_scale)(const Groups& groups, const LevelCodes& codes, float* scale);
  void (*fit_steps)(const Groups& groups, const IntegerCodes& codes, const Steps& steps);
  // The nearest codes for given scales and offsets, less `lowest`, [count, width]; and their weighted square errors
  // [count]. Either may be null.
  void (*integer_codes)(const Groups& groups, const IntegerCodes& codes, const float* scale, const float* offset,
                        std::uint8_t* nearest, float* error);
  void (*level_codes)(const Groups& groups, const LevelCodes& codes, const float* scale, std::uint8_t* nearest,
                      float* error);
};

// The best one that this processor can run.
const GroupSearch& group_search();

// All that were built, the one for every processor last: for tests.
extern const GroupSearch avx512_group_search;
extern const GroupSearch avx2_group_search;
extern const GroupSearch plain_group_search;

}  // namespace carat
