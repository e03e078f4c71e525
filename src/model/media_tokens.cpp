#include "model/media_tokens.h"

namespace carat {

MediaTokenIds find_media_tokens(const Vocab& vocab) {
  const auto id = [&](std::string_view piece) { return vocab.find(piece).value_or(-1); };
  return {.image = id("<|image|>"),
          .audio = id("<|audio|>"),
          .video = id("<|video|>"),
          .image_begin = id("<|image>"),
          .image_end = id("<image|>"),
          .audio_begin = id("<|audio>"),
          .audio_end = id("<audio|>")};
}

}  // namespace carat
