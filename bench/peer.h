// What programs built against the peer begin with.
#pragma once

#include <llama.h>

#include <cstdio>
#include <memory>

using PeerModel = std::unique_ptr<llama_model, decltype(&llama_model_free)>;
using PeerContext = std::unique_ptr<llama_context, decltype(&llama_free)>;

// The peer's model on the processor, with its warnings on stderr; null where it can't be loaded.
inline PeerModel load_peer_model(const char* path) {
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level >= GGML_LOG_LEVEL_WARN) std::fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  return {llama_model_load_from_file(path, params), llama_model_free};
}
