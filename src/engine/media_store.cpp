#include "engine/media_store.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "audio/audio_encoder.h"
#include "audio/config.h"
#include "base/error.h"
#include "media/audio.h"
#include "media/resize_image.h"
#include "media/speech_pieces.h"
#include "vision/image_encoder.h"
#include "vision/picture_size.h"

namespace carat {

namespace {

// The rows of all, one behind the other. pieces is not empty.
SoftTokens joined(std::vector<SoftTokens> pieces) {
  if (pieces.size() == 1) return std::move(pieces.front());
  std::size_t count = 0;
  for (const SoftTokens& piece : pieces) count += piece.count();
  SoftTokens all(pieces.front().kind(), count, pieces.front().hidden());
  float* out = all.rows().data();
  for (const SoftTokens& piece : pieces) {
    out = std::copy_n(piece.rows().data(), piece.count() * piece.hidden(), out);
  }
  return all;
}

}  // namespace

ImageBudget parse_image_budget(std::string_view text) {
  if (text == "auto") return std::nullopt;
  for (const std::size_t budget : kImageBudgets) {
    if (text == std::to_string(budget)) return budget;
  }
  throw Error(ErrorKind::kBadInput,
              str("an image budget of \"", printable(text), "\", expected 70, 140, 280, 560, 1120 or auto."));
}

RgbImage MediaStore::prepare_image(std::span<const std::byte> file, ImageBudget budget,
                                   const std::string& where) const {
  const std::size_t token_pixels = model_->require_vision().token_pixels();
  const RgbImage image = decode_image(file, where);
  const std::size_t tokens = budget.value_or(budget_for(image.size, token_pixels));
  return resize_bicubic(image, size_for_budget(image.size, tokens, token_pixels));
}

SharedSoftTokens MediaStore::image(const Compute& compute, std::span<const std::byte> file, ImageBudget budget,
                                   const std::string& where, MediaKind kind) {
  const ImageEncoder& encoder = model_->require_vision();
  const std::string key =
      str(kind == MediaKind::kVideo ? "video " : "image ", budget ? std::to_string(*budget) : "auto", "\n");
  return find_or_encode(key, file,
                        [&] { return encoder.encode(compute, prepare_image(file, budget, where), kind, nullptr); });
}

SharedSoftTokens MediaStore::sound(const Compute& compute, std::span<const std::byte> file, const std::string& where,
                                   SoundExtent extent) {
  const AudioEncoder& encoder = model_->require_audio();
  if (extent == SoundExtent::kFirstThirtySeconds) {
    return find_or_encode("30 s of sound\n", file,
                          [&] { return encoder.encode(compute, decode_sound(file, where), nullptr); });
  }
  return find_or_encode("sound\n", file, [&] {
    const std::vector<float> samples = decode_sound(file, where, {.max_seconds = kMaxPromptSeconds});
    std::vector<SoftTokens> pieces;
    for (const SoundPiece& piece : cut_at_silences(samples, kMaxSoundSamples)) {
      pieces.push_back(
          encoder.encode(compute, std::span(samples).subspan(piece.begin, piece.end - piece.begin), nullptr));
    }
    return joined(std::move(pieces));
  });
}

SharedSoftTokens MediaStore::find(std::string_view key) {
  const std::scoped_lock lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->soft;
}

void MediaStore::keep(std::string key, const SharedSoftTokens& soft) {
  const std::scoped_lock lock(mutex_);
  if (index_.contains(key)) return;  // another thread was faster
  entries_.push_front({std::move(key), soft});
  index_.emplace(entries_.front().key, entries_.begin());
  held_bytes_ += entries_.front().size_bytes();
  while (held_bytes_ > max_bytes_ && entries_.size() > 1) {
    held_bytes_ -= entries_.back().size_bytes();
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace carat
