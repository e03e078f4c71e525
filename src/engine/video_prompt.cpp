#include "engine/video_prompt.h"

#include "base/error.h"

#include "media/resize_image.h"
#include "vision/image_encoder.h"
#include "vision/picture_size.h"

namespace carat {

FilmTokens encode_film(MediaStore& store, const Model& model, const Compute& compute,
                       std::span<const VideoFrame> frames) {
  const ImageEncoder& encoder = model.require_vision();
  FilmTokens film;
  for (const VideoFrame& frame : frames) {
    const ImageSize size = size_for_budget(frame.image.size, kFrameBudget, encoder.token_pixels());
    const RgbImage image = resize_bicubic(frame.image, size);
    // Known by its pixels: the file holds many frames.
    const std::string key = str("frame ", size.width, "x", size.height, "\n");
    film.frames.push_back(store.find_or_encode(key, std::as_bytes(std::span(image.pixels)), [&] {
      return encoder.encode(compute, image, MediaKind::kVideo, nullptr);
    }));
    film.timestamps.push_back(timestamp_text(frame.seconds));
  }
  return film;
}

MarkedText spell_out_films(const MarkedText& prompt, std::span<const std::vector<std::string>> films) {
  constexpr std::string_view kPlaceholder = "<|video|>";
  MarkedText out;
  std::size_t done = 0;  // everything before it is in out
  std::size_t next = 0;  // of films
  for (std::size_t at = 0; next < films.size(); at += kPlaceholder.size()) {
    at = prompt.view().find(kPlaceholder, at);
    if (at == std::string_view::npos) break;
    const MarkedText found = prompt.part(at, at + kPlaceholder.size());
    if (found.runs().size() != 1 || !found.is_trusted_at(0)) continue;  // somebody's words
    out.append(prompt, done, at);
    bool is_first = true;
    for (const std::string& time : films[next]) {
      out.append(str(is_first ? "" : " ", time, " ", kPlaceholder), true);
      is_first = false;
    }
    done = at + kPlaceholder.size();
    ++next;
  }
  out.append(prompt, done, prompt.size());
  return out;
}

}  // namespace carat
