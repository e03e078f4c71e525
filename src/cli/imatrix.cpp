// `carat imatrix`: how large the activations are that each column of a model's matrices meets on a text.
#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/session.h"
#include "quantize/importance.h"

namespace carat {
namespace {

struct ImatrixFlags {
  std::string model;
  std::string text;
  std::string output;
  ComputeFlags compute{.context = 512};
  std::size_t chunks = 0;
};

// Sums up what goes through the matrices of a model's file.
class Collector {
 public:
  explicit Collector(const Checkpoint& checkpoint) {
    for (const Tensor& tensor : checkpoint.tensors()) {
      if (tensor.shape.size() > 1) tensors_.emplace(tensor.bytes.data(), &tensor);
    }
  }

  // The weights may be some rows of a tensor, or one expert's matrix.
  void see(const WeightMatrix& weight, MatView<const float> x) {
    const auto after = tensors_.upper_bound(weight.data);
    if (after == tensors_.begin()) return;
    const Tensor& tensor = *std::prev(after)->second;
    if (weight.data >= tensor.bytes.data() + tensor.bytes.size() || weight.cols != tensor.cols()) return;
    const std::uint64_t matrices = tensor.shape.size() > 2 ? tensor.rows() / tensor.shape[tensor.shape.size() - 2] : 1;
    const auto offset = static_cast<std::uint64_t>(weight.data - tensor.bytes.data());
    const std::uint64_t matrix = offset / (tensor.bytes.size() / matrices);
    Sums& sums = sums_[&tensor];
    sums.squares.resize(matrices * weight.cols);
    sums.counts.resize(matrices);
    double* squares = &sums.squares[matrix * weight.cols];
    for (std::size_t row = 0; row < x.rows(); ++row) {
      const std::span<const float> values = x.row(row);
      for (std::size_t i = 0; i < values.size(); ++i) squares[i] += double{values[i]} * double{values[i]};
    }
    sums.counts[matrix] += static_cast<double>(x.rows());
  }

  Importance take() const {
    Importance importance;
    for (const auto& [tensor, sums] : sums_) {
      ColumnSums& columns = importance[tensor->name];
      columns.squares.assign(sums.squares.begin(), sums.squares.end());
      columns.counts.assign(sums.counts.begin(), sums.counts.end());
    }
    return importance;
  }

 private:
  struct Sums {
    std::vector<double> squares, counts;
  };
  std::map<const std::byte*, const Tensor*> tensors_;  // by where their bytes begin
  std::unordered_map<const Tensor*, Sums> sums_;
};

void run_imatrix(const ImatrixFlags& flags) {
  const std::string text = read_input_file(flags.text);
  const auto model = Model::load(flags.model);
  if (dynamic_cast<const Gguf*>(&model->checkpoint()) == nullptr) {
    throw Error(ErrorKind::kBadInput, str(flags.model,
                                          ": is no GGUF file, whose tensors an importance matrix names. `carat "
                                          "convert` makes one."));
  }
  const Vocab& vocab = model->tokenizer().vocab();
  const std::vector<std::int32_t> ids = model->tokenizer().encode(text, {.add_bos = false, .parse_special = false});
  ComputeFlags compute = flags.compute;
  compute.activations = "f32";
  Session session(model, compute_options(compute), session_options(compute));
  const std::size_t step = session.context() - (vocab.bos() ? 1 : 0);
  std::size_t chunks = ids.size() / std::max<std::size_t>(step, 1);
  if (flags.chunks != 0) chunks = std::min(chunks, flags.chunks);
  if (step == 0 || chunks == 0) {
    throw Error(ErrorKind::kBadInput, str(flags.text, ": has ", ids.size(), " tokens, expected at least ", step,
                                          ", the length of a chunk (--ctx)."));
  }
  Collector collector(model->checkpoint());
  session.compute().matmul.set_observer(
      [&collector](const WeightMatrix& weight, MatView<const float> x) { collector.see(weight, x); });
  {
    ProgressBar bar("Measuring", false);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
      std::vector<std::int32_t> tokens;
      if (vocab.bos()) tokens.push_back(*vocab.bos());
      const auto first = ids.begin() + static_cast<std::ptrdiff_t>(chunk * step);
      tokens.insert(tokens.end(), first, first + static_cast<std::ptrdiff_t>(step));
      session.rewind(0);
      session.append_all_logits(tokens, [](std::size_t, MatView<const float>) {});
      bar.update((chunk + 1) * step, chunks * step);
    }
  }
  session.compute().matmul.set_observer({});
  collector.take().save(flags.output, flags.text, static_cast<std::uint32_t>(chunks),
                        static_cast<std::uint32_t>(session.context()));
}

}  // namespace

void define_imatrix(Command root, Action& action) {
  auto flags = std::make_shared<ImatrixFlags>();
  const Command verb = root.add_verb("imatrix", "Measure which columns of a model's matrices matter most",
                                     "carat imatrix model-bf16.gguf text.txt -o imatrix.gguf");
  add_model(verb, flags->model);
  verb.option("TEXT", flags->text, "A text file of the kind the model will work on; - for stdin")
      .required()
      .value("FILE");
  verb.option("-o,--output", flags->output, "The file to write, for `carat quantize --imatrix`")
      .required()
      .value("FILE");
  verb.option("--chunks", flags->chunks, "Read only so many chunks of --ctx tokens; 0: all").value("N");
  add_compute_flags(verb, flags->compute);
  set_model_action(verb, action, flags, run_imatrix);
}

}  // namespace carat
