#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/mapping_guard.h"
#include "decoder/decoder.h"
#include "decoder/drafter.h"
#include "engine/compute_context.h"
#include "engine/media_store.h"
#include "engine/step_runner.h"
#include "model/assistant.h"
#include "model/load_decoder.h"

namespace carat {

std::vector<std::int32_t> StepRunner::guess(KvCache& /*cache*/, std::size_t /*position*/, std::int32_t /*token*/,
                                            std::span<const float> /*state*/, std::size_t /*count*/) {
  return {};
}

namespace {

class ModelRunner final : public StepRunner {
 public:
  ModelRunner(std::shared_ptr<const Model> model, const ComputeOptions& options, std::size_t chunk,
              std::shared_ptr<const Assistant> assistant)
      : model_(std::move(model)),
        assistant_(std::move(assistant)),
        info_(info_of(*model_)),
        context_(options),
        media_(model_),
        decoder_(config(), model_->weights()),
        scratch_(config(), chunk) {
    if (assistant_ != nullptr) drafter_.emplace(assistant_->config(), assistant_->weights());
    const Checkpoint* drafts = assistant_ == nullptr ? nullptr : &assistant_->checkpoint();
    for (const Checkpoint* checkpoint : {&model_->checkpoint(), model_->projector(), drafts}) {
      if (checkpoint == nullptr) continue;
      for (const Tensor& tensor : checkpoint->tensors()) {
        if (tensor.file != nullptr) files_.emplace(tensor.file, tensor.bytes.data());
      }
    }
    if (model_->vision() != nullptr || model_->audio() != nullptr) media_context_.emplace(options);
  }

  const DecoderConfig& config() const override { return model_->config().decoder; }
  const Tokenizer& tokenizer() const override { return model_->tokenizer(); }
  const ModelInfo& info() const override { return info_; }
  bool is_intact() const override {
    return std::ranges::all_of(files_, [](const auto& file) {
      const auto& [opened, address] = file;
      return opened->is_unchanged() && !is_mapping_lost(address);
    });
  }

  void forward(const Batch& batch, std::span<const TokenHistory> /*histories*/,
               const std::function<bool()>& should_stop) override {
    if (!std::exchange(is_entered_, true)) enter_cached(model_->weights());
    hidden_ = decoder_.forward(context_.compute(), batch, scratch_, nullptr, should_stop);
    require_intact();
  }

  MatView<float> logits(std::size_t first, std::size_t rows) override {
    const std::size_t vocab = config().vocab;
    if (logits_.size() < rows * vocab) logits_ = AlignedBuffer<float>(rows * vocab, "logits");
    const MatView<float> out = logits_.mat(rows, vocab);
    decoder_.logits(context_.compute(), hidden_.row_range(first, rows), out);
    require_intact();
    return out;
  }

  MatView<const float> hidden(std::size_t first, std::size_t rows) override { return hidden_.row_range(first, rows); }

  bool can_guess() const override { return drafter_.has_value(); }
  std::vector<std::int32_t> guess(KvCache& cache, std::size_t position, std::int32_t token,
                                  std::span<const float> state, std::size_t count) override {
    return drafter_->propose(context_.compute(), {decoder_, cache, position, token, state}, count, nullptr);
  }

  SharedSoftTokens encode(const MediaPart& part, const std::string& where) override {
    const auto bytes = std::as_bytes(std::span(part.bytes));
    switch (part.kind) {
      case MediaKind::kImage: {
        model_->require_vision();
        ImageBudget budget = part.max_soft_tokens;
        if (budget) budget = std::clamp<std::size_t>(*budget, 1, kLargestPicture);
        const std::lock_guard lock(media_mutex_);
        SharedSoftTokens soft = media_.image(media_context_->media_compute(), bytes, budget, where);
        require_intact();
        return soft;
      }
      case MediaKind::kAudio: {
        model_->require_audio();
        const std::lock_guard lock(media_mutex_);
        SharedSoftTokens soft = media_.sound(media_context_->media_compute(), bytes, where);
        require_intact();
        return soft;
      }
      case MediaKind::kVideo:
        break;
    }
    throw Error(ErrorKind::kUnsupported,
                str(where, ": films are not taken here; send some of their frames as pictures."));
  }
  MediaTokenIds media_tokens() const override { return model_->media_tokens(); }

  ThreadPool& pool() override { return context_.compute().pool; }

 private:
  // What was computed from a file that changed meanwhile is not given out.
  void require_intact() const {
    if (!is_intact()) throw Error(ErrorKind::kBadFile, std::string(kChangedFile));
  }

  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Assistant> assistant_;     // null for none
  std::map<const File*, const std::byte*> files_;  // that weights are read from, each with an address in its mapping
  ModelInfo info_;
  ComputeContext context_;
  MediaStore media_;
  std::mutex media_mutex_;                       // guards media_context_
  std::optional<ComputeContext> media_context_;  // pictures are encoded while steps are computed
  Decoder decoder_;
  bool is_entered_ = false;  // the weights, into the page tables
  Scratch scratch_;
  std::optional<Drafter> drafter_;  // of assistant_
  AlignedBuffer<float> logits_;     // grown to the most rows asked for
  MatView<const float> hidden_{};   // of the last forward, in scratch_
};

}  // namespace

std::unique_ptr<StepRunner> make_model_runner(std::shared_ptr<const Model> model, const ComputeOptions& compute,
                                              std::size_t chunk, std::shared_ptr<const Assistant> assistant) {
  return std::make_unique<ModelRunner>(std::move(model), compute, chunk, std::move(assistant));
}

}  // namespace carat
