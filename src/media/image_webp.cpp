// WebP by libwebp, lossy and lossless; of an animation the first frame.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "media/image_decoder.h"

namespace carat::media {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

int webp_orientation(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk) == 0) return 1;
  const int orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

}  // namespace

DecodedImage decode_webp(const ImageSource& source) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(source.data(), source.size(), &features) != VP8_STATUS_OK) {
    throw source.bad("damaged WebP (its header can't be read).");
  }
  // The result, the decoder's own copy of a lossless picture, and its planes.
  source.check_size(static_cast<std::uint64_t>(features.width), static_cast<std::uint64_t>(features.height), 10);

  const WebPData data{source.data(), source.size()};
  const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemux(&data));
  if (demuxer == nullptr) throw source.bad("damaged WebP (its parts can't be found).");
  if (WebPDemuxGetI(demuxer.get(), WEBP_FF_FRAME_COUNT) > source.limits.max_frames) {
    throw source.bad(str("the animation has more than ", source.limits.max_frames, " frames."));
  }
  DecodedImage image;
  image.size = {static_cast<std::size_t>(features.width), static_cast<std::size_t>(features.height)};
  image.channels = 4;
  image.orientation = webp_orientation(demuxer.get());
  image.pixels = make_pixels(source, image.size, image.channels);

  // A frame may cover a part of the canvas; the rest is transparent.
  WebPIterator frame;
  if (WebPDemuxGetFrame(demuxer.get(), 1, &frame) == 0) throw source.bad("damaged WebP (it holds no frame).");
  const auto x = static_cast<std::size_t>(std::max(frame.x_offset, 0));
  const auto y = static_cast<std::size_t>(std::max(frame.y_offset, 0));
  bool is_right = WebPGetFeatures(frame.fragment.bytes, frame.fragment.size, &features) == VP8_STATUS_OK &&
                  x + static_cast<std::size_t>(features.width) <= image.size.width &&
                  y + static_cast<std::size_t>(features.height) <= image.size.height;
  if (is_right) {
    const std::size_t stride = image.size.width * 4;
    const std::size_t at = y * stride + x * 4;
    is_right = WebPDecodeRGBAInto(frame.fragment.bytes, frame.fragment.size, image.pixels.data() + at,
                                  image.pixels.size() - at, static_cast<int>(stride)) != nullptr;
  }
  WebPDemuxReleaseIterator(&frame);
  if (!is_right) throw source.bad("damaged WebP (its first frame can't be decoded).");
  return image;
}

}  // namespace carat::media
