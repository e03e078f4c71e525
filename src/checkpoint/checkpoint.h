// The interface to a model's tensors, whichever format lies below. gguf.h and safetensors.h implement it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace carat {

// Immutable after construction; its mappings live as long as it does, and so do the bytes of its tensors.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // The tensor of that name, or null.
  virtual const Tensor* find(std::string_view name) const = 0;
  // All tensors, in the file's order.
  virtual const std::vector<Tensor>& tensors() const = 0;
  // File or folder, to begin messages with.
  virtual const std::filesystem::path& path() const = 0;
};

}  // namespace carat
