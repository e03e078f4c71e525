// MediaSpan: where in a prompt's ids soft tokens stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "nn/soft_tokens.h"

namespace carat {

using SharedSoftTokens = std::shared_ptr<const SoftTokens>;

// ids[first .. first + soft->count()) are placeholders; what they say doesn't matter, the soft tokens take their rows.
struct MediaSpan {
  std::size_t first = 0;
  SharedSoftTokens soft;

  std::size_t end() const { return first + soft->count(); }
};

// Gives each medium the next run of its placeholders in ids: as many as it has soft tokens, in one piece, in order.
// Throws Error(kBadInput) where a medium finds no place, a run is shorter than the medium, or placeholders are left
// over.
std::vector<MediaSpan> fill_placeholders(std::span<const std::int32_t> ids, const MediaTokenIds& tokens,
                                         std::span<const SharedSoftTokens> media);

// A prompt with its media in place.
struct MediaPrompt {
  std::vector<std::int32_t> ids;
  std::vector<MediaSpan> media;
};

// Makes room: each placeholder that stands for a whole medium, as a template writes it, becomes begin + one placeholder
// for each soft token + end. Throws Error(kBadInput) where placeholders and media don't match, one for one, in order.
MediaPrompt expand_placeholders(std::span<const std::int32_t> ids, const MediaTokenIds& tokens,
                                std::span<const SharedSoftTokens> media);

}  // namespace carat
