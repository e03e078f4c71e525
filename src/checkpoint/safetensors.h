// Safetensors: reads one .safetensors file, or a folder of shards with their index.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "checkpoint/checkpoint.h"

namespace carat {

class Safetensors final : public Checkpoint {
 public:
  // path: a .safetensors file, or a folder that holds model.safetensors or model.safetensors.index.json with its
  // shards. Shard names may not leave the folder. Throws Error: kNotFound, or kBadFile naming file, tensor, expected,
  // found.
  explicit Safetensors(const std::filesystem::path& path);

  const Tensor* find(std::string_view name) const override;
  const std::vector<Tensor>& tensors() const override { return tensors_; }
  const std::filesystem::path& path() const override { return path_; }

 private:
  std::filesystem::path path_;
  std::vector<MappedFile> files_;  // filled once: tensors point to its elements
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

}  // namespace carat
