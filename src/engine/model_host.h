// ModelHost: several models by name, each loaded when it is first asked for and unloaded when nobody has used it for a
// while.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/answerer.h"

namespace carat {

// May be used by any number of threads.
class ModelHost {
 public:
  using Clock = std::chrono::steady_clock;
  // Loads a model by its full name; called on the thread that asks, never twice at once for one name. Throws as
  // Model::load and Engine do; Error(kNotFound) for a name it doesn't know.
  using Loader = std::function<std::shared_ptr<Answerer>(const std::string& name)>;

  struct Options {
    std::chrono::seconds keep_alive{300};  // after the last use; negative: for ever
    std::size_t max_loaded = 1;            // one more is loaded by unloading the one longest unused
  };

  ModelHost(Loader loader, Options options);
  // Stops all models, those in use as well.
  ~ModelHost();
  ModelHost(const ModelHost&) = delete;
  ModelHost& operator=(const ModelHost&) = delete;

  // The model, loaded by now; hold the pointer while an answer is made, for a model in use is never unloaded. Waits
  // while another thread loads it. One whose file has changed underneath is loaded anew. keep_alive holds from now on
  // for this model; 0 unloads it as soon as it is unused. Throws what the loader throws, and BusyError where max_loaded
  // models are all in use and stay so for a second.
  std::shared_ptr<Answerer> acquire(const std::string& name, std::optional<std::chrono::seconds> keep_alive = {});

  // Unloads it when nobody uses it any more. False where it isn't loaded.
  bool unload(const std::string& name);

  struct Loaded {
    std::string name;
    std::shared_ptr<Answerer> answerer;
    std::optional<Clock::time_point> expires;  // absent: in use, or kept for ever
  };
  std::vector<Loaded> loaded() const;  // the pointers in it count as use while they are held

 private:
  struct Slot {
    std::shared_ptr<Answerer> answerer;  // null while it is being loaded
    std::chrono::seconds keep_alive{0};
    Clock::time_point last_use;

    bool is_in_use() const { return answerer == nullptr || answerer.use_count() > 1; }
  };

  void run_janitor(const std::stop_token& stop);
  // Takes the models whose time is over out of slots_; mutex_ is held. They end where the result is dropped, which may
  // take them a step: outside of the lock.
  std::vector<std::shared_ptr<Answerer>> take_expired();
  // Takes one model out to make place; BusyError where all are in use.
  std::shared_ptr<Answerer> take_longest_unused();

  const Loader loader_;
  const Options options_;
  mutable std::mutex mutex_;             // guards slots_
  std::condition_variable_any changed_;  // a model was loaded, or couldn't be
  std::map<std::string, Slot> slots_;
  std::jthread janitor_;  // last: joined before what it uses goes
};

}  // namespace carat
