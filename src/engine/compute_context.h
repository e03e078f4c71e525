// ComputeContext: kernels, threads and workspaces, chosen once and shared by all that runs in turn on them.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/thread_pool.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "nn/compute.h"

namespace carat {

// What a process computes with.
struct ComputeOptions {
  std::size_t threads = 0;    // 0: ThreadPool::physical_cores()
  std::string_view isa = {};  // kernel table by name; empty: CARAT_ISA, or the best
  ActivationType activations = ActivationType::kI8;
};

// Used by one thread at a time.
class ComputeContext {
 public:
  // Throws Error(kBadInput) for an unknown isa.
  explicit ComputeContext(const ComputeOptions& options);

  // For text models.
  const Compute& compute() const { return compute_; }
  // Where the time goes is added to `profile` until it is set to null.
  void set_profile(Profile* profile) { compute_.profile = profile; }
  // For the towers that encode media: with the faster product of floats (kernels/matmul.h), unless activations are
  // asked to be exact.
  const Compute& media_compute() const { return media_compute_; }

 private:
  const KernelTable& kernels_;
  ThreadPool pool_;
  Matmul matmul_;
  Matmul media_matmul_;
  Attention attention_;
  Compute compute_{kernels_, pool_, matmul_, attention_};
  Compute media_compute_{kernels_, pool_, media_matmul_, attention_};
};

}  // namespace carat
