// PrefixCache: keys and values of prompts and answers already computed, found again by their tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decoder/kv_cache.h"
#include "engine/stream.h"

namespace carat {

// What stands at a position, as far as computing goes: a token's id; for a row of a picture or a sound, a number of the
// content and the row that equals no token's and no other content's.
using TokenKey = std::uint64_t;

// A tree of blocks. A node holds the keys of up to kPageTokens positions and the blocks of both kinds of layers; a full
// node has children. A sequence may go on from any position that the tree knows, if the window before it is held, too.
//
// Blocks are held beside the sequences that use them, so what is only held here can be given up at any time (reclaim):
// first the windows that no border of turns needs, then the leaves longest unused, then other windows. A position
// between turns is where conversations part (another question, an answer without its thoughts), so its window is kept
// longer. Used by the engine's thread only.
class PrefixCache {
 public:
  explicit PrefixCache(const DecoderConfig& config) : config_(config) {}

  struct Match {
    std::size_t tokens = 0;  // of the prompt, that are held
    CacheMiss miss = CacheMiss::kNone;
    std::vector<KvCache::Blocks> blocks;  // of these, for KvCache::adopt
  };
  // The longest prefix of `keys` to go on from; at most `most` tokens (one must be left to be computed).
  Match find(const std::string& salt, std::span<const TokenKey> keys, std::size_t most);

  // Remembers the first `length` positions of a sequence, which are computed and which `cache` holds.
  // borders: positions between turns, ascending.
  void insert(const std::string& salt, std::span<const TokenKey> keys, std::size_t length,
              std::span<const std::size_t> borders, const KvCache& cache);

  // Gives up something that nobody else holds; false when there is nothing left.
  bool reclaim();
  // Gives up this block, whoever else holds it; with a block of global layers, what follows it.
  void forget(const KvBlock& block);

  // However little memory the blocks take: the tree has no more nodes than this, the leaves longest unused go.
  static constexpr std::size_t kMostNodes = 4096;
  std::size_t nodes() const { return nodes_; }

  // Bytes that only the cache holds.
  std::size_t bytes() const;

 private:
  struct Node {
    std::vector<TokenKey> keys;  // at most kPageTokens
    KvCache::Blocks blocks;      // sliding may be null: given up
    bool is_at_border = false;   // a border needs its sliding block
    std::uint64_t last_use = 0;
    std::vector<std::unique_ptr<Node>> children;
  };
  struct Step {
    Node* node = nullptr;
    std::size_t common = 0;  // of its keys, with those looked for
  };

  // The child that shares most keys with `keys`; nothing where none shares any.
  static Step best_child(const Node& parent, std::span<const TokenKey> keys);
  // Calls visit(parent, index of child) for every node, children before parents.
  template <typename Visit>
  static void walk(Node& node, const Visit& visit);
  std::size_t window_begin(std::size_t position) const;
  void drop_oldest_leaf();
  void forget_below(Node& parent, const KvBlock& block);

  const DecoderConfig& config_;
  std::map<std::string, Node> roots_;  // by salt
  std::size_t nodes_ = 0;              // roots not counted
  std::uint64_t now_ = 0;              // goes up with each use
};

}  // namespace carat
