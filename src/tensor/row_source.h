// RowSource: rows of a table too large to hold in memory, fetched as they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace carat {

// Shared by threads.
class RowSource {
 public:
  virtual ~RowSource() = default;

  virtual DType dtype() const = 0;
  virtual std::size_t rows() const = 0;
  virtual std::size_t cols() const = 0;
  virtual std::size_t row_bytes() const = 0;

  // Tells that these rows will be fetched soon. Returns at once.
  virtual void prefetch(std::span<const std::int32_t> rows) const = 0;
  // Writes the rows' bytes one after another; out has rows.size() * row_bytes(). Every row is below rows().
  // Throws Error(kBadFile) where the table can't be read any more.
  virtual void fetch(std::span<const std::int32_t> rows, std::span<std::byte> out) const = 0;
  // Bytes that fetch has read from a file so far.
  virtual std::uint64_t bytes_read() const = 0;
};

}  // namespace carat
