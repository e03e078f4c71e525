#include "quantize/recipe.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "quantize/encode_rows.h"

namespace carat {
namespace {

struct PartRow {
  std::string_view tensor;  // "blk.N." left out
  TensorPart part;
  std::string_view name;  // in rules
};

constexpr std::array kParts{
    PartRow{"token_embd.weight", TensorPart::kEmbedding, "embedding"},
    PartRow{"output.weight", TensorPart::kEmbedding, "embedding"},
    PartRow{"per_layer_token_embd.weight", TensorPart::kPle, "ple"},
    PartRow{"attn_q.weight", TensorPart::kQuery, "query"},
    PartRow{"attn_k.weight", TensorPart::kKey, "key"},
    PartRow{"attn_v.weight", TensorPart::kValue, "value"},
    PartRow{"attn_output.weight", TensorPart::kAttentionOutput, "attention_output"},
    PartRow{"ffn_gate.weight", TensorPart::kGate, "gate"},
    PartRow{"ffn_up.weight", TensorPart::kUp, "up"},
    PartRow{"ffn_down.weight", TensorPart::kDown, "down"},
    PartRow{"ffn_gate_up_exps.weight", TensorPart::kExpertGate, "expert_gate_up"},
    PartRow{"ffn_gate_exps.weight", TensorPart::kExpertGate, "expert_gate_up"},
    PartRow{"ffn_up_exps.weight", TensorPart::kExpertGate, "expert_gate_up"},
    PartRow{"ffn_down_exps.weight", TensorPart::kExpertDown, "expert_down"},
    PartRow{"inp_gate.weight", TensorPart::kPleLayer, "ple_layer"},
    PartRow{"proj.weight", TensorPart::kPleLayer, "ple_layer"},
};

// "blk.12.attn_q.weight" -> 12 and "attn_q.weight"; other names stay whole.
std::pair<std::size_t, std::string_view> split_layer(std::string_view name) {
  std::size_t layer = 0;
  if (!name.starts_with("blk.")) return {0, name};
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return {0, name};
  return {layer, std::string_view(end + 1, static_cast<std::size_t>(name.data() + name.size() - end - 1))};
}

// * stands for any text.
bool matches(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  for (std::size_t from = star; from <= text.size(); ++from) {
    if (matches(pattern.substr(star + 1), text.substr(from))) return true;
  }
  return false;
}

bool rule_fits(const TypeRule& rule, const Tensor& tensor, const TensorPlace& place) {
  if (matches(rule.pattern, tensor.name)) return true;
  return std::any_of(kParts.begin(), kParts.end(),
                     [&](const PartRow& row) { return row.part == place.part && row.name == rule.pattern; });
}

// What stands in where a row is no whole number of blocks: the type of 32-value blocks with about as many bits.
DType with_smaller_blocks(DType dtype) {
  switch (dtype) {
    case DType::kQ2_K:
    case DType::kQ3_K:
      return DType::kIQ4_NL;
    case DType::kQ4_K:
      return DType::kQ5_0;
    case DType::kQ5_K:
      return DType::kQ5_1;
    case DType::kQ6_K:
      return DType::kQ8_0;
    default:
      return DType::kBF16;
  }
}

DType fitting(DType dtype, std::uint64_t cols) {
  while (!row_bytes(dtype, cols)) dtype = with_smaller_blocks(dtype);
  return dtype;
}

// The first and last eighth of the layers, and every third between: where more bits pay most.
bool is_sensitive(std::size_t layer, std::size_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

}  // namespace

TensorPlace tensor_place(const Tensor& tensor) {
  if (tensor.shape.size() < 2) return {};
  const auto [layer, name] = split_layer(tensor.name);
  for (const PartRow& row : kParts) {
    if (row.tensor == name) return {row.part, layer};
  }
  return {TensorPart::kKept, layer};
}

TypeRule parse_rule(std::string_view text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw Error(ErrorKind::kBadInput,
                str("--rule \"", printable(text), "\": expected PART=TYPE, such as ple=q4_0. Parts: ", part_names(),
                    ", or a tensor's name with * in it."));
  }
  TypeRule rule{.pattern = std::string(text.substr(0, equals))};
  const std::string_view type = text.substr(equals + 1);
  const bool is_part =
      std::any_of(kParts.begin(), kParts.end(), [&](const auto& row) { return row.name == rule.pattern; });
  if (!is_part && rule.pattern.find_first_of("*.") == std::string::npos) {
    throw Error(ErrorKind::kBadInput, str("--rule \"", printable(text), "\": no part is called so; there are ",
                                          part_names(), ", or give a tensor's name with * in it."));
  }
  if (type == "keep") {
    rule.is_kept = true;
    return rule;
  }
  const auto dtype = dtype_from_name(type);
  if (!dtype || !can_encode_rows(*dtype)) {
    throw Error(ErrorKind::kBadInput,
                str("--rule \"", printable(text), "\": \"", printable(type), "\" is no type that carat writes."));
  }
  rule.dtype = *dtype;
  return rule;
}

const std::vector<RecipeInfo>& recipes() {
  static const std::vector<RecipeInfo> kRecipes{
      {"q4_0", DType::kQ4_0, "4.5 bits; embeddings q6_k"},
      {"q4_1", DType::kQ4_1, "5 bits; embeddings q6_k"},
      {"q5_0", DType::kQ5_0, "5.5 bits; embeddings q6_k"},
      {"q5_1", DType::kQ5_1, "6 bits; embeddings q6_k"},
      {"q8_0", DType::kQ8_0, "8.5 bits"},
      {"q2_k", DType::kQ2_K, "2.6 bits; values, downs and outputs q3_k, embeddings q6_k"},
      {"q3_k_s", DType::kQ3_K, "3.4 bits; embeddings q6_k"},
      {"q3_k_m", DType::kQ3_K, "values and downs q4_k and q5_k, outputs q4_k"},
      {"q4_k_s", DType::kQ4_K, "4.5 bits; the first values and downs q5_k, embeddings q6_k"},
      {"q4_k_m", DType::kQ4_K, "values and downs of half of the layers q6_k, embeddings q6_k"},
      {"q5_k_s", DType::kQ5_K, "5.5 bits; embeddings q6_k"},
      {"q5_k_m", DType::kQ5_K, "values and downs of half of the layers q6_k, embeddings q6_k"},
      {"q6_k", DType::kQ6_K, "6.6 bits"},
      {"q3_k", DType::kQ3_K, "as q3_k_m"},
      {"q4_k", DType::kQ4_K, "as q4_k_m"},
      {"q5_k", DType::kQ5_K, "as q5_k_m"},
      {"iq4_nl", DType::kIQ4_NL, "4.5 bits on uneven levels; embeddings q6_k"},
      {"mxfp4", DType::kMXFP4, "4.25 bits; embeddings q6_k"},
      {"bf16", DType::kBF16, "16 bits"},
      {"f16", DType::kF16, "16 bits"},
      {"f32", DType::kF32, "32 bits"},
  };
  return kRecipes;
}

const RecipeInfo& recipe_named(std::string_view name) {
  std::string wanted(name);
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto& all = recipes();
  const auto found = std::find_if(all.begin(), all.end(), [&](const RecipeInfo& info) { return info.name == wanted; });
  if (found != all.end()) return *found;
  throw Error(ErrorKind::kBadInput,
              str("no type is called \"", printable(name), "\"; there are ", recipe_names(), "."));
}

std::string recipe_names() {
  std::string names;
  for (const RecipeInfo& recipe : recipes()) names += str(names.empty() ? "" : ", ", recipe.name);
  return names;
}

std::string part_names() {
  std::string names;
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    const bool is_new = i == 0 || kParts[i].name != kParts[i - 1].name;
    if (is_new) names += str(names.empty() ? "" : ", ", kParts[i].name);
  }
  return names;
}

Recipe::Recipe(std::string_view name, std::size_t layers, std::vector<TypeRule> rules, bool is_pure)
    : name_(recipe_named(name).name), layers_(layers), rules_(std::move(rules)), is_pure_(is_pure) {
  base_ = recipe_named(name).base;
  if (name_ == "q3_k" || name_ == "q4_k" || name_ == "q5_k") name_ += "_m";
}

// The mixtures follow llama.cpp's (llama-quant.cpp, llama_tensor_get_type), so that a name means about the same size.
DType Recipe::type_of_part(const TensorPlace& place) const {
  if (is_pure_ || dtype_info(base_).block_values == 1 || base_ == DType::kQ8_0) return base_;
  if (place.part == TensorPart::kEmbedding || place.part == TensorPart::kPle) return DType::kQ6_K;
  const bool is_down = place.part == TensorPart::kDown || place.part == TensorPart::kExpertDown;
  const bool is_value = place.part == TensorPart::kValue;
  if (name_ == "q4_k_m" || name_ == "q5_k_m") {
    return (is_down || is_value) && is_sensitive(place.layer, layers_) ? DType::kQ6_K : base_;
  }
  if (name_ == "q4_k_s") {
    const bool is_first = is_value ? place.layer < 4 : is_down && place.layer < layers_ / 8;
    return is_first ? DType::kQ5_K : base_;
  }
  if (name_ == "q3_k_m") {
    if (is_value) return place.layer < 2 ? DType::kQ5_K : DType::kQ4_K;
    if (is_down) {
      if (place.layer < layers_ / 16) return DType::kQ5_K;
      return is_sensitive(place.layer, layers_) ? DType::kQ4_K : base_;
    }
    if (place.part == TensorPart::kAttentionOutput) return DType::kQ4_K;
  }
  if (name_ == "q2_k" && (is_value || is_down || place.part == TensorPart::kAttentionOutput)) return DType::kQ3_K;
  return base_;
}

Recipe::Choice Recipe::choose(const Tensor& tensor) const {
  const TensorPlace place = tensor_place(tensor);
  std::optional<DType> wanted;
  if (place.part != TensorPart::kKept) wanted = type_of_part(place);
  for (const TypeRule& rule : rules_) {
    if (!rule_fits(rule, tensor, place)) continue;
    if (rule.is_kept) {
      wanted.reset();
    } else {
      wanted = rule.dtype;
    }
  }
  if (!wanted) return {tensor.dtype, tensor.dtype};
  return {fitting(*wanted, tensor.cols()), *wanted};
}

}  // namespace carat
