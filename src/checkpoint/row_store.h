// RowStore: rows of a tensor read from its file one by one, past the mapping, with a small cache of recent ones.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "tensor/row_source.h"
#include "tensor/tensor.h"

namespace carat {

// Gemma's per-layer embeddings take gigabytes, of which a token needs one row of a few kilobytes. The file is opened
// once more with random access advised, so that a row brings in its own pages and not a stretch of readahead.
class RowStore final : public RowSource {
 public:
  // table: a matrix of a file. Throws Error as File does, and Error(kBadFile) when the file has changed meanwhile.
  explicit RowStore(const Tensor& table);

  DType dtype() const override { return dtype_; }
  std::size_t rows() const override { return rows_; }
  std::size_t cols() const override { return cols_; }
  std::size_t row_bytes() const override { return row_bytes_; }

  void prefetch(std::span<const std::int32_t> rows) const override;
  void fetch(std::span<const std::int32_t> rows, std::span<std::byte> out) const override;

  // Bytes read from the file since the store was made; rows found in the cache don't count.
  std::uint64_t bytes_read() const override { return bytes_read_.load(); }
  std::uint64_t size_bytes() const { return static_cast<std::uint64_t>(rows_) * row_bytes_; }

 private:
  DType dtype_;
  std::size_t rows_;
  std::size_t cols_;
  std::size_t row_bytes_;
  File file_;
  std::uint64_t offset_;

  mutable std::atomic<std::uint64_t> bytes_read_{0};
  mutable std::mutex mutex_;                       // guards the two below
  mutable std::vector<std::int32_t> cached_rows_;  // row held by each slot, or -1; row r lies in slot r % slots
  mutable std::vector<std::byte> cache_;           // [slots, row_bytes]; empty until a row is fetched
};

}  // namespace carat
