// NpyWriter: a float32 matrix in NumPy's .npy format, row by row.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace carat {

// The bytes before the values: format version 1.0, little-endian float32, [rows, cols] in C order, padded so that the
// values begin at a multiple of 64. Source: numpy/lib/format.py.
std::string npy_header(std::size_t rows, std::size_t cols);

// Throws Error(kBadInput) when the file can't be written.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, std::size_t rows, std::size_t cols);
  // The next row or rows: values.size() is a multiple of cols.
  void append(std::span<const float> values);
  // Checks that all rows came and reached the file.
  void finish();

 private:
  void check() const;

  std::filesystem::path path_;
  std::ofstream file_;
  std::size_t values_left_;
};

}  // namespace carat
