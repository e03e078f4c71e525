// Binds a checkpoint's tensors to the decoder's weights.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "decoder/drafter.h"
#include "decoder/weights.h"
#include "model/config.h"
#include "model/names.h"

namespace carat {

// How a checkpoint names its tensors and writes its norms.
struct CheckpointStyle {
  NameStyle names = NameStyle::kGguf;
  std::string prefix;              // of Hugging Face names
  bool is_norm_minus_one = false;  // norm weights are stored less 1 (Gemma 3 in Hugging Face folders)
};

// Asks for every tensor the configuration calls for, with its shape. Matrices stay in the checkpoint's mapping;
// vectors are decoded. Throws Error(kBadFile) naming the tensor, expected and found shape, and Error(kUnsupported)
// for element types that can't be decoded.
DecoderWeights load_decoder(const Checkpoint& checkpoint, const CheckpointStyle& style, const DecoderConfig& config);

// Enters into the page tables what memory holds of the matrices (base/file.h), for right before they are first read: by
// then what loading took for a time is free again.
void enter_cached(const DecoderWeights& weights) noexcept;

// What stands before "embed_tokens.weight" in the names of a Hugging Face checkpoint's text tensors. Throws
// Error(kBadFile) where there is no such tensor.
std::string hugging_face_prefix(const Checkpoint& checkpoint);

// The same for a drafter.
DrafterWeights load_drafter(const Checkpoint& checkpoint, const CheckpointStyle& style, const DrafterConfig& config);

}  // namespace carat
