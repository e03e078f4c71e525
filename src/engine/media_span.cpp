#include "engine/media_span.h"

#include <string_view>

#include "base/error.h"

namespace carat {
namespace {

std::string_view name_of(MediaKind kind) {
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
    if (next == media.size()) {
      throw Error(ErrorKind::kBadInput,
                  str("the prompt has a place for ", name_of(*kind), " at token ", i, " (id ", ids[i], "), but ",
                      media.empty() ? "no media were" : str("only ", media.size(), " were"), " given."));
    }
    const SoftTokens& soft = *media[next];
    if (soft.kind() != *kind) {
      throw Error(ErrorKind::kBadInput, str("the prompt has a place for ", name_of(*kind), " at token ", i,
                                            ", but the medium given next is ", name_of(soft.kind()), "."));
    }
    std::size_t run = 0;
    while (i + run < ids.size() && run < soft.count() && ids[i + run] == ids[i]) ++run;
    if (run < soft.count()) {
      throw Error(ErrorKind::kBadInput, str("the ", name_of(*kind), " for token ", i, " has ", soft.count(),
                                            " soft tokens, the prompt has ", run, " places for it."));
    }
    spans.push_back({i, media[next++]});
    i += run;
  }
  if (next != media.size()) {
    throw Error(ErrorKind::kBadInput,
                str(media.size(), " media are given, the prompt has places (placeholder ids) for ", next, "."));
  }
  return spans;
}

}  // namespace carat
