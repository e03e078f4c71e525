// Films by FFmpeg's libraries (avformat, avcodec, swscale; version 5.1).
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cmath>
#include <memory>

#include "media/memory_file.h"
#include "media/video_source.h"

namespace carat {
namespace {

// What people have; everything else FFmpeg knows, playlists and network protocols above all, stays shut.
constexpr const char* kContainers = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf";
constexpr const char* kCodecs =
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,mpeg1video,mpeg2video,mjpeg,theora,wmv1,wmv2,wmv3,vc1,flv,h263,prores,png";
constexpr int kIoBuffer = 1 << 16;
constexpr std::int64_t kProbeBytes = 8 << 20;
// A jump to a keyframe pays only beyond so many frames.
constexpr std::size_t kSeekFrames = 60;

struct FreeIo {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};
struct CloseInput {
  void operator()(AVFormatContext* input) const { avformat_close_input(&input); }
};
struct FreeCodec {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

// A frame of the film, as its packet announces it.
struct FrameEntry {
  std::int64_t pts = 0;
  bool is_key = false;
};

class Film {
 public:
  explicit Film(const VideoSource& source) : source_(source), memory_(source.file) {
    open_input();
    list_frames();
  }

  std::size_t frames() const { return entries_.size(); }
  double fps() const {
    const AVRational rate = stream().avg_frame_rate.num > 0 ? stream().avg_frame_rate : stream().r_frame_rate;
    const double fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : kUnknownFps;
    return std::isfinite(fps) && fps > 0 ? fps : kUnknownFps;
  }
  std::size_t width() const { return static_cast<std::size_t>(std::max(stream().codecpar->width, 0)); }
  std::size_t height() const { return static_cast<std::size_t>(std::max(stream().codecpar->height, 0)); }

  // The frames of these numbers, ascending. Those that can't be decoded are left out.
  std::vector<VideoFrame> decode(const std::vector<std::size_t>& numbers) {
    open_codec();
    seek(0);
    std::vector<VideoFrame> result;
    std::size_t next = 0;  // of numbers
    if (numbers[0] > kSeekFrames) seek(numbers[0]);
    while (next < numbers.size() && read_frame()) {
      const std::int64_t pts = frame_->best_effort_timestamp;
      // A frame that is missing is stood in for by the next one.
      while (next < numbers.size() && pts >= entries_[numbers[next]].pts) {
        result.push_back({static_cast<double>(numbers[next]) / fps(), image()});
        ++next;
      }
      if (next < numbers.size()) skip_towards(numbers[next], pts);
    }
    return result;
  }

 private:
  const AVStream& stream() const { return *input_->streams[stream_]; }

  void open_input() {
    io_.reset(avio_alloc_context(
        static_cast<unsigned char*>(av_malloc(kIoBuffer)), kIoBuffer, 0, &memory_,
        [](void* self, std::uint8_t* out, int size) {
          const std::int64_t n = static_cast<MemoryFile*>(self)->read(out, size);
          return n == 0 ? AVERROR_EOF : static_cast<int>(n);
        },
        nullptr,
        [](void* self, std::int64_t offset, int whence) {
          MemoryFile& file = *static_cast<MemoryFile*>(self);
          return (whence & AVSEEK_SIZE) != 0 ? file.size() : file.seek(offset, whence & ~AVSEEK_FORCE);
        }));
    AVFormatContext* input = avformat_alloc_context();
    if (io_ == nullptr || input == nullptr) throw Error(ErrorKind::kOutOfMemory, "no memory to open a film.");
    input->pb = io_.get();
    input->format_whitelist = av_strdup(kContainers);
    input->codec_whitelist = av_strdup(kCodecs);
    input->protocol_whitelist = av_strdup("");
    input->probesize = kProbeBytes;
    input->flags |= AVFMT_FLAG_CUSTOM_IO;
    if (avformat_open_input(&input, nullptr, nullptr, nullptr) < 0) {  // frees it where it fails
      throw source_.bad("is no film that carat reads (MP4, WebM, MKV, AVI, MPEG, OGG, or an animated GIF).");
    }
    input_.reset(input);
    if (avformat_find_stream_info(input, nullptr) < 0) throw source_.bad("damaged film.");
    stream_ = av_find_best_stream(input, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (stream_ < 0) throw source_.bad("has no pictures in it. Is it a sound? Then give it as one.");
    for (unsigned i = 0; i < input->nb_streams; ++i) {
      if (static_cast<int>(i) != stream_) input->streams[i]->discard = AVDISCARD_ALL;
    }
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (packet_ == nullptr || frame_ == nullptr) throw Error(ErrorKind::kOutOfMemory, "no memory to open a film.");
  }

  // Every frame's time, without decoding any: containers often lie about their number.
  void list_frames() {
    while (av_read_frame(input_.get(), packet_.get()) >= 0) {
      if (packet_->stream_index == stream_) {
        const std::int64_t pts = packet_->pts != AV_NOPTS_VALUE ? packet_->pts : packet_->dts;
        if (pts != AV_NOPTS_VALUE) entries_.push_back({pts, (packet_->flags & AV_PKT_FLAG_KEY) != 0});
      }
      av_packet_unref(packet_.get());
      if (entries_.size() > source_.limits.max_frames) break;
    }
    source_.check_frames(entries_.size());
    std::sort(entries_.begin(), entries_.end(), [](const FrameEntry& a, const FrameEntry& b) { return a.pts < b.pts; });
  }

  void open_codec() {
    const AVCodec* decoder = avcodec_find_decoder(stream().codecpar->codec_id);
    codec_.reset(decoder == nullptr ? nullptr : avcodec_alloc_context3(decoder));
    if (codec_ == nullptr || avcodec_parameters_to_context(codec_.get(), stream().codecpar) < 0) {
      throw source_.bad(str("its pictures are coded as ", avcodec_get_name(stream().codecpar->codec_id),
                            ", which this FFmpeg can't decode."));
    }
    // Not by frames: containers without presentation times (AVI) would have each frame take the time of a later packet.
    codec_->thread_type = FF_THREAD_SLICE;
    codec_->thread_count = 0;
    codec_->max_pixels = static_cast<std::int64_t>(source_.limits.max_pixels);
    codec_->codec_whitelist = av_strdup(kCodecs);
    if (avcodec_open2(codec_.get(), decoder, nullptr) < 0) throw source_.bad("its pictures can't be decoded.");
  }

  void seek(std::size_t number) {
    // Where it fails the film goes on from where it is.
    av_seek_frame(input_.get(), stream_, entries_[number].pts, AVSEEK_FLAG_BACKWARD);
    avcodec_flush_buffers(codec_.get());
    is_draining_ = false;
  }

  // Jumps where a keyframe lies between here and a frame far ahead.
  void skip_towards(std::size_t number, std::int64_t pts) {
    const auto here = std::upper_bound(entries_.begin(), entries_.end(), pts,
                                       [](std::int64_t t, const FrameEntry& entry) { return t < entry.pts; });
    const auto at = static_cast<std::size_t>(here - entries_.begin());
    if (number < at + kSeekFrames || number == sought_) return;  // once is enough: an index may mislead
    sought_ = number;
    for (std::size_t i = number; i > at + kSeekFrames / 2; --i) {
      if (!entries_[i].is_key) continue;
      seek(number);
      return;
    }
  }

  // The next frame into frame_. False at the end. Damaged packets are passed over.
  bool read_frame() {
    while (true) {
      const int got = avcodec_receive_frame(codec_.get(), frame_.get());
      if (got >= 0) return true;
      if (got == AVERROR_EOF || is_draining_) return false;
      if (av_read_frame(input_.get(), packet_.get()) < 0) {
        is_draining_ = true;
        avcodec_send_packet(codec_.get(), nullptr);
        continue;
      }
      if (packet_->stream_index == stream_) avcodec_send_packet(codec_.get(), packet_.get());
      av_packet_unref(packet_.get());
    }
  }

  // frame_ as RGB, upright.
  RgbImage image() {
    const auto w = static_cast<std::size_t>(std::max(frame_->width, 0));
    const auto h = static_cast<std::size_t>(std::max(frame_->height, 0));
    source_.check_size(w, h, 1);
    scaler_.reset(sws_getCachedContext(scaler_.release(), frame_->width, frame_->height,
                                       static_cast<AVPixelFormat>(frame_->format), frame_->width, frame_->height,
                                       AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr,
                                       nullptr, nullptr));
    if (scaler_ == nullptr) throw source_.bad("its pictures have a pixel format that can't be read.");
    const bool is_full_range = frame_->color_range == AVCOL_RANGE_JPEG;
    const int matrix = frame_->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_DEFAULT;
    const int* coefficients = sws_getCoefficients(matrix);
    sws_setColorspaceDetails(scaler_.get(), coefficients, is_full_range ? 1 : 0, coefficients, 1, 0, 1 << 16, 1 << 16);
    RgbImage rgb{{w, h}, std::vector<std::uint8_t>(w * h * 3)};
    std::uint8_t* rows[4] = {rgb.pixels.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {static_cast<int>(w * 3), 0, 0, 0};
    sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, frame_->height, rows, strides);
    return upright(std::move(rgb));
  }

  // Phones film sideways and say so.
  RgbImage upright(RgbImage rgb) const {
    const std::uint8_t* matrix = av_stream_get_side_data(&stream(), AV_PKT_DATA_DISPLAYMATRIX, nullptr);
    if (matrix == nullptr) return rgb;
    const double degrees = av_display_rotation_get(reinterpret_cast<const std::int32_t*>(matrix));
    if (std::isnan(degrees)) return rgb;
    const auto quarters = static_cast<int>(((std::lround(-degrees / 90) % 4) + 4) % 4);  // clockwise
    for (int i = 0; i < quarters; ++i) rgb = turned_right(rgb);
    return rgb;
  }
  static RgbImage turned_right(const RgbImage& from) {
    RgbImage to{{from.size.height, from.size.width}, std::vector<std::uint8_t>(from.pixels.size())};
    for (std::size_t y = 0; y < from.size.height; ++y) {
      for (std::size_t x = 0; x < from.size.width; ++x) {
        std::copy_n(from.row(y) + 3 * x, 3, to.row(x) + 3 * (from.size.height - 1 - y));
      }
    }
    return to;
  }

  const VideoSource& source_;
  MemoryFile memory_;
  std::unique_ptr<AVIOContext, FreeIo> io_;
  std::unique_ptr<AVFormatContext, CloseInput> input_;
  std::unique_ptr<AVCodecContext, FreeCodec> codec_;
  std::unique_ptr<AVPacket, FreePacket> packet_;
  std::unique_ptr<AVFrame, FreeFrame> frame_;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  int stream_ = -1;
  bool is_draining_ = false;
  std::size_t sought_ = 0;           // the frame that was jumped to last
  std::vector<FrameEntry> entries_;  // in the order they are shown
};

}  // namespace

bool has_video_containers() {
  return true;
}

std::vector<VideoFrame> sample_container(const VideoSource& source) {
  av_log_set_level(AV_LOG_QUIET);  // the library does not print
  Film film(source);
  const std::vector<std::size_t> numbers = sampled_frames(film.frames(), film.fps(), source.sampling);
  source.check_size(film.width(), film.height(), numbers.size());
  std::vector<VideoFrame> frames = film.decode(numbers);
  if (frames.empty()) throw source.bad("holds no frame that can be decoded.");
  return frames;
}

}  // namespace carat
