// TowerTensors: tensors of an eye's or ear's weights by name, checked against what is expected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "kernels/weight_matrix.h"
#include "nn/clipped_linear.h"

namespace carat {

// All throw Error(kBadFile), naming file, tensor, expected and found, where a tensor lacks or has another shape, and
// Error(kUnsupported) for element types that can't be decoded.
class TowerTensors {
 public:
  explicit TowerTensors(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  bool has(const std::string& name) const { return checkpoint_.find(name) != nullptr; }
  // As it stands in the file.
  const Tensor& tensor(const std::string& name) const;
  const Tensor& tensor(const std::string& name, const std::vector<std::uint64_t>& shape) const;
  // A matrix in the file's mapping.
  WeightMatrix matrix(const std::string& name, std::uint64_t rows, std::uint64_t cols) const;
  // All values of a tensor, decoded.
  std::vector<float> values(const std::string& name, const std::vector<std::uint64_t>& shape) const;
  // A matrix between clamps: the weight under `weight_name`, the bounds under name + ".input_min" and so on. A bound
  // that the file doesn't have is none.
  ClippedLinearWeights clipped(const std::string& name, const std::string& weight_name, std::uint64_t rows,
                               std::uint64_t cols) const;

 private:
  // The only value of a tensor; otherwise where there is no such tensor.
  float scalar_or(const std::string& name, float otherwise) const;

  const Checkpoint& checkpoint_;
};

}  // namespace carat
