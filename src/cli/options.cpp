#include "cli/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "base/file.h"

namespace carat {

namespace {

constexpr std::uint64_t kMaxInputBytes = std::uint64_t{1} << 30;

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The sampler's parameters that are one number, by the name of their flag. Exactly one of the members is set.
struct SamplingFlag {
  const char* name;
  const char* value;
  const char* what;
  double SamplingParams::*real = nullptr;
  std::int32_t SamplingParams::*integer = nullptr;
};

constexpr std::array<SamplingFlag, 8> kSamplingFlags{{
    {"temperature", "T", "Randomness; 0 always takes the likeliest token", &SamplingParams::temperature},
    {"top-k", "N", "Draw among the N likeliest tokens; 0: all", nullptr, &SamplingParams::top_k},
    {"top-p", "P", "Draw among the tokens that make up this share", &SamplingParams::top_p},
    {"min-p", "P", "Drop tokens below this share of the likeliest", &SamplingParams::min_p},
    {"repeat-penalty", "X", "Divide the logits of recent tokens; 1: off", &SamplingParams::repetition_penalty},
    {"repeat-last-n", "N", "How many tokens the penalties look back; -1: all", nullptr, &SamplingParams::repeat_last_n},
    {"presence-penalty", "X", "Taken off the logits of recent tokens, once", &SamplingParams::presence_penalty},
    {"frequency-penalty", "X", "The same, for each time a token occurs", &SamplingParams::frequency_penalty},
}};

const SamplingFlag* find_sampling_flag(std::string_view name) {
  const auto* found =
      std::find_if(kSamplingFlags.begin(), kSamplingFlags.end(), [&](const auto& flag) { return name == flag.name; });
  return found == kSamplingFlags.end() ? nullptr : found;
}

}  // namespace

void add_model(Command verb, std::string& model) {
  verb.option("MODEL", model, "A GGUF file, a folder with config.json and safetensors, or a name: gemma4:e2b")
      .required()
      .value("FILE");
}

void add_assistant(Command verb, std::string& assistant) {
  verb.option("--assistant", assistant,
              "The model's assistant (drafter): it guesses tokens, which the model checks several at once; the "
              "answer stays the same")
      .value("MODEL")
      .group(kComputingGroup);
}

Option add_count(Command verb, const char* name, std::size_t& count, std::size_t least, std::size_t most,
                 const char* what) {
  return verb.option(name, count, what).range(least, most).with_default().value("N");
}

void add_kernel_flags(Command verb, ComputeFlags& flags) {
  verb.option("--kv-type", flags.kv_type, "Type of the cached keys and values")
      .one_of({"f32", "f16", "bf16", "q8_0"})
      .with_default()
      .group(kComputingGroup);
  verb.option("--isa", flags.isa, "Instruction set, as `carat show --cpu` lists them")
      .value("NAME")
      .group(kComputingGroup);
  verb.option("--activations", flags.activations, "8-bit activations are fast, 32-bit ones exact")
      .one_of({"i8", "f32"})
      .with_default()
      .group(kComputingGroup);
}

void add_compute_flags(Command verb, ComputeFlags& flags) {
  verb.option("--ctx", flags.context, "Context length in tokens (default: the model's, at most 4096)")
      .range(1, kMaxContext)
      .value("N")
      .group(kComputingGroup);
  verb.option("-t,--threads", flags.threads, "Threads (default: one for each physical core)")
      .range(1, kMaxThreads)
      .value("N")
      .group(kComputingGroup);
  add_kernel_flags(verb, flags);
}

void add_sampling_flags(Command verb, SamplingParams& params) {
  constexpr const char* kGroup = "Sampling";
  for (const SamplingFlag& flag : kSamplingFlags) {
    const std::string name = str("--", flag.name);
    const Option option = flag.real != nullptr ? verb.option(name, params.*flag.real, flag.what)
                                               : verb.option(name, params.*flag.integer, flag.what);
    option.value(flag.value).with_default().group(kGroup);
  }
  verb.option_called<std::vector<std::string>>(
          "--logit-bias",
          [&params](const std::vector<std::string>& values) {
            for (const std::string& value : values) {
              const auto bias = parse_logit_bias(value);
              if (!bias) throw UsageError(str("--logit-bias: ", printable(value), " is not of the form ID=NUMBER"));
              params.logit_bias.push_back(*bias);
            }
          },
          "Add to a token's logit; may be given several times")
      .value("ID=X")
      .once_each()
      .group(kGroup);
  verb.option_called<std::uint64_t>(
          "--seed", [&params](std::uint64_t seed) { params.seed = seed; }, "Seed: the same one gives the same text")
      .value("N")
      .group(kGroup);
}

ComputeOptions compute_options(const ComputeFlags& flags) {
  return {.threads = flags.threads,
          .isa = flags.isa,
          .activations = flags.activations == "f32" ? ActivationType::kF32 : ActivationType::kI8};
}

SessionOptions session_options(const ComputeFlags& flags) {
  return {.context = flags.context, .kv_type = dtype_from_name(flags.kv_type).value()};
}

std::optional<LogitBias> parse_logit_bias(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto token = parse_number<std::int32_t>(text.substr(0, equals));
  const auto bias = parse_number<double>(text.substr(equals + 1));
  if (!token || !bias) return std::nullopt;
  return LogitBias{*token, *bias};
}

void set_sampling_param(SamplingParams& params, std::string_view name, std::string_view value) {
  const auto bad_value = [&] {
    return Error(ErrorKind::kBadInput, str(name, " takes a number, not \"", printable(value), "\"."));
  };
  if (name == "seed") {
    const auto seed = parse_number<std::uint64_t>(value);
    if (!seed) throw bad_value();
    params.seed = *seed;
    return;
  }
  const SamplingFlag* flag = find_sampling_flag(name);
  if (flag == nullptr) {
    std::string names;
    for (const std::string_view known : sampling_param_names()) names += str(names.empty() ? "" : ", ", known);
    throw Error(ErrorKind::kBadInput, str("no setting is called \"", printable(name), "\"; there are ", names, "."));
  }
  if (flag->real != nullptr) {
    const auto number = parse_number<double>(value);
    if (!number) throw bad_value();
    params.*flag->real = *number;
  } else {
    const auto number = parse_number<std::int32_t>(value);
    if (!number) throw bad_value();
    params.*flag->integer = *number;
  }
}

std::vector<std::string_view> sampling_param_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kSamplingFlags) + 1);
  for (const SamplingFlag& flag : kSamplingFlags) names.push_back(flag.name);
  names.push_back("seed");
  return names;
}

std::string sampling_params_text(const SamplingParams& params) {
  std::ostringstream out;
  for (const SamplingFlag& flag : kSamplingFlags) {
    out << std::left << std::setw(20) << flag.name;
    if (flag.real != nullptr) {
      out << params.*flag.real << '\n';
    } else {
      out << params.*flag.integer << '\n';
    }
  }
  out << std::left << std::setw(20) << "seed" << (params.seed ? std::to_string(*params.seed) : "random") << '\n';
  return out.str();
}

std::string read_input_file(const std::string& path) {
  if (path == "-") return read_stdin();
  try {
    return read_text_file(path, kMaxInputBytes);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, error.what());
  }
}

std::string read_stdin() {
  std::string text;
  std::array<char, 65536> block{};
  while (std::cin.read(block.data(), block.size()) || std::cin.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMaxInputBytes) {
      throw Error(ErrorKind::kBadInput, str("stdin holds more than ", kMaxInputBytes, " bytes."));
    }
  }
  return text;
}

}  // namespace carat
