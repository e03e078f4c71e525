// BackgroundJobs: long work for clients (a download) on threads of its own, so that it keeps no request waiting.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace carat {

class BackgroundJobs {
 public:
  explicit BackgroundJobs(std::size_t most) : most_(most) {}

  // Runs it on a new thread; false where as many run as may. work must not throw, and must end soon once a stop is
  // asked for: the destructor asks, and waits.
  bool start(std::function<void(const std::stop_token& stop)> work) {
    const std::scoped_lock lock(mutex_);
    jobs_.remove_if([](const Job& job) { return job.is_over->load(); });
    if (jobs_.size() >= most_) return false;
    const auto is_over = std::make_shared<std::atomic<bool>>(false);
    jobs_.push_back({std::jthread([work = std::move(work), is_over](const std::stop_token& stop) {
                       work(stop);
                       *is_over = true;
                     }),
                     is_over});
    return true;
  }

 private:
  struct Job {
    std::jthread thread;
    std::shared_ptr<std::atomic<bool>> is_over;
  };

  const std::size_t most_;
  std::mutex mutex_;  // guards jobs_
  std::list<Job> jobs_;
};

}  // namespace carat
