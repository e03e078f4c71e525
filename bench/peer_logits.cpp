// Logits of a GGUF model by llama.cpp, for bench/converted, which builds this against the peer of bench/compare.
//
//   peer_logits MODEL.gguf < ids > logits     ids: int32, logits: float32 [tokens, vocab], little-endian
#include <cstdio>
#include <vector>

#include "peer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<llama_token> ids(1 << 16);
  ids.resize(std::fread(ids.data(), sizeof(llama_token), ids.size(), stdin));
  const auto count = static_cast<std::int32_t>(ids.size());

  const PeerModel model = load_peer_model(argv[1]);
  if (!model) return 1;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(count);
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.n_threads = params.n_threads_batch = 2;
  const PeerContext context(llama_init_from_model(model.get(), params), llama_free);
  if (!context) return 1;
  llama_batch batch = llama_batch_init(count, 0, 1);
  batch.n_tokens = count;
  for (std::int32_t i = 0; i < count; ++i) {
    batch.token[i] = ids[static_cast<std::size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  const int failed = llama_decode(context.get(), batch);
  llama_batch_free(batch);
  if (failed != 0) return 1;
  const auto vocab = static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model.get())));
  for (std::int32_t i = 0; i < count; ++i) {
    std::fwrite(llama_get_logits_ith(context.get(), i), sizeof(float), vocab, stdout);
  }
  return 0;
}
