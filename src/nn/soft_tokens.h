// SoftTokens: what a picture, a frame of a video or a sound becomes in a prompt: rows that stand in for embeddings.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "base/buffer.h"
#include "base/view.h"

namespace carat {

enum class MediaKind { kImage, kAudio, kVideo };  // kVideo: one frame; its mask is a picture's, its placeholder its own

// "image", "audio", "video": as chat templates and messages to people call them.
constexpr std::string_view name(MediaKind kind) {
  switch (kind) {
    case MediaKind::kImage:
      return "image";
    case MediaKind::kAudio:
      return "audio";
    case MediaKind::kVideo:
      return "video";
  }
  return "";
}

// Immutable once a tower has made it; shared by whoever needs it.
class SoftTokens {
 public:
  SoftTokens(MediaKind kind, std::size_t count, std::size_t hidden)
      : kind_(kind), count_(count), hidden_(hidden), values_(count * hidden, "soft tokens") {}

  MediaKind kind() const { return kind_; }
  std::size_t count() const { return count_; }  // tokens, at least 1
  std::size_t hidden() const { return hidden_; }
  // [count, hidden], as the projector gives them: they enter the decoder as they are, without the factor sqrt(hidden)
  // of token embeddings.
  MatView<const float> rows() const { return values_.mat(count_, hidden_); }
  MatView<float> rows() { return values_.mat(count_, hidden_); }

 private:
  MediaKind kind_;
  std::size_t count_;
  std::size_t hidden_;
  AlignedBuffer<float> values_;
};

}  // namespace carat
