// How fast llama.cpp generates behind a long past, for bench/compare, which builds this against the peer.
//
//   peer_deep MODEL.gguf DEPTH TOKENS REPETITIONS THREADS     tokens a second, a line for each repetition
//
// llama-bench would compute the past, which takes a quarter of an hour for 32,768 tokens. Here a prompt of kPrompt
// tokens is computed, and its keys and values repeated in the peer's own saved state until they fill the depth. What is
// in them doesn't change what generation costs; test_gen of llama-bench does the same things in between.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "peer.h"

namespace {

constexpr std::int32_t kPrompt = 1536;  // more than any window of the family

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "peer_deep: %s\n", why);
  std::exit(1);
}

using Bytes = std::vector<std::uint8_t>;

// Reads a sequence's state field by field, and writes the one with the longer past.
struct Copier {
  const Bytes& in;
  Bytes out{};
  std::size_t at = 0;

  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, in.data() + at, sizeof(value));
    at += sizeof(value);
    return value;
  }
  template <typename T>
  void write(T value) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof(value));
  }
  template <typename T>
  T copy() {
    const T value = read<T>();
    write(value);
    return value;
  }
};

// The cache of one kind of layers: its cells become `depth`, or, where it holds a window only, move to the end.
void lengthen_cache(Copier& state, std::uint32_t depth, bool is_window) {
  state.copy<std::uint32_t>();  // streams: one
  const auto cells = state.read<std::uint32_t>();
  const std::uint32_t wanted = is_window ? cells : depth;
  state.write(wanted);
  state.at += cells * 3 * sizeof(std::int32_t);
  for (std::uint32_t i = 0; i < wanted; ++i) {
    state.write(static_cast<std::int32_t>(depth - wanted + i));  // position
    state.write(std::uint32_t{1});                               // sequences it belongs to
    state.write(std::int32_t{0});                                // which
  }
  if (state.copy<std::uint32_t>() != 0)
    std::exit(3);  // values are transposed, which only happens without flash attention
  const auto layers = state.copy<std::uint32_t>();
  for (std::uint32_t i = 0; i < 2 * layers; ++i) {  // keys of all layers, then values
    state.copy<std::int32_t>();                     // type
    const std::size_t bytes = cells * state.copy<std::uint64_t>();
    for (std::uint32_t cell = 0; cell < wanted; ++cell) {
      const std::uint8_t* row = state.in.data() + state.at + cell % cells * (bytes / cells);
      state.out.insert(state.out.end(), row, row + bytes / cells);
    }
    state.at += bytes;
  }
}

// The state of a prompt of kPrompt tokens as that of one of `depth` tokens.
Bytes lengthened(const Bytes& state, std::uint32_t depth) {
  Copier copier{state};
  copier.copy<std::uint32_t>();  // magic number
  copier.copy<std::int32_t>();   // sequence
  lengthen_cache(copier, depth, false);
  lengthen_cache(copier, depth, true);
  if (copier.at != state.size()) fail("its saved state has another form than expected");
  return copier.out;
}

bool decode(llama_context* context, const std::vector<llama_token>& tokens, llama_pos first) {
  llama_batch batch = llama_batch_init(static_cast<std::int32_t>(tokens.size()), 0, 1);
  for (const llama_token token : tokens) {
    const std::int32_t i = batch.n_tokens++;
    batch.token[i] = token;
    batch.pos[i] = first + i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = static_cast<std::size_t>(i) + 1 == tokens.size();
  }
  const int failed = llama_decode(context, batch);
  llama_synchronize(context);
  llama_batch_free(batch);
  return failed == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || std::atoi(argv[2]) < kPrompt) {
    std::fprintf(stderr, "usage: peer_deep MODEL.gguf DEPTH TOKENS REPETITIONS THREADS, with a depth of %d or more\n",
                 kPrompt);
    return 2;
  }
  const auto depth = static_cast<std::uint32_t>(std::atoi(argv[2]));
  const int count = std::atoi(argv[3]);
  const PeerModel model = load_peer_model(argv[1]);
  if (!model) return 1;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = depth + static_cast<std::uint32_t>(count);
  params.n_batch = kPrompt;
  params.swa_full = false;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.n_threads = params.n_threads_batch = std::atoi(argv[5]);
  const PeerContext context(llama_init_from_model(model.get(), params), llama_free);
  if (!context) return 1;

  const std::int32_t vocab = llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
  const auto random_token = [vocab] { return std::rand() % vocab; };
  std::vector<llama_token> prompt(kPrompt);
  for (llama_token& token : prompt) token = random_token();
  if (!decode(context.get(), prompt, 0)) return 1;
  Bytes state(llama_state_seq_get_size(context.get(), 0));
  if (llama_state_seq_get_data(context.get(), state.data(), state.size(), 0) != state.size()) return 1;
  state = lengthened(state, depth);

  for (int repetition = std::atoi(argv[4]); repetition > 0; --repetition) {
    if (llama_state_seq_set_data(context.get(), state.data(), state.size(), 0) != state.size()) return 1;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      if (!decode(context.get(), {random_token()}, static_cast<llama_pos>(depth) + i)) return 1;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%.4f\n", count / seconds.count());
  }
  return 0;
}
