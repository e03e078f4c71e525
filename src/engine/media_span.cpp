#include "engine/media_span.h"

#include <string_view>

#include "base/error.h"

namespace carat {
namespace {

// The medium that belongs to the placeholder ids[i]. next: how many have found theirs before it.
const SharedSoftTokens& medium_for(std::span<const std::int32_t> ids, std::size_t i, MediaKind kind,
                                   std::span<const SharedSoftTokens> media, std::size_t next) {
  if (next == media.size()) {
    throw Error(ErrorKind::kBadInput,
                str("the prompt has a place for ", carat::name(kind), " at token ", i, " (id ", ids[i], "), but ",
                    media.empty() ? "no media were" : str("only ", media.size(), " were"), " given."));
  }
  if (media[next]->kind() != kind) {
    throw Error(ErrorKind::kBadInput, str("the prompt has a place for ", carat::name(kind), " at token ", i,
                                          ", but the medium given next is ", carat::name(media[next]->kind()), "."));
  }
  return media[next];
}

void require_all_placed(std::size_t placed, std::size_t given) {
  if (placed == given) return;
  throw Error(ErrorKind::kBadInput,
              str(given, " media are given, the prompt has places (placeholder ids) for ", placed, "."));
}

}  // namespace

std::vector<MediaSpan> fill_placeholders(std::span<const std::int32_t> ids, const MediaTokenIds& tokens,
                                         std::span<const SharedSoftTokens> media) {
  std::vector<MediaSpan> spans;
  std::size_t next = 0;  // of media
  for (std::size_t i = 0; i < ids.size();) {
    const auto kind = tokens.kind_of(ids[i]);
    if (!kind) {
      ++i;
      continue;
    }
    const SoftTokens& soft = *medium_for(ids, i, *kind, media, next);
    std::size_t run = 0;
    while (i + run < ids.size() && run < soft.count() && ids[i + run] == ids[i]) ++run;
    if (run < soft.count()) {
      throw Error(ErrorKind::kBadInput, str("the ", carat::name(*kind), " for token ", i, " has ", soft.count(),
                                            " soft tokens, the prompt has ", run, " places for it."));
    }
    spans.push_back({i, media[next++]});
    i += run;
  }
  require_all_placed(next, media.size());
  return spans;
}

MediaPrompt expand_placeholders(std::span<const std::int32_t> ids, const MediaTokenIds& tokens,
                                std::span<const SharedSoftTokens> media) {
  MediaPrompt prompt;
  std::size_t next = 0;  // of media
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto kind = tokens.kind_of(ids[i]);
    if (!kind) {
      prompt.ids.push_back(ids[i]);
      continue;
    }
    const SharedSoftTokens& soft = medium_for(ids, i, *kind, media, next++);
    const bool is_audio = *kind == MediaKind::kAudio;
    prompt.ids.push_back(is_audio ? tokens.audio_begin : tokens.image_begin);
    prompt.media.push_back({prompt.ids.size(), soft});
    prompt.ids.insert(prompt.ids.end(), soft->count(), ids[i]);
    prompt.ids.push_back(is_audio ? tokens.audio_end : tokens.image_end);
  }
  require_all_placed(next, media.size());
  return prompt;
}

}  // namespace carat
