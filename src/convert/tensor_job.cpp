#include "convert/tensor_job.h"

#include <algorithm>

#include "base/file.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

constexpr std::uint64_t kBatchBytes = std::uint64_t{4} << 20;

// Rows [first, first + count) of the job's tensor, as the source has them.
void read_rows(const TensorJob& job, std::uint64_t row_bytes, std::uint64_t first, std::uint64_t count,
               std::vector<std::byte>& out) {
  out.resize(count * row_bytes);
  if (!job.source_row) {
    job.source->file->read_at(job.source->file_offset + first * row_bytes, out);
    return;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    job.source->file->read_at(job.source->file_offset + job.source_row(first + i) * row_bytes,
                              std::span(out).subspan(i * row_bytes, row_bytes));
  }
}

// The rows in the job's type, edited.
void encode_rows(const TensorJob& job, std::span<const std::byte> rows, std::vector<float>& values,
                 std::vector<std::byte>& out) {
  const Tensor& source = *job.source;
  values.resize(rows.size() / *row_bytes(source.dtype, source.cols()) * source.cols());
  dequantize_row(source.dtype, rows, values);
  if (job.edit) {
    for (std::size_t i = 0; i < values.size(); i += source.cols())
      job.edit(std::span(values).subspan(i, source.cols()));
  }
  out.resize(*row_bytes(job.dtype, values.size()));
  quantize_row(job.dtype, values, out);
}

}  // namespace

void write_tensors(GgufWriter& writer, std::span<const TensorJob> jobs, const Progress& progress) {
  std::uint64_t total = 0;
  for (const TensorJob& job : jobs) {
    writer.add_tensor(job.name, job.dtype, job.shape);
    total += tensor_bytes(job.dtype, job.shape).value_or(0);
  }
  std::uint64_t done = 0;
  std::vector<std::byte> rows;
  std::vector<std::byte> encoded;
  std::vector<float> values;
  const auto write = [&](std::span<const std::byte> bytes) {
    writer.write(bytes);
    done += bytes.size();
    if (progress) progress(done, total);
  };
  for (const TensorJob& job : jobs) {
    if (job.source == nullptr) {
      write(std::as_bytes(std::span(job.values)));
      continue;
    }
    const std::uint64_t bytes_per_row = *row_bytes(job.source->dtype, job.source->cols());
    const std::uint64_t batch = std::max<std::uint64_t>(1, kBatchBytes / bytes_per_row);
    for (std::uint64_t first = 0; first < job.source->rows(); first += batch) {
      read_rows(job, bytes_per_row, first, std::min(batch, job.source->rows() - first), rows);
      if (job.dtype == job.source->dtype && !job.edit) {
        write(rows);
      } else {
        encode_rows(job, rows, values, encoded);
        write(encoded);
      }
    }
  }
}

}  // namespace carat
