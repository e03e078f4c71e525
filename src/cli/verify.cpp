// `carat verify`: whether a model's files are what they should be, and which component is off where they are not.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "chat/chat_template.h"
#include "checkpoint/gguf.h"
#include "cli/media_files.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/session.h"
#include "store/digest.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

struct VerifyFlags {
  std::string model;
  std::string mmproj{};
  bool is_json = false;
};

struct Check {
  std::string component;
  bool is_good = false;
  std::string what;
};

// The file's hash against the name that the cache's blob has; files from elsewhere have none.
Check check_hash(const fs::path& path, const Progress& progress) {
  const fs::path real = fs::canonical(path);
  const Digest expected = Digest::from_etag(real.filename().string());
  const std::string name = path.filename().string();
  if (expected.kind == DigestKind::kNone)
    return {"hash", true, name + ": not from a store, so there is none to compare"};
  const std::uint64_t total = fs::file_size(real);
  std::uint64_t done = 0;
  const std::string found =
      digest_file(real, expected.kind, [&](std::uint64_t bytes) { progress(done += bytes, total); });
  if (found == expected.hex) return {"hash", true, str(name, ": ", found.substr(0, 16), "...")};
  return {"hash", false, str(name, ": is ", found, ", expected ", expected.hex, ". `carat pull` fetches it again")};
}

std::vector<Check> check_hashes(const fs::path& model, const Progress& progress) {
  if (!fs::is_directory(model)) return {check_hash(model, progress)};
  std::vector<Check> checks;
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
    if (entry.is_regular_file()) checks.push_back(check_hash(entry.path(), progress));
  }
  return checks;
}

// The first tensor with a value that is infinite or no number.
Check check_tensors(const Checkpoint& checkpoint, const Progress& progress) {
  const std::vector<Tensor>& tensors = checkpoint.tensors();
  std::uint64_t total = 0;
  for (const Tensor& tensor : tensors) total += tensor.bytes.size();
  ThreadPool pool(ThreadPool::physical_cores());
  std::uint64_t done = 0;
  for (const Tensor& tensor : tensors) {
    if (!can_dequantize(tensor.dtype)) continue;
    constexpr std::uint64_t kChunkValues = std::uint64_t{1} << 18;
    const std::uint64_t rows = std::max<std::uint64_t>(1, kChunkValues / tensor.cols());
    const std::uint64_t row_size = row_bytes(tensor.dtype, tensor.cols()).value_or(0);
    std::atomic<bool> is_finite = true;
    pool.parallel_for((tensor.rows() + rows - 1) / rows, [&](std::size_t i, std::size_t) {
      const std::uint64_t first = i * rows;
      const std::uint64_t count = std::min(rows, tensor.rows() - first);
      std::vector<float> values(count * tensor.cols());
      dequantize_row(tensor.dtype, tensor.bytes.subspan(first * row_size, count * row_size), values);
      if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) is_finite = false;
    });
    if (!is_finite) {
      return {"tensors", false,
              str(printable(tensor.name), " has a value that is infinite or no number. Download the model again")};
    }
    progress(done += tensor.bytes.size(), total);
  }
  return {"tensors", true, str(tensors.size(), " tensors, all values finite")};
}

// Gemma's vocabularies, by what they make of a text in which every rule has a part: spaces, newlines, digits, bytes,
// other scripts, special tokens.
Check check_tokenizer(const Model& model) {
  constexpr std::size_t kGemmaTokens = 262'144;
  constexpr std::string_view kText = "Hello,  world!\n\n3.14 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\xa6\x95\t<eos>";
  if (!model.has_tokenizer()) return {"tokenizer", false, "there is none. Put tokenizer.json beside the model"};
  const Tokenizer& tokenizer = model.tokenizer();
  const auto ids = tokenizer.encode(kText, {.add_bos = false, .parse_special = false});
  if (tokenizer.decode(ids) != kText) {
    return {"tokenizer", false, "a text does not come back from its tokens. Download or convert the model again"};
  }
  const std::size_t size = tokenizer.vocab().size();
  if (size < model.config().decoder.vocab) {
    return {"tokenizer", false, str("has ", size, " tokens, the model ", model.config().decoder.vocab)};
  }
  return {"tokenizer", true,
          str(size, " tokens", size >= kGemmaTokens && size < kGemmaTokens + 1024 ? ", as Gemma's" : "")};
}

Check check_template(const Model& model) {
  const std::string_view text = model.chat_template();
  if (text.empty()) return {"template", true, "none: a base model, or carat's own will be used"};
  const std::string_view revision = template_revision(text);
  if (revision.empty() || revision == "unknown") return {"template", true, "of a revision that carat does not know"};
  return {"template", true, std::string(revision)};
}

Check check_towers(const Model& model) {
  const ModelConfig& config = model.config();
  const bool lacks_vision = config.has_vision && model.vision() == nullptr;
  const bool lacks_audio = config.has_audio && model.audio() == nullptr;
  if (lacks_vision || lacks_audio) {
    return {"towers", false,
            str("the configuration describes ", lacks_vision ? "a vision" : "an audio",
                " tower, but its tensors are not there")};
  }
  return {
      "towers", true,
      str("vision ", model.vision() != nullptr ? "yes" : "no", ", audio ", model.audio() != nullptr ? "yes" : "no")};
}

// Logits of a few tokens, by the best kernels and by the plain ones.
std::vector<float> few_logits(const std::shared_ptr<const Model>& model, std::string_view isa) {
  Session session(model, {.isa = isa, .activations = ActivationType::kF32}, {.context = 16, .kv_type = DType::kF32});
  const auto vocab = static_cast<std::int32_t>(model->config().decoder.vocab);
  const std::vector<std::int32_t> tokens{std::min(2, vocab - 1), vocab / 3, vocab / 5};
  const std::span<const float> logits = session.append(tokens);
  return {logits.begin(), logits.end()};
}

Check check_computation(const std::shared_ptr<const Model>& model) {
  const std::vector<float> fast = few_logits(model, {});
  if (!std::all_of(fast.begin(), fast.end(), [](float x) { return std::isfinite(x); })) {
    return {"computation", false,
            "logits are infinite or no numbers though the weights are finite: scales or norms are off"};
  }
  const auto [least, most] = std::minmax_element(fast.begin(), fast.end());
  if (*least == *most)
    return {"computation", false, "all tokens are alike: the output matrix or the last norm is empty"};
  const std::vector<float> plain = few_logits(model, "reference");
  float difference = 0;
  for (std::size_t i = 0; i < fast.size(); ++i) difference = std::max(difference, std::abs(fast[i] - plain[i]));
  // Both add the same products in the same order; only roundings within a product may differ.
  const float bound = 1e-3F * std::max(1.0F, *most - *least);
  if (difference > bound) {
    return {"kernels", false,
            str("this processor's differ from the plain ones by ", difference,
                "; run with --isa avx2 or "
                "--isa reference, and report it")};
  }
  return {"computation", true, "logits are finite; this processor's kernels agree with the plain ones"};
}

void run_verify(const VerifyFlags& flags) {
  std::vector<Check> checks;
  std::shared_ptr<const Model> model;
  {
    ProgressBar bar("Verifying", false);
    const Progress progress = bar.callback();
    checks = check_hashes(flags.model, progress);
    if (!flags.mmproj.empty()) checks.push_back(check_hash(flags.mmproj, progress));
    try {
      model = Model::load(flags.model, {.mmproj = flags.mmproj});
      checks.push_back(
          {"structure", true, str(model->config().architecture, ", all tensors there and of the right shape")});
      checks.push_back(check_tensors(model->checkpoint(), progress));
      if (!flags.mmproj.empty()) checks.push_back(check_tensors(Gguf(flags.mmproj), progress));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      checks.push_back({"structure", false, error.what()});
    }
  }
  if (model) {
    checks.push_back(check_tokenizer(*model));
    checks.push_back(check_template(*model));
    checks.push_back(check_towers(*model));
    const bool is_sound =
        std::all_of(checks.begin(), checks.end(), [](const Check& c) { return c.is_good || c.component != "tensors"; });
    if (is_sound) checks.push_back(check_computation(model));
  }
  std::string bad;
  json::array list;
  for (const Check& check : checks) {
    if (!flags.is_json) write_stdout(str(check.is_good ? "ok   " : "BAD  ", check.component, ": ", check.what, "\n"));
    list.push_back({{"component", check.component}, {"ok", check.is_good}, {"what", check.what}});
    if (!check.is_good) bad += str(bad.empty() ? "" : ", ", check.component);
  }
  if (flags.is_json)
    write_stdout(json::serialize(json::object{{"ok", bad.empty()}, {"checks", std::move(list)}}) + "\n");
  if (!bad.empty()) throw Error(ErrorKind::kBadFile, str(flags.model, ": not as it should be: ", bad, "."));
}

}  // namespace

void define_verify(Command root, Action& action) {
  auto flags = std::make_shared<VerifyFlags>();
  const Command verb = root.add_verb("verify", "Check a model's files and what it computes", "carat verify gemma4:e2b");
  add_model(verb, flags->model);
  add_mmproj(verb, flags->mmproj);
  verb.flag("--json", flags->is_json, "Print one JSON object");
  set_model_action(verb, action, flags, run_verify);
}

}  // namespace carat
