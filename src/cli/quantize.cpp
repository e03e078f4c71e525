// `carat quantize`: a GGUF model's matrices in fewer bits.
#include <algorithm>
#include <iomanip>
#include <map>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "quantize/quantize_gguf.h"

namespace carat {
namespace {

struct QuantizeFlags {
  QuantizeOptions options{};
  std::string input;
  std::string output;
  std::string importance{};
  std::vector<std::string> rules{};
  bool is_json = false;
};

// What tensors of a type have in common, for a summary.
struct Total {
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;
};

std::string summary_text(const std::vector<QuantizedTensor>& tensors) {
  std::map<std::string_view, Total> types;
  std::map<std::string, std::size_t> fallbacks;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  for (const QuantizedTensor& tensor : tensors) {
    Total& total = types[dtype_info(tensor.to).name];
    ++total.tensors;
    total.bytes += tensor.bytes_after;
    before += tensor.bytes_before;
    after += tensor.bytes_after;
    if (tensor.to != tensor.wanted) {
      ++fallbacks[str("rows of ", tensor.cols, " values are no whole number of ", dtype_info(tensor.wanted).name,
                      " blocks: ", dtype_info(tensor.to).name, " instead")];
    }
  }
  std::ostringstream out;
  out << bytes_text(before) << " became " << bytes_text(after) << '\n';
  for (const auto& [name, total] : types) {
    out << "  " << std::left << std::setw(8) << name << std::right << std::setw(6) << total.tensors << " tensors  "
        << bytes_text(total.bytes) << '\n';
  }
  for (const auto& [what, count] : fallbacks) out << "  " << count << " tensors: " << what << '\n';
  return out.str();
}

json::object summary_json(const std::vector<QuantizedTensor>& tensors) {
  json::array list;
  for (const QuantizedTensor& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"from", dtype_info(tensor.from).name},
                    {"to", dtype_info(tensor.to).name},
                    {"wanted", dtype_info(tensor.wanted).name},
                    {"bytes", tensor.bytes_after}});
  }
  return {{"tensors", std::move(list)}};
}

void run_quantize(const QuantizeFlags& flags) {
  QuantizeOptions options = flags.options;
  options.input = flags.input;
  options.output = flags.output;
  options.importance = flags.importance;
  for (const std::string& rule : flags.rules) options.rules.push_back(parse_rule(rule));
  std::vector<QuantizedTensor> tensors;
  {
    ProgressBar bar("Quantising", flags.is_json);
    tensors = quantize_gguf(options, bar.callback());
  }
  if (flags.is_json) {
    write_stdout(json::serialize(summary_json(tensors)) + "\n");
  } else {
    write_stderr(summary_text(tensors));
  }
}

}  // namespace

void define_quantize(Command root, Action& action) {
  auto flags = std::make_shared<QuantizeFlags>();
  const Command verb = root.add_verb("quantize", "Store a model's matrices in fewer bits",
                                     "carat quantize model-bf16.gguf model-q4_k_m.gguf --type q4_k_m --rule ple=q4_0");
  verb.option("IN", flags->input, "A GGUF file").required().value("FILE");
  verb.option("OUT", flags->output, "The file to write").required().value("FILE");
  verb.option("--type", flags->options.recipe, str("One of ", recipe_names())).required().value("TYPE");
  verb.option("--rule", flags->rules,
              str("Another type for some tensors: PART=TYPE, where PART is one of ", part_names(),
                  ", or a name with * in it; keep instead of a TYPE leaves them as they are"))
      .value("RULE")
      .once_each();
  verb.option("--imatrix", flags->importance, "Weigh errors by this file of `carat imatrix`").value("FILE");
  verb.flag("--pure", flags->options.is_pure, "The same type for every matrix, embeddings included");
  verb.option("-t,--threads", flags->options.threads, "Threads (default: one for each physical core)")
      .range(1, kMaxThreads)
      .value("N");
  verb.flag("--json", flags->is_json, "Print progress, and at the end all tensors, as JSON");
  set_action(verb, action, flags, run_quantize);
}

}  // namespace carat
