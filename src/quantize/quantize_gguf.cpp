#include "quantize/quantize_gguf.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/thread_pool.h"
#include "checkpoint/file_type.h"
#include "checkpoint/gguf_writer.h"
#include "quantize/encode_rows.h"
#include "quantize/importance.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

// Values that a worker takes at a time, with all that encoding needs about 2 MB, and values between two writes.
constexpr std::uint64_t kChunkValues = std::uint64_t{64} << 10;
constexpr std::uint64_t kBatchValues = std::uint64_t{8} << 20;

// One worker's buffers.
struct Worker {
  std::vector<std::byte> raw;
  std::vector<float> values;
  RowEncoder encoder;
};

// Looks at all of them, which registers do many at a time.
bool are_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7F80'0000;
  std::uint32_t is_any_infinite = 0;
  for (const float x : values) is_any_infinite |= (std::bit_cast<std::uint32_t>(x) & kExponent) == kExponent ? 1U : 0U;
  return is_any_infinite == 0;
}

class Quantizer {
 public:
  Quantizer(const QuantizeOptions& options, const Progress& progress)
      : options_(options),
        progress_(progress),
        input_(options.input),
        recipe_(options.recipe, layers(), options.rules, options.is_pure),
        pool_(options.threads == 0 ? ThreadPool::physical_cores() : options.threads),
        workers_(pool_.threads()) {
    if (!options.importance.empty()) importance_ = Importance::load(options.importance);
    std::error_code ignored;
    if (fs::equivalent(options.input, options.output, ignored)) {
      throw Error(ErrorKind::kBadInput, "input and output are the same file. Give the output another name.");
    }
  }

  std::vector<QuantizedTensor> run() {
    for (const Tensor& tensor : input_.tensors()) {
      const Recipe::Choice choice = recipe_.choose(tensor);
      if (choice.dtype != tensor.dtype && !can_dequantize(tensor.dtype)) {
        throw Error(ErrorKind::kUnsupported, str(options_.input.string(), ": tensor ", printable(tensor.name), " is ",
                                                 dtype_info(tensor.dtype).name, ", which is no weight type."));
      }
      report_.push_back({tensor.name, tensor.dtype, choice.dtype, choice.wanted, tensor.cols(), tensor.bytes.size(),
                         tensor_bytes(choice.dtype, tensor.shape).value_or(0)});
      total_ += tensor.bytes.size();
    }
    GgufWriter writer(options_.output);
    writer.add("general.file_type", gguf_file_type(recipe_.base()));
    writer.add("general.quantization_version", kGgufQuantizationVersion);
    writer.copy_keys(input_);
    for (std::size_t i = 0; i < report_.size(); ++i) {
      writer.add_tensor(report_[i].name, report_[i].to, input_.tensors()[i].shape);
    }
    for (std::size_t i = 0; i < report_.size(); ++i) write_tensor(writer, input_.tensors()[i], report_[i].to);
    write_pending(writer);
    writer.finish();
    return std::move(report_);
  }

 private:
  std::size_t layers() const {
    const std::string architecture(input_.string("general.architecture").value_or(""));
    const auto count = input_.integer(architecture + ".block_count").value_or(0);
    return static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, 100'000));
  }

  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_) progress_(done_, total_);
  }

  void write_pending(GgufWriter& writer) {
    if (!pending_.empty()) writer.write(pending_);
    pending_.clear();
  }

  void copy(GgufWriter& writer, const Tensor& tensor) {
    write_pending(writer);
    constexpr std::uint64_t kCopyBytes = std::uint64_t{4} << 20;
    std::vector<std::byte> bytes;
    for (std::uint64_t at = 0; at < tensor.bytes.size(); at += kCopyBytes) {
      bytes.resize(std::min<std::uint64_t>(kCopyBytes, tensor.bytes.size() - at));
      tensor.file->read_at(tensor.file_offset + at, bytes);
      writer.write(bytes);
      advance(bytes.size());
    }
  }

  void write_tensor(GgufWriter& writer, const Tensor& tensor, DType dtype) {
    if (dtype == tensor.dtype) return copy(writer, tensor);
    // An expert tensor is one matrix after another, each with an importance of its own.
    const std::uint64_t matrices = tensor.shape.size() > 2 ? tensor.rows() / tensor.shape[tensor.shape.size() - 2] : 1;
    const std::uint64_t rows = tensor.rows() / matrices;
    for (std::uint64_t m = 0; m < matrices; ++m) {
      const std::vector<float> importance = importance_.mean_squares(tensor.name, m, tensor.cols());
      const std::uint64_t batch = std::max<std::uint64_t>(1, kBatchValues / tensor.cols());
      for (std::uint64_t first = 0; first < rows; first += batch) {
        write_rows(writer, tensor, dtype, m * rows + first, std::min(batch, rows - first), importance);
      }
    }
  }

  void write_rows(GgufWriter& writer, const Tensor& tensor, DType dtype, std::uint64_t first, std::uint64_t count,
                  std::span<const float> importance) {
    const std::uint64_t cols = tensor.cols();
    const std::uint64_t bytes_in = *row_bytes(tensor.dtype, cols);
    const std::uint64_t bytes_out = *row_bytes(dtype, cols);
    const std::uint64_t chunk = std::max<std::uint64_t>(1, kChunkValues / cols);
    encoded_.resize(count * bytes_out);
    // One worker writes the batch before this one meanwhile.
    const std::uint64_t chunks = (count + chunk - 1) / chunk;
    pool_.parallel_for(1 + chunks, [&](std::size_t i, std::size_t worker_index) {
      if (i == 0) return guard([&] { write_pending(writer); });
      const std::uint64_t begin = (i - 1) * chunk;
      const std::uint64_t rows = std::min(chunk, count - begin);
      Worker& worker = workers_[worker_index];
      const auto out = std::span(encoded_).subspan(begin * bytes_out, rows * bytes_out);
      guard([&] { encode_rows(tensor, dtype, first + begin, rows, bytes_in, importance, worker, out); });
    });
    if (failure_) std::rethrow_exception(failure_);
    std::swap(encoded_, pending_);
    advance(count * bytes_in);
  }

  void encode_rows(const Tensor& tensor, DType dtype, std::uint64_t first, std::uint64_t rows, std::uint64_t bytes_in,
                   std::span<const float> importance, Worker& worker, std::span<std::byte> out) const {
    worker.raw.resize(rows * bytes_in);
    tensor.file->read_at(tensor.file_offset + first * bytes_in, worker.raw);
    worker.values.resize(rows * tensor.cols());
    dequantize_row(tensor.dtype, worker.raw, worker.values);
    if (!are_finite(worker.values)) {
      throw Error(ErrorKind::kBadFile, str(options_.input.string(), ": tensor ", printable(tensor.name),
                                           " has a value in rows ", first, " to ", first + rows - 1,
                                           " that is infinite or no number. Download or convert the model again."));
    }
    worker.encoder.encode(dtype, worker.values, tensor.cols(), importance, out);
  }

  // A loop's body must not throw: keeps the first failure.
  template <typename Body>
  void guard(const Body& body) {
    try {
      body();
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  const QuantizeOptions& options_;
  const Progress& progress_;
  Gguf input_;
  Recipe recipe_;
  Importance importance_;
  ThreadPool pool_;
  std::vector<Worker> workers_;
  std::vector<std::byte> encoded_;  // the batch at hand
  std::vector<std::byte> pending_;  // the one before, not written yet
  std::vector<QuantizedTensor> report_;
  std::uint64_t done_ = 0;  // bytes of the input
  std::uint64_t total_ = 0;
  std::mutex failure_mutex_;  // guards failure_
  std::exception_ptr failure_;
};

}  // namespace

std::vector<QuantizedTensor> quantize_gguf(const QuantizeOptions& options, const Progress& progress) {
  recipe_named(options.recipe);  // a name that is wrong shows before the file is read
  return Quantizer(options, progress).run();
}

}  // namespace carat
