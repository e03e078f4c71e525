#include "media/resampler.h"

#include <soxr.h>

#include "base/error.h"

namespace carat {

struct Resampler::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { soxr_delete(soxr); }

  // samples: null at the end of the stream.
  void process(const float* samples, std::size_t count, std::vector<float>& out) const {
    constexpr std::size_t kBlock = 16'384;
    while (true) {
      const std::size_t had = out.size();
      out.resize(had + kBlock);
      std::size_t used = 0;
      std::size_t made = 0;
      const soxr_error_t error = soxr_process(soxr, samples, count, &used, out.data() + had, kBlock, &made);
      out.resize(had + (error == nullptr ? made : 0));
      if (error != nullptr) throw Error(ErrorKind::kInternal, str("the resampler failed: ", error));
      if (samples == nullptr) {
        if (made == 0) return;
      } else {
        samples += used;
        count -= used;
        if (count == 0 && made < kBlock) return;
      }
    }
  }

  soxr_t soxr = nullptr;
};

Resampler::Resampler(std::size_t from_rate, std::size_t to_rate) {
  if (from_rate == to_rate) return;
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  state_ = std::make_unique<State>();
  state_->soxr =
      soxr_create(static_cast<double>(from_rate), static_cast<double>(to_rate), 1, &error, &io, &quality, &runtime);
  if (error != nullptr || state_->soxr == nullptr) {
    throw Error(ErrorKind::kOutOfMemory, str("no resampler from ", from_rate, " to ", to_rate, " Hz could be made."));
  }
}

Resampler::~Resampler() = default;

void Resampler::push(std::span<const float> samples, std::vector<float>& out) {
  if (state_ == nullptr) {
    out.insert(out.end(), samples.begin(), samples.end());
  } else if (!samples.empty()) {
    state_->process(samples.data(), samples.size(), out);
  }
}

void Resampler::finish(std::vector<float>& out) {
  if (state_ != nullptr) state_->process(nullptr, 0, out);
}

}  // namespace carat
