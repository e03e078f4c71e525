// Films in prompts: a frame is a picture of its own behind the time at which it is seen.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "chat/marked_text.h"
#include "engine/media_store.h"
#include "media/video.h"

namespace carat {

// Soft tokens a frame may take, as the reference sets it.
inline constexpr std::size_t kFrameBudget = 70;

// A film as the model sees it.
struct FilmTokens {
  std::vector<SharedSoftTokens> frames;
  std::vector<std::string> timestamps;  // "mm:ss", one for each frame
};

// Throws Error(kUnsupported) where the model can't see.
FilmTokens encode_film(MediaStore& store, const Model& model, const Compute& compute,
                       std::span<const VideoFrame> frames);

// The prompt with each placeholder <|video|> that the template wrote spelled out as the reference does: for each frame
// its time, a blank and a placeholder of its own, joined by blanks. (expand_placeholders then puts the marks of an
// image around the frames' tokens.) films: timestamps, film by film, in order; placeholders beyond them stay.
MarkedText spell_out_films(const MarkedText& prompt, std::span<const std::vector<std::string>> films);

}  // namespace carat
