// `carat bench`: how fast a model reads a prompt and writes an answer on this machine.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/generation_race.h"
#include "cli/options.h"
#include "cli/stopwatch.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weight_traffic.h"
#include "engine/session.h"
#include "sampling/random.h"

namespace carat {

namespace {

struct BenchOptions {
  std::string model;
  std::vector<std::size_t> prompt{512};
  std::vector<std::size_t> generated{128};
  std::vector<std::size_t> depth{0};
  std::vector<std::size_t> threads{0};
  std::vector<std::size_t> sequences{1};
  std::size_t repetitions = 5;
  ComputeFlags compute;
  bool is_json = false;
  bool is_csv = false;
  bool with_profile = false;
};

// Either a prompt of so many tokens goes in at once, or so many tokens one by one, behind `depth` others; the latter in
// several sequences side by side, if asked for.
struct Test {
  std::size_t prompt = 0;
  std::size_t generated = 0;
  std::size_t depth = 0;
  std::size_t sequences = 1;

  std::size_t tokens() const { return prompt + generated; }
  std::string name() const {
    const std::string what = prompt > 0 ? str("pp", prompt) : str("tg", generated);
    return str(what, depth > 0 ? str(" @ d", depth) : "", sequences > 1 ? str(" x ", sequences) : "");
  }
};

struct Result {
  Test test;
  std::size_t threads = 0;
  std::string isa;
  std::vector<double> rates{};  // tokens a second of each repetition
  double mean = 0;
  double deviation = 0;  // of the samples
  double median = 0;
  double weight_gigabytes_per_second = 0;  // generation only
  ResidentMemory resident{};               // after the test
  Profile profile{};                       // of all repetitions; empty where none was asked for
  std::uint64_t ple_bytes_read = 0;        // of the per-layer embeddings, from the file, during the test
};

std::vector<std::int32_t> random_tokens(std::size_t count, std::size_t vocab, Random& random) {
  std::vector<std::int32_t> ids(count);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random.next() % vocab);
  return ids;
}

// Seconds that the test's tokens take; those of the depth are not counted. They stay from one repetition to the next,
// but for the last one, whose turn it is to recompute what sliding layers have lost.
double run_once(Session& session, const Test& test, Random& random, Profile* profile) {
  const std::size_t vocab = session.model().config().decoder.vocab;
  session.rewind(test.depth - std::min<std::size_t>(test.depth, 1));
  if (test.depth > 0) session.append(random_tokens(test.depth - session.position(), vocab, random));
  const std::vector<std::int32_t> ids = random_tokens(test.tokens(), vocab, random);
  session.set_profile(profile);
  const Stopwatch watch;
  if (test.prompt > 0) {
    session.append(ids);
  } else {
    for (const std::int32_t id : ids) session.append(std::span(&id, 1));
  }
  const double seconds = watch.seconds();
  session.set_profile(nullptr);
  return seconds;
}

void summarise(Result& result) {
  const auto n = static_cast<double>(result.rates.size());
  for (const double rate : result.rates) result.mean += rate / n;
  double squares = 0;
  for (const double rate : result.rates) squares += (rate - result.mean) * (rate - result.mean);
  result.deviation = result.rates.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
  std::vector<double> sorted = result.rates;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  result.median = sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

std::vector<Test> tests_of(const BenchOptions& options) {
  std::vector<Test> tests;
  for (const std::size_t depth : options.depth) {
    for (const std::size_t n : options.prompt) {
      if (n > 0) tests.push_back({.prompt = n, .depth = depth});
    }
    for (const std::size_t n : options.generated) {
      for (const std::size_t sequences : options.sequences) {
        if (n > 0) tests.push_back({.generated = n, .depth = depth, .sequences = sequences});
      }
    }
  }
  if (tests.empty()) throw Error(ErrorKind::kBadInput, "nothing to measure: both -p and -n are 0.");
  return tests;
}

// What a profile holds, for each kind of operation and layer that took any time.
template <typename Each>
void for_profile(const Profile& profile, const Each& each) {
  for (std::size_t operation = 0; operation < kOperationNames.size(); ++operation) {
    for (std::size_t kind = 0; kind < kLayerKindNames.size(); ++kind) {
      const double seconds = profile.seconds(static_cast<Operation>(operation), static_cast<LayerKind>(kind));
      if (seconds > 0) each(kOperationNames[operation], kLayerKindNames[kind], seconds);
    }
  }
}

// Seconds that the test's repetitions took, together.
double total_seconds(const Result& result) {
  double seconds = 0;
  for (const double rate : result.rates) {
    seconds += static_cast<double>(result.test.tokens() * result.test.sequences) / rate;
  }
  return seconds;
}

std::string profile_text(const std::vector<Result>& results) {
  std::ostringstream out;
  for (const Result& result : results) {
    const double total = total_seconds(result);
    double rest = total;
    out << '\n'
        << result.test.name() << ", " << result.threads << " threads: " << std::fixed << std::setprecision(3) << total
        << " s\n";
    const auto line = [&](std::string_view operation, std::string_view layers, double seconds) {
      out << "  " << std::left << std::setw(17) << operation << std::setw(8) << layers << std::right << std::setw(9)
          << std::setprecision(3) << seconds << " s " << std::setw(6) << std::setprecision(1) << 100 * seconds / total
          << " %\n";
    };
    for_profile(result.profile, [&](std::string_view operation, std::string_view layers, double seconds) {
      line(operation, layers, seconds);
      rest -= seconds;
    });
    line("norms and the rest", "", rest);
  }
  return out.str();
}

json::object to_json(const Result& result, const BenchOptions& options, const Model& model) {
  json::array samples(result.rates.begin(), result.rates.end());
  json::object out{{"model", options.model},
                   {"architecture", model.config().architecture},
                   {"test", result.test.name()},
                   {"n_prompt", result.test.prompt},
                   {"n_gen", result.test.generated},
                   {"n_depth", result.test.depth},
                   {"n_sequences", result.test.sequences},
                   {"n_threads", result.threads},
                   {"isa", result.isa},
                   {"activations", options.compute.activations},
                   {"kv_type", options.compute.kv_type},
                   {"avg_ts", result.mean},
                   {"stddev_ts", result.deviation},
                   {"median_ts", result.median},
                   {"samples_ts", std::move(samples)},
                   {"resident_bytes", result.resident.total},
                   {"resident_file_bytes", result.resident.file},
                   {"ple_bytes_read", result.ple_bytes_read}};
  if (options.with_profile) {
    json::array profile;
    for_profile(result.profile, [&](std::string_view operation, std::string_view layers, double seconds) {
      profile.push_back(json::object{{"operation", operation}, {"layers", layers}, {"seconds", seconds}});
    });
    out["profile"] = std::move(profile);
    out["profiled_seconds"] = total_seconds(result);
  }
  if (result.test.generated > 0) out["weight_gb_per_s"] = result.weight_gigabytes_per_second;
  return out;
}

std::string csv_text(const std::vector<Result>& results, const BenchOptions& options) {
  std::ostringstream out;
  out << "test,n_prompt,n_gen,n_depth,n_sequences,n_threads,isa,activations,kv_type,avg_ts,stddev_ts,median_ts,"
         "resident_bytes,resident_file_bytes,ple_bytes_read,weight_gb_per_s\n";
  for (const Result& result : results) {
    out << result.test.name() << ',' << result.test.prompt << ',' << result.test.generated << ',' << result.test.depth
        << ',' << result.test.sequences << ',' << result.threads << ',' << result.isa << ','
        << options.compute.activations << ',' << options.compute.kv_type << ',' << result.mean << ','
        << result.deviation << ',' << result.median << ',' << result.resident.total << ',' << result.resident.file
        << ',' << result.ple_bytes_read << ',';
    if (result.test.generated > 0) out << result.weight_gigabytes_per_second;
    out << '\n';
  }
  return out.str();
}

std::string table_text(const std::vector<Result>& results) {
  std::ostringstream out;
  out << "| test                 | threads | isa          |  tokens/s mean |  stddev |  median | weights GB/s |\n"
      << "|----------------------|--------:|--------------|---------------:|--------:|--------:|-------------:|\n";
  for (const Result& result : results) {
    out << std::fixed << std::setprecision(2) << "| " << std::left << std::setw(20) << result.test.name() << " | "
        << std::right << std::setw(7) << result.threads << " | " << std::left << std::setw(12) << result.isa << " | "
        << std::right << std::setw(14) << result.mean << " | " << std::setw(7) << result.deviation << " | "
        << std::setw(7) << result.median << " | " << std::setw(12);
    if (result.test.generated > 0) {
      out << result.weight_gigabytes_per_second;
    } else {
      out << "";
    }
    out << " |\n";
  }
  return out.str();
}

std::uint64_t ple_bytes_read(const Model& model) {
  const auto& table = model.weights().ple_table;
  return table == nullptr ? 0 : table->bytes_read();
}

std::vector<Result> measure(const BenchOptions& options, const std::shared_ptr<const Model>& model,
                            const std::vector<Test>& tests) {
  const std::uint64_t bytes_per_token = weight_bytes_per_token(model->weights(), model->config().decoder);
  SessionOptions session_flags = session_options(options.compute);
  for (const Test& test : tests) {
    session_flags.context = std::max(session_flags.context, test.depth + test.tokens());
  }
  Random random(1);  // the same tokens in every run
  std::vector<Result> results;
  for (const std::size_t threads : options.threads) {
    ComputeOptions compute = compute_options(options.compute);
    compute.threads = threads;
    Session session(model, compute, session_flags);
    for (const Test& test : tests) {
      const std::uint64_t ple_bytes_before = ple_bytes_read(*model);
      Result result{.test = test, .threads = session.threads(), .isa = std::string(session.isa())};
      std::optional<GenerationRace> race;
      if (test.sequences > 1) {
        race.emplace(model, compute, session_flags.kv_type, test.sequences, test.depth + test.generated);
      }
      const auto run = [&](const Test& what, Profile* profile) {
        return race ? race->run(what.depth, what.generated, random, profile) : run_once(session, what, random, profile);
      };
      // Warm up: pages of the mapping and of the cache are touched for the first time.
      run({.prompt = std::min<std::size_t>(test.prompt, 32), .generated = test.prompt > 0 ? 0U : 1U}, nullptr);
      for (std::size_t i = 0; i < options.repetitions; ++i) {
        const double seconds = run(test, options.with_profile ? &result.profile : nullptr);
        result.rates.push_back(static_cast<double>(test.tokens() * test.sequences) / seconds);
      }
      summarise(result);
      // Weights are read once a step, for all sequences; of experts, though, each sequence may use others.
      const double steps_per_second = result.mean / static_cast<double>(test.sequences);
      result.weight_gigabytes_per_second = steps_per_second * static_cast<double>(bytes_per_token) * 1e-9;
      result.resident = resident_memory();
      result.ple_bytes_read = ple_bytes_read(*model) - ple_bytes_before;
      results.push_back(std::move(result));
    }
  }
  return results;
}

void run_bench(const BenchOptions& options) {
  const std::vector<Test> tests = tests_of(options);
  const auto model = Model::load(options.model);
  const std::vector<Result> results = measure(options, model, tests);
  if (options.is_json) {
    json::array list;
    for (const Result& result : results) list.push_back(to_json(result, options, *model));
    write_stdout(json::serialize(list) + "\n");
  } else {
    write_stdout(options.is_csv ? csv_text(results, options) : table_text(results));
    if (options.with_profile) write_stdout(profile_text(results));
  }
}

// Numbers with commas between them: a test for each.
Option add_counts(Command verb, const char* names, std::vector<std::size_t>& counts, std::size_t least,
                  std::size_t most, const char* what) {
  return verb.option(names, counts, what).divided_at(',').once_each().range(least, most).value("N,...");
}

}  // namespace

void define_bench(Command root, Action& action) {
  auto options = std::make_shared<BenchOptions>();
  const Command verb = root.add_verb("bench", "Measure the speed of a model on this machine",
                                     "carat bench model.gguf -p 512 -n 128 -d 0,4096");
  add_model(verb, options->model);
  add_counts(verb, "-p,--n-prompt", options->prompt, 0, kMaxContext, "Tests that read so many tokens at once; 0: none")
      .with_default();
  add_counts(verb, "-n,--n-gen", options->generated, 0, kMaxContext, "Tests that generate so many tokens; 0: none")
      .with_default();
  add_counts(verb, "-d,--n-depth", options->depth, 0, kMaxContext, "Tokens in the context before each test")
      .with_default();
  add_counts(verb, "-s,--sequences", options->sequences, 1, 512,
             "Sequences that generate side by side; tokens of all count")
      .with_default();
  verb.option("-r,--repetitions", options->repetitions, "How often each test is run")
      .range(1, 10000)
      .value("N")
      .with_default();
  verb.flag("--json", options->is_json, "Print a JSON list, one object for each test");
  verb.flag("--csv", options->is_csv, "Print comma-separated values").excludes("--json");
  verb.flag("--profile", options->with_profile, "Tell where the time goes, by kind of operation and of layer")
      .excludes("--csv");
  add_counts(verb, "-t,--threads", options->threads, 1, kMaxThreads, "Threads (default: one for each physical core)")
      .group(kComputingGroup);
  add_kernel_flags(verb, options->compute);
  set_model_action(verb, action, options, run_bench);
}

}  // namespace carat
