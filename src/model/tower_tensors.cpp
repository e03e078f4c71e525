#include "model/tower_tensors.h"

#include <cmath>

#include "base/error.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

std::vector<float> decoded(const Tensor& tensor) {
  std::vector<float> values(tensor.values());
  dequantize_row(tensor.dtype, tensor.bytes, values);
  return values;
}

}  // namespace

const Tensor& TowerTensors::tensor(const std::string& name) const {
  const Tensor* tensor = checkpoint_.find(name);
  if (tensor == nullptr) {
    throw Error(ErrorKind::kBadFile, str(checkpoint_.path().string(), ": lacks tensor ", name,
                                         ". The file is incomplete or its metadata is wrong; download or convert it "
                                         "again."));
  }
  if (!can_dequantize(tensor->dtype)) {
    throw Error(ErrorKind::kUnsupported, str(checkpoint_.path().string(), ": tensor ", name, " has element type ",
                                             dtype_info(tensor->dtype).name, ", which is no weight type."));
  }
  return *tensor;
}

const Tensor& TowerTensors::tensor(const std::string& name, const std::vector<std::uint64_t>& shape) const {
  const Tensor& found = tensor(name);
  if (found.shape != shape) {
    throw Error(ErrorKind::kBadFile, str(checkpoint_.path().string(), ": tensor ", name, " has shape ",
                                         shape_text(found.shape), ", expected ", shape_text(shape),
                                         " by the model's metadata. Convert it again; `carat show --tensors` lists "
                                         "all."));
  }
  return found;
}

WeightMatrix TowerTensors::matrix(const std::string& name, std::uint64_t rows, std::uint64_t cols) const {
  const Tensor& found = tensor(name, {rows, cols});
  return {found.dtype, found.bytes.data(), rows, cols, row_bytes(found.dtype, cols).value_or(0)};
}

std::vector<float> TowerTensors::values(const std::string& name, const std::vector<std::uint64_t>& shape) const {
  return decoded(tensor(name, shape));
}

ClippedLinearWeights TowerTensors::clipped(const std::string& name, const std::string& weight_name, std::uint64_t rows,
                                           std::uint64_t cols) const {
  const ClipRange open;
  ClippedLinearWeights linear;
  linear.weight = matrix(weight_name, rows, cols);
  linear.input = {scalar_or(name + ".input_min", open.min), scalar_or(name + ".input_max", open.max)};
  linear.output = {scalar_or(name + ".output_min", open.min), scalar_or(name + ".output_max", open.max)};
  for (const ClipRange& range : {linear.input, linear.output}) {
    if (!(range.min <= range.max)) {
      throw Error(ErrorKind::kBadFile, str(checkpoint_.path().string(), ": the bounds of ", name, " are ", range.min,
                                           " to ", range.max, ", expected the first to be below the second."));
    }
  }
  return linear;
}

float TowerTensors::scalar_or(const std::string& name, float otherwise) const {
  if (!has(name)) return otherwise;
  const Tensor& found = tensor(name);
  if (found.values() != 1) {
    throw Error(ErrorKind::kBadFile, str(checkpoint_.path().string(), ": tensor ", name, " has shape ",
                                         shape_text(found.shape), ", expected a single value."));
  }
  return decoded(found)[0];
}

}  // namespace carat
