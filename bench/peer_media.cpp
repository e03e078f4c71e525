// bench_media's counterpart: llama.cpp's mtmd library on the same cases. bench/compare_media compiles it against the
// peer; carat's own build doesn't.
//   peer_media MODEL MMPROJ THREADS CASE...
#include <cstdlib>
#include <cstring>

#include "bench/media_cases.h"
#include "llama.h"
#include "mtmd.h"

namespace {

// From pixels or samples to embeddings: the library prepares them when it cuts the prompt into chunks.
std::size_t encode(mtmd_context* context, const mtmd_bitmap* medium) {
  const char* marker = mtmd_default_marker();
  const mtmd_input_text text{marker, std::strlen(marker), false, true};
  mtmd_input_chunks* chunks = mtmd_input_chunks_init();
  if (mtmd_tokenize(context, chunks, &text, &medium, 1) != 0) std::exit(3);
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < mtmd_input_chunks_size(chunks); ++i) {
    const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks, i);
    if (mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT) continue;
    tokens += mtmd_input_chunk_get_n_tokens(chunk);
    if (mtmd_encode_chunk(context, chunk) != 0) std::exit(4);
  }
  mtmd_input_chunks_free(chunks);
  return tokens;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  mtmd_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  mtmd_context_params params = mtmd_context_params_default();
  params.use_gpu = false;
  params.n_threads = std::atoi(argv[3]);
  params.print_timings = false;
  params.warmup = false;
  params.image_min_tokens = 70;
  params.image_max_tokens = 1120;
  mtmd_context* context = model == nullptr ? nullptr : mtmd_init_from_file(argv[2], model, params);
  if (context == nullptr) return 1;
  for (int i = 4; i < argc; ++i) {
    bench::Case c;
    if (!bench::parse_case(argv[i], c)) return 2;
    const std::vector<float> sound = bench::samples_of(c);
    const std::vector<std::uint8_t> pixels = bench::pixels_of(c);
    mtmd_bitmap* medium = c.seconds > 0 ? mtmd_bitmap_init_from_audio(sound.size(), sound.data())
                                        : mtmd_bitmap_init(c.width, c.height, pixels.data());
    bench::time_case(c, [&] { return encode(context, medium); });
    mtmd_bitmap_free(medium);
  }
}
