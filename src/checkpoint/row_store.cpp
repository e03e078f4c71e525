#include "checkpoint/row_store.h"

#include <fcntl.h>

#include <algorithm>
#include <cassert>

#include "base/error.h"

namespace carat {
namespace {

// About 7 MB for E2B: the words a conversation keeps using.
constexpr std::size_t kSlots = 1024;

}  // namespace

RowStore::RowStore(const Tensor& table)
    : dtype_(table.dtype),
      rows_(table.rows()),
      cols_(table.cols()),
      row_bytes_(table.bytes.size() / table.rows()),
      file_(table.file->path()),
      offset_(table.file_offset),
      cached_rows_(kSlots, -1) {
  if (file_.size_bytes() != table.file->size_bytes() || !table.file->is_unchanged()) {
    throw Error(ErrorKind::kBadFile, str(file_.path().string(), ": changed while it was being opened. Try again."));
  }
  ::posix_fadvise(file_.descriptor(), 0, 0, POSIX_FADV_RANDOM);
}

void RowStore::prefetch(std::span<const std::int32_t> rows) const {
  for (const std::int32_t row : rows) {
    const std::uint64_t at = offset_ + static_cast<std::uint64_t>(row) * row_bytes_;
    ::posix_fadvise(file_.descriptor(), static_cast<off_t>(at), static_cast<off_t>(row_bytes_), POSIX_FADV_WILLNEED);
  }
}

void RowStore::fetch(std::span<const std::int32_t> rows, std::span<std::byte> out) const {
  assert(out.size() == rows.size() * row_bytes_);
  const std::lock_guard lock(mutex_);
  if (cache_.empty()) cache_.resize(kSlots * row_bytes_);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    assert(static_cast<std::size_t>(rows[i]) < rows_);
    const std::size_t slot = static_cast<std::size_t>(rows[i]) % kSlots;
    const std::span<std::byte> cached = std::span(cache_).subspan(slot * row_bytes_, row_bytes_);
    if (cached_rows_[slot] != rows[i]) {
      cached_rows_[slot] = -1;  // what a failed read leaves behind is no row
      file_.read_at(offset_ + static_cast<std::uint64_t>(rows[i]) * row_bytes_, cached);
      cached_rows_[slot] = rows[i];
      bytes_read_ += row_bytes_;
    }
    std::ranges::copy(cached, out.data() + i * row_bytes_);
  }
}

}  // namespace carat
