#include "engine/compute_context.h"

#include "kernels/cpu.h"

namespace carat {

ComputeContext::ComputeContext(const ComputeOptions& options)
    : kernels_(select_kernels(options.isa)),
      pool_(options.threads == 0 ? ThreadPool::physical_cores() : options.threads),
      matmul_(kernels_, pool_, options.activations),
      media_matmul_(kernels_, pool_, options.activations,
                    options.activations == ActivationType::kF32 ? FloatProduct::kInOrder : FloatProduct::kByPairs),
      attention_(kernels_, pool_) {}

}  // namespace carat
