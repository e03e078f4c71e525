#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

namespace carat {
namespace {

// About 50 us of polling: longer than the serial stretches between two loops of a forward pass, shorter than what a
// user would notice as a busy idle program.
constexpr int kSpins = 4000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(std::size_t threads) {
  workers_.reserve(threads - 1);
  try {
    for (std::size_t worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { work(worker); });
    }
  } catch (const std::system_error&) {  // the machine has no more threads: fewer do the same, later
    return;
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    round_.fetch_add(1);
  }
  wake_.notify_all();
}

void ThreadPool::run(std::size_t n, Call call, const void* context) {
  call_ = call;
  context_ = context;
  count_ = n;
  next_.store(threads(), std::memory_order_relaxed);
  running_.store(workers_.size(), std::memory_order_relaxed);
  round_.fetch_add(1);  // sequentially consistent, as is sleepers_: one of the two sides sees the other
  if (sleepers_.load() > 0) {
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  drain(0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < kSpins) {
      relax();
    } else {
      std::this_thread::yield();  // more threads than cores: let the others finish
    }
  }
}

// Each worker begins with the index of its own number: most loops have as many, for which nobody needs to ask.
void ThreadPool::drain(std::size_t worker) {
  for (std::size_t index = worker; index < count_; index = next_.fetch_add(1, std::memory_order_relaxed)) {
    call_(context_, index, worker);
    if (count_ <= threads()) return;
  }
}

void ThreadPool::work(std::size_t worker) {
  std::uint64_t seen = 0;
  for (;;) {
    seen = await_round(seen);
    if (is_stopping_.load()) return;
    drain(worker);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

std::uint64_t ThreadPool::await_round(std::uint64_t seen) {
  for (int spins = 0; spins < kSpins; ++spins) {
    const std::uint64_t round = round_.load(std::memory_order_acquire);
    if (round != seen) return round;
    relax();
  }
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1);
  wake_.wait(lock, [&] { return round_.load() != seen; });
  sleepers_.fetch_sub(1);
  return round_.load();
}

std::size_t ThreadPool::physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return std::max(1U, std::thread::hardware_concurrency());
  // Hyper-threads of one core name the same siblings; count each set once.
  std::set<std::string> cores;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = "cpu" + std::to_string(cpu);
    cores.insert(siblings);
  }
  return std::max<std::size_t>(1, cores.size());
}

}  // namespace carat
