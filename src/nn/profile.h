// Profile: where the time of a forward pass goes, by kind of operation and kind of layer.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace carat {

enum class Operation {
  kEmbedding,
  kPerLayerInputs,  // rows of the per-layer embeddings and their projection
  kProjections,     // queries, keys and values, and attention's output
  kPositions,       // norms and rotation of queries and keys, and writing the cache
  kAttention,
  kMlp,
  kExperts,
  kPerLayerBlock,
  kLogits,
};
inline constexpr std::array<std::string_view, 9> kOperationNames{"embedding", "per-layer inputs", "projections",
                                                                 "positions", "attention",        "mlp",
                                                                 "experts",   "per-layer block",  "logits"};

enum class LayerKind { kOutside, kSliding, kGlobal };
inline constexpr std::array<std::string_view, 3> kLayerKindNames{"-", "sliding", "global"};

// Used by one thread at a time.
class Profile {
 public:
  void add(Operation operation, LayerKind layers, double seconds) { at(operation, layers) += seconds; }
  double seconds(Operation operation, LayerKind layers) const {
    return seconds_[static_cast<std::size_t>(operation)][static_cast<std::size_t>(layers)];
  }
  void clear() { seconds_ = {}; }

 private:
  double& at(Operation operation, LayerKind layers) {
    return seconds_[static_cast<std::size_t>(operation)][static_cast<std::size_t>(layers)];
  }

  std::array<std::array<double, kLayerKindNames.size()>, kOperationNames.size()> seconds_{};
};

// Adds the time from its construction to its end; without a profile it does nothing.
class Timed {
 public:
  Timed(Profile* profile, Operation operation, LayerKind layers)
      : profile_(profile), operation_(operation), layers_(layers) {
    if (profile_ != nullptr) start_ = std::chrono::steady_clock::now();
  }
  ~Timed() {
    if (profile_ == nullptr) return;
    profile_->add(operation_, layers_,
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Profile* profile_;
  Operation operation_;
  LayerKind layers_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace carat
