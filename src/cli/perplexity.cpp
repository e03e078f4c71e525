// `carat perplexity`: how well a model predicts a text.
#include <cmath>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "cli/options.h"
#include "cli/stopwatch.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/session.h"

namespace carat {

namespace {

struct PerplexityOptions {
  std::string model;
  std::string file;
  ComputeFlags compute;
  bool is_json = false;
};

// -log softmax(logits)[token], in nats.
double negative_log_likelihood(std::span<const float> logits, std::int32_t token) {
  float largest = logits[0];
  for (const float x : logits) largest = std::max(largest, x);
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - static_cast<double>(largest));
  return std::log(sum) + static_cast<double>(largest) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

// Sum over the window's tokens but the first, each predicted from those before it.
double window_nll(Session& session, std::span<const std::int32_t> window) {
  double sum = 0;
  session.rewind(0);
  session.append_all_logits(window, [&](std::size_t first, MatView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows() && first + row + 1 < window.size(); ++row) {
      sum += negative_log_likelihood(logits.row(row), window[first + row + 1]);
    }
  });
  return sum;
}

void run_perplexity(const PerplexityOptions& options) {
  const std::string text = read_input_file(options.file);
  const auto model = Model::load(options.model);
  const Tokenizer& tokenizer = model->tokenizer();
  const std::vector<std::int32_t> ids = tokenizer.encode(text, {.add_bos = false, .parse_special = false});
  if (ids.empty()) throw Error(ErrorKind::kBadInput, str(options.file, ": holds no text to predict."));

  Session session(model, compute_options(options.compute), session_options(options.compute));
  // Every window is the token that begins a text and as much of the text as fits, so each of the text's tokens is
  // predicted once; a model without such a token can't predict the first one of a window.
  const std::optional<std::int32_t> bos = tokenizer.vocab().bos();
  const std::size_t overhead = bos ? 1 : 0;
  if (session.context() < 2) throw Error(ErrorKind::kBadInput, "--ctx must be at least 2 here.");
  const std::size_t step = session.context() - overhead;

  const Stopwatch watch;
  double nll = 0;
  std::size_t tokens = 0;
  std::size_t windows = 0;
  std::vector<std::int32_t> window;
  for (std::size_t begin = 0; begin < ids.size(); begin += step) {
    const std::size_t count = std::min(step, ids.size() - begin);
    window.clear();
    if (bos) window.push_back(*bos);
    window.insert(window.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                  ids.begin() + static_cast<std::ptrdiff_t>(begin + count));
    if (window.size() < 2) continue;
    nll += window_nll(session, window);
    tokens += window.size() - 1;
    ++windows;
    if (!options.is_json && stderr_is_terminal()) {
      write_stderr(str("\rpredicted ", tokens, " of ", ids.size(), " tokens"));
    }
  }
  if (!options.is_json && stderr_is_terminal()) write_stderr("\r\x1b[K");
  if (tokens == 0) throw Error(ErrorKind::kBadInput, str(options.file, ": one token is too short to predict."));

  const double mean = nll / static_cast<double>(tokens);
  const double seconds = watch.seconds();
  if (options.is_json) {
    const json::object result{{"model", options.model}, {"mean_nll", mean},   {"ppl", std::exp(mean)},
                              {"tokens", tokens},       {"windows", windows}, {"ctx", session.context()},
                              {"seconds", seconds}};
    write_stdout(json::serialize(result) + "\n");
    return;
  }
  std::ostringstream out;
  out << std::setprecision(6) << "perplexity " << std::exp(mean) << ", mean negative log-likelihood " << mean
      << " nats over " << tokens << " tokens in " << windows << " windows of " << session.context() << ", "
      << std::setprecision(3) << seconds << " s\n";
  write_stdout(out.str());
}

}  // namespace

void define_perplexity(Command root, Action& action) {
  auto options = std::make_shared<PerplexityOptions>();
  const Command verb = root.add_verb("perplexity", "Measure how well a model predicts a text",
                                     "carat perplexity model.gguf text.txt --ctx 2048");
  add_model(verb, options->model);
  verb.option("FILE", options->file, "The text, UTF-8; - for stdin").required().value("FILE");
  verb.flag("--json", options->is_json, "Print one JSON object");
  add_compute_flags(verb, options->compute);
  set_model_action(verb, action, options, run_perplexity);
}

}  // namespace carat
