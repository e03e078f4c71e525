#include "engine/prefix_cache.h"

#include <algorithm>
#include <utility>

namespace carat {
namespace {

std::size_t common_prefix(std::span<const TokenKey> a, std::span<const TokenKey> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// The keys that stand in the page.
std::span<const TokenKey> keys_of_page(std::span<const TokenKey> keys, std::size_t page) {
  const std::size_t first = std::min(keys.size(), page * kPageTokens);
  return keys.subspan(first, std::min(kPageTokens, keys.size() - first));
}

bool is_held_here_alone(const KvBlockRef& block) {
  return block != nullptr && block.use_count() == 1;
}

}  // namespace

PrefixCache::Step PrefixCache::best_child(const Node& parent, std::span<const TokenKey> keys) {
  Step best;
  for (const std::unique_ptr<Node>& child : parent.children) {
    const std::size_t common = common_prefix(child->keys, keys);
    const bool is_as_long = common == best.common && best.node != nullptr;
    if (common > best.common || (is_as_long && best.node->blocks.sliding == nullptr)) best = {child.get(), common};
  }
  return best;
}

// The first position that the row at `position` sees on sliding layers.
std::size_t PrefixCache::window_begin(std::size_t position) const {
  return position - std::min(position, std::max<std::size_t>(config_.window, 1) - 1);
}

PrefixCache::Match PrefixCache::find(const std::string& salt, std::span<const TokenKey> keys, std::size_t most) {
  Match match;
  ++now_;
  std::vector<Step> path;
  std::size_t known = 0;
  const auto root = roots_.find(salt);
  const Node* node = root == roots_.end() ? nullptr : &root->second;
  bool has_diverged = false;
  while (node != nullptr) {
    const std::span<const TokenKey> wanted = keys_of_page(keys, path.size());
    const Step step = best_child(*node, wanted);
    if (step.node == nullptr) {
      has_diverged = !node->children.empty() && !wanted.empty();
      break;
    }
    path.push_back(step);
    known += step.common;
    has_diverged = step.common < step.node->keys.size() && step.common < wanted.size();
    if (step.common < kPageTokens) break;
    node = step.node;
  }

  // Going back from `known` until the window is held: a page whose sliding block is gone must lie behind the window.
  std::size_t tokens = std::min(known, most);
  for (std::size_t page = tokens / kPageTokens + 1; page-- > 0 && tokens > 0;) {
    const bool is_in_window = page * kPageTokens < tokens && (page + 1) * kPageTokens > window_begin(tokens);
    if (is_in_window && path[page].node->blocks.sliding == nullptr) tokens = page * kPageTokens;
  }

  const std::size_t first_in_window = window_begin(tokens) / kPageTokens;
  for (std::size_t page = 0; page * kPageTokens < tokens; ++page) {
    Node& held = *path[page].node;
    held.last_use = now_;
    match.blocks.push_back({page >= first_in_window ? held.blocks.sliding : nullptr, held.blocks.global});
  }
  match.tokens = tokens;
  if (tokens < std::min(known, most)) {
    match.miss = CacheMiss::kWindowEvicted;
  } else if (tokens < most && has_diverged) {
    match.miss = known == 0 ? CacheMiss::kEmpty : CacheMiss::kDiverged;
  } else if (tokens == 0 && most > 0) {
    match.miss = CacheMiss::kEmpty;
  }
  return match;
}

void PrefixCache::insert(const std::string& salt, std::span<const TokenKey> keys, std::size_t length,
                         std::span<const std::size_t> borders, const KvCache& cache) {
  ++now_;
  keys = keys.first(length);
  Node* node = &roots_[salt];
  for (std::size_t page = 0; page * kPageTokens < length; ++page) {
    const std::span<const TokenKey> wanted = keys_of_page(keys, page);
    const Step step = best_child(*node, wanted);
    Node* next = step.node;
    KvCache::Blocks blocks = cache.blocks(page);
    if (next != nullptr && step.common == next->keys.size() && step.common < wanted.size()) {
      // The page goes on: the sequence's block has what the node's had, and more.
      next->keys.assign(wanted.begin(), wanted.end());
      next->blocks = std::move(blocks);
    } else if (next == nullptr || step.common < wanted.size()) {
      auto fresh = std::make_unique<Node>();  // whole before anybody finds it, also where memory runs out
      fresh->keys.assign(wanted.begin(), wanted.end());
      fresh->blocks = std::move(blocks);
      next = node->children.emplace_back(std::move(fresh)).get();
      ++nodes_;
    } else if (next->blocks.sliding == nullptr && blocks.sliding != nullptr && next->keys.size() == wanted.size()) {
      next->blocks.sliding = std::move(blocks.sliding);
    }
    const auto border = std::ranges::upper_bound(borders, page * kPageTokens);
    if (border != borders.end() && window_begin(*border) < (page + 1) * kPageTokens) next->is_at_border = true;
    next->last_use = now_;
    node = next;
  }
  while (nodes_ > kMostNodes) drop_oldest_leaf();
}

template <typename Visit>
void PrefixCache::walk(Node& node, const Visit& visit) {
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    walk(*node.children[i], visit);
    visit(node, i);
  }
}

void PrefixCache::drop_oldest_leaf() {
  Node* parent_of_oldest = nullptr;
  std::size_t oldest = 0;
  for (auto& [salt, root] : roots_) {
    walk(root, [&](Node& parent, std::size_t index) {
      const Node& node = *parent.children[index];
      if (!node.children.empty()) return;
      if (parent_of_oldest != nullptr && node.last_use >= parent_of_oldest->children[oldest]->last_use) return;
      parent_of_oldest = &parent;
      oldest = index;
    });
  }
  parent_of_oldest->children.erase(parent_of_oldest->children.begin() + static_cast<std::ptrdiff_t>(oldest));
  --nodes_;
  std::erase_if(roots_, [](const auto& root) { return root.second.children.empty(); });
}

bool PrefixCache::reclaim() {
  Node* loose = nullptr;  // its window is needed by no border
  Node* bordering = nullptr;
  Node* parent_of_leaf = nullptr;
  std::size_t leaf = 0;
  const auto is_older = [](const Node& node, const Node* than) {
    return than == nullptr || node.last_use < than->last_use;
  };
  for (auto& [salt, root] : roots_) {
    walk(root, [&](Node& parent, std::size_t index) {
      Node& node = *parent.children[index];
      if (is_held_here_alone(node.blocks.sliding)) {
        Node*& oldest = node.is_at_border ? bordering : loose;
        if (is_older(node, oldest)) oldest = &node;
      }
      const bool gives_memory = is_held_here_alone(node.blocks.sliding) || is_held_here_alone(node.blocks.global);
      const Node* oldest_leaf = parent_of_leaf == nullptr ? nullptr : parent_of_leaf->children[leaf].get();
      if (node.children.empty() && gives_memory && is_older(node, oldest_leaf)) {
        parent_of_leaf = &parent;
        leaf = index;
      }
    });
  }
  if (loose != nullptr) {
    loose->blocks.sliding = nullptr;
  } else if (parent_of_leaf != nullptr) {
    parent_of_leaf->children.erase(parent_of_leaf->children.begin() + static_cast<std::ptrdiff_t>(leaf));
    --nodes_;
  } else if (bordering != nullptr) {
    bordering->blocks.sliding = nullptr;
  } else {
    return false;
  }
  std::erase_if(roots_, [](const auto& root) { return root.second.children.empty(); });
  return true;
}

void PrefixCache::forget(const KvBlock& block) {
  for (auto& [salt, root] : roots_) forget_below(root, block);
  std::erase_if(roots_, [](const auto& root) { return root.second.children.empty(); });
}

void PrefixCache::forget_below(Node& parent, const KvBlock& block) {
  std::erase_if(parent.children, [&](const std::unique_ptr<Node>& child) {
    if (child->blocks.global.get() != &block) return false;
    walk(*child, [this](Node&, std::size_t) { --nodes_; });
    --nodes_;
    return true;
  });
  for (const std::unique_ptr<Node>& child : parent.children) {
    if (child->blocks.sliding.get() == &block) child->blocks.sliding = nullptr;
    forget_below(*child, block);
  }
}

std::size_t PrefixCache::bytes() const {
  std::size_t bytes = 0;
  const auto count = [&](const KvBlockRef& block) {
    if (is_held_here_alone(block)) bytes += block->memory.size();
  };
  const auto add = [&](const auto& self, const Node& node) -> void {
    count(node.blocks.sliding);
    count(node.blocks.global);
    for (const std::unique_ptr<Node>& child : node.children) self(self, *child);
  };
  for (const auto& [salt, root] : roots_) add(add, root);
  return bytes;
}

}  // namespace carat
