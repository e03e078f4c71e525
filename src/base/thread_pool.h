// ThreadPool: a fixed set of workers and parallel_for over [0, n).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace carat {

// Made for many short loops a token: workers spin for a while after a loop and only then sleep. One thread at a time
// calls parallel_for, and not from within one. Which worker takes which index is left open: a loop's body writes only
// what its index owns, so that results do not depend on the number of threads.
class ThreadPool {
 public:
  // threads >= 1, the caller's own among them. 1 starts none. Where the system gives fewer, fewer there are.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return workers_.size() + 1; }

  // Calls body(index, worker) for every index in [0, n), worker in [0, threads()); returns when all are done.
  // body must not throw.
  template <typename Body>
  void parallel_for(std::size_t n, const Body& body) {
    if (n == 0) return;
    if (n == 1 || workers_.empty()) {
      for (std::size_t i = 0; i < n; ++i) body(i, std::size_t{0});
      return;
    }
    run(
        n,
        [](const void* context, std::size_t index, std::size_t worker) {
          (*static_cast<const Body*>(context))(index, worker);
        },
        &body);
  }

  // As many threads as the machine has physical cores that this process may use; at least 1.
  static std::size_t physical_cores();

 private:
  using Call = void (*)(const void* context, std::size_t index, std::size_t worker);

  void run(std::size_t n, Call call, const void* context);
  void work(std::size_t worker);
  void drain(std::size_t worker);
  // Waits until round_ differs from seen; returns the new round.
  std::uint64_t await_round(std::uint64_t seen);

  // The loop at hand: written by run() before round_ is raised, read by workers after they see it raised. All of it is
  // one cache line, which comes to a waiting worker at once.
  alignas(64) Call call_ = nullptr;
  const void* context_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<std::uint64_t> round_{0};  // raised once a loop

  alignas(64) std::atomic<std::size_t> next_{0};     // first index nobody has taken, beside each worker's first
  alignas(64) std::atomic<std::size_t> running_{0};  // workers that have not finished this round
  std::atomic<bool> is_stopping_{false};
  std::atomic<std::size_t> sleepers_{0};
  std::mutex mutex_;  // with wake_, for sleepers only
  std::condition_variable wake_;
  std::vector<std::jthread> workers_;  // last: joined before what they use goes
};

}  // namespace carat
