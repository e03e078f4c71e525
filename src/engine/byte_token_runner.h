// For tests and benchmarks: models that have no tokenizer of their own, with one made of bytes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/byte_tokenizer.h"
#include "engine/step_runner.h"

namespace carat {

// Hands everything but the tokenizer on to a model's runner.
class ByteTokenRunner : public StepRunner {
 public:
  explicit ByteTokenRunner(std::unique_ptr<StepRunner> model)
      : model_(std::move(model)), tokenizer_(byte_tokenizer(model_->config().vocab)) {}

  const DecoderConfig& config() const override { return model_->config(); }
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  const ModelInfo& info() const override { return model_->info(); }
  bool is_intact() const override { return model_->is_intact(); }
  void forward(const Batch& batch, std::span<const TokenHistory> histories,
               const std::function<bool()>& should_stop) override {
    model_->forward(batch, histories, should_stop);
  }
  MatView<float> logits(std::size_t first, std::size_t rows) override { return model_->logits(first, rows); }
  MatView<const float> hidden(std::size_t first, std::size_t rows) override { return model_->hidden(first, rows); }
  bool can_guess() const override { return model_->can_guess(); }
  std::vector<std::int32_t> guess(KvCache& cache, std::size_t position, std::int32_t token,
                                  std::span<const float> state, std::size_t count) override {
    return model_->guess(cache, position, token, state, count);
  }
  SharedSoftTokens encode(const MediaPart& part, const std::string& where) override {
    return model_->encode(part, where);
  }
  MediaTokenIds media_tokens() const override { return model_->media_tokens(); }
  ThreadPool& pool() override { return model_->pool(); }

 private:
  std::unique_ptr<StepRunner> model_;
  Tokenizer tokenizer_;
};

}  // namespace carat
