// Recipes: which element type each tensor of a model gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace carat {

// What a tensor of a GGUF model is, as far as recipes tell them apart.
enum class TensorPart : std::uint8_t {
  kKept,       // norms, scales, routers, convolutions, small projections: never quantised
  kEmbedding,  // of tokens, which most models multiply the last hidden state with too
  kPle,        // the table of per-layer embeddings
  kQuery,
  kKey,
  kValue,
  kAttentionOutput,
  kGate,
  kUp,
  kDown,
  kExpertGate,  // gate and up of experts
  kExpertDown,
  kPleLayer,  // the two small matrices of a layer's per-layer input
};

// A model's tensor by its GGUF name.
struct TensorPlace {
  TensorPart part = TensorPart::kKept;
  std::size_t layer = 0;
};
TensorPlace tensor_place(const Tensor& tensor);

// "ple=q4_0", "blk.0.*=q8_0": a part's name or a pattern of names with * in it, and a type; "keep" leaves a tensor as
// it is.
struct TypeRule {
  std::string pattern;
  DType dtype = DType::kF32;
  bool is_kept = false;
};
// Throws Error(kBadInput) saying what is expected.
TypeRule parse_rule(std::string_view text);

// Types and mixtures by name: "q4_0", "q4_k_m", ...; see recipe_names().
class Recipe {
 public:
  // layers: of the model. Rules come first, the last one that fits counts. Throws Error(kBadInput) for an unknown name.
  // is_pure: every matrix gets the type itself, without exceptions for the more sensitive ones.
  Recipe(std::string_view name, std::size_t layers, std::vector<TypeRule> rules, bool is_pure);

  struct Choice {
    DType dtype;   // what the tensor gets
    DType wanted;  // what it would get if its rows were whole blocks of it
  };
  Choice choose(const Tensor& tensor) const;

  DType base() const { return base_; }

 private:
  DType type_of_part(const TensorPlace& place) const;

  std::string name_;
  DType base_ = DType::kF32;
  std::size_t layers_;
  std::vector<TypeRule> rules_;
  bool is_pure_;
};

// All of them, with a line on each mixture.
struct RecipeInfo {
  std::string_view name;
  DType base;
  std::string_view what;
};
const std::vector<RecipeInfo>& recipes();
// Whatever the letters' case. Throws Error(kBadInput) naming all where there is none of that name.
const RecipeInfo& recipe_named(std::string_view name);
std::string recipe_names();
// The names of parts, for rules.
std::string part_names();

}  // namespace carat
