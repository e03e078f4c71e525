// MediaStore: media files -> soft tokens, each content computed once in a process.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/rgb_image.h"
#include "engine/media_span.h"
#include "media/image.h"
#include "model/model.h"
#include "nn/compute.h"

namespace carat {

// How many soft tokens a picture may take. Absent: the smallest budget at which it keeps its own resolution.
using ImageBudget = std::optional<std::size_t>;

// "70", "140", "280", "560", "1120" or "auto". Throws Error(kBadInput) for anything else.
ImageBudget parse_image_budget(std::string_view text);

// How much is heard of a sound that lasts longer than the 30 s that a model hears at once: all of it, up to
// kMaxPromptSeconds, in pieces cut at silences whose tokens stand one behind the other; or as much as the reference
// hears.
enum class SoundExtent { kWhole, kFirstThirtySeconds };
inline constexpr std::size_t kMaxPromptSeconds = 600;  // 15,000 soft tokens

// Keeps the soft tokens that were used last, with the bytes they came from: contents are the same only where all their
// bytes are, so that no other content can ever stand in for one. Any thread may ask; encoding is the caller's, with its
// Compute, which one thread at a time uses.
class MediaStore {
 public:
  static constexpr std::size_t kDefaultBytes = std::size_t{256} << 20;

  explicit MediaStore(std::shared_ptr<const Model> model, std::size_t max_bytes = kDefaultBytes)
      : model_(std::move(model)), max_bytes_(max_bytes) {}

  // The soft tokens of a picture, or of a frame of a film (kind kVideo). file: as decode_image takes it; where: begins
  // messages. Throws Error(kUnsupported) where the model can't see, and as decode_image.
  SharedSoftTokens image(const Compute& compute, std::span<const std::byte> file, ImageBudget budget,
                         const std::string& where, MediaKind kind = MediaKind::kImage);

  // The soft tokens of a sound. file: as decode_sound takes it. Throws as image(), and for a sound beyond the extent's
  // limit.
  SharedSoftTokens sound(const Compute& compute, std::span<const std::byte> file, const std::string& where,
                         SoundExtent extent = SoundExtent::kWhole);

  // The picture as the model gets it: decoded and resized. Not kept. Throws as image().
  RgbImage prepare_image(std::span<const std::byte> file, ImageBudget budget, const std::string& where) const;

  // What `encode` makes of these bytes, or the same from the last time. key: all that the result depends on besides the
  // bytes: the kind of medium and its options.
  template <typename Encode>
  SharedSoftTokens find_or_encode(std::string key, std::span<const std::byte> bytes, const Encode& encode) {
    key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (SharedSoftTokens found = find(key)) return found;
    auto soft = std::make_shared<const SoftTokens>(encode());
    keep(std::move(key), soft);
    return soft;
  }

 private:
  struct Entry {
    std::string key;
    SharedSoftTokens soft;
    std::size_t size_bytes() const { return key.size() + soft->count() * soft->hidden() * sizeof(float); }
  };

  SharedSoftTokens find(std::string_view key);
  void keep(std::string key, const SharedSoftTokens& soft);

  std::shared_ptr<const Model> model_;
  std::size_t max_bytes_;
  std::mutex mutex_;                                                        // guards all below
  std::list<Entry> entries_;                                                // the one used last first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  // keys are those of entries_
  std::size_t held_bytes_ = 0;
};

}  // namespace carat
