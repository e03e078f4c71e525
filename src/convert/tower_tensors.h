// The tensors of the vision and audio towers: their names in a Hugging Face folder and in a GGUF projector file.
#pragma once

#include <optional>
#include <string_view>

#include "convert/tensor_job.h"

namespace carat {

// What becomes of a tensor of a tower: name, shape, order of values and type as llama.cpp's clip reads them; nullopt
// where the name is none of theirs. Norms, biases, bounds, convolutions and position tables become f32, matrices stay
// what they are. prefix: what the tower's names begin with in this folder ("model." or nothing).
std::optional<TensorJob> tower_tensor(const Tensor& tensor, std::string_view prefix);

}  // namespace carat
