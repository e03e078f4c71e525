// MatView: rows of a matrix that somebody else owns.
#pragma once

#include <cassert>
#include <cstddef>
#include <span>
#include <type_traits>

namespace carat {

// [rows, cols], rows stride elements apart (stride >= cols). Never owns; not kept beyond the call it is passed to.
template <typename T>
class MatView {
 public:
  MatView() = default;
  MatView(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {
    assert(stride >= cols);
  }
  MatView(T* data, std::size_t rows, std::size_t cols) : MatView(data, rows, cols, cols) {}

  // A view to write through is also one to read through.
  template <typename U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
      MatView(const MatView<U>& other)  // NOLINT(google-explicit-constructor): as span does
      : MatView(other.data(), other.rows(), other.cols(), other.stride()) {}

  T* data() const { return data_; }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t stride() const { return stride_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }

  std::span<T> row(std::size_t i) const {
    assert(i < rows_);
    return {data_ + i * stride_, cols_};
  }
  // Rows first .. first + count.
  MatView row_range(std::size_t first, std::size_t count) const {
    assert(first + count <= rows_);
    return {data_ + first * stride_, count, cols_, stride_};
  }
  // Columns first .. first + count of every row.
  MatView col_range(std::size_t first, std::size_t count) const {
    assert(first + count <= cols_);
    return {data_ + first, rows_, count, stride_};
  }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace carat
