#include "engine/model_host.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace carat {
namespace {

constexpr std::chrono::milliseconds kJanitorPeriod{250};
constexpr std::size_t kRetrySeconds = 5;
// An answer's last holder lets go a moment after its client has it: so long a model in use is waited for.
constexpr std::chrono::milliseconds kPatience{1000};
constexpr std::chrono::milliseconds kGlance{10};

}  // namespace

ModelHost::ModelHost(Loader loader, Options options)
    : loader_(std::move(loader)),
      options_(options),
      janitor_([this](const std::stop_token& stop) { run_janitor(stop); }) {}

ModelHost::~ModelHost() {
  janitor_.request_stop();
  janitor_.join();
  for (const auto& [name, slot] : slots_) {
    if (slot.answerer != nullptr) slot.answerer->stop();
  }
}

void ModelHost::run_janitor(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<std::shared_ptr<Answerer>> gone;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, kJanitorPeriod, [] { return false; });
    gone = take_expired();
    lock.unlock();
  }
}

std::vector<std::shared_ptr<Answerer>> ModelHost::take_expired() {
  const Clock::time_point now = Clock::now();
  std::vector<std::shared_ptr<Answerer>> gone;
  for (auto entry = slots_.begin(); entry != slots_.end();) {
    Slot& slot = entry->second;
    if (slot.is_in_use()) slot.last_use = now;
    if (slot.is_in_use() || slot.keep_alive < std::chrono::seconds(0) || now < slot.last_use + slot.keep_alive) {
      ++entry;
      continue;
    }
    gone.push_back(std::move(slot.answerer));
    entry = slots_.erase(entry);
  }
  return gone;
}

std::shared_ptr<Answerer> ModelHost::take_longest_unused() {
  auto oldest = slots_.end();
  for (auto slot = slots_.begin(); slot != slots_.end(); ++slot) {
    if (slot->second.is_in_use()) continue;
    if (oldest == slots_.end() || slot->second.last_use < oldest->second.last_use) oldest = slot;
  }
  if (oldest == slots_.end()) {
    throw BusyError(str("all ", slots_.size(), " models that may be loaded at once are in use."), kRetrySeconds);
  }
  std::shared_ptr<Answerer> gone = std::move(oldest->second.answerer);
  slots_.erase(oldest);
  return gone;
}

std::shared_ptr<Answerer> ModelHost::acquire(const std::string& name, std::optional<std::chrono::seconds> keep_alive) {
  std::unique_lock lock(mutex_);
  const Clock::time_point patience_ends = Clock::now() + kPatience;
  while (true) {
    const auto found = slots_.find(name);
    if (found == slots_.end()) {
      if (slots_.size() < options_.max_loaded) break;
      const bool are_all_in_use = std::ranges::all_of(slots_, [](const auto& slot) { return slot.second.is_in_use(); });
      if (are_all_in_use && Clock::now() < patience_ends) {
        changed_.wait_for(lock, kGlance);
        continue;
      }
      std::shared_ptr<Answerer> gone = take_longest_unused();
      lock.unlock();
      gone.reset();  // its memory is needed before another model is loaded
      lock.lock();
    } else if (found->second.answerer == nullptr) {
      changed_.wait(lock);
    } else if (!found->second.answerer->status().is_healthy) {
      // Its file has changed underneath: who has it is told so, and who asks now gets what the file holds now.
      std::shared_ptr<Answerer> gone = std::move(found->second.answerer);
      slots_.erase(found);
      lock.unlock();
      gone->stop();
      gone.reset();
      lock.lock();
    } else {
      Slot& slot = found->second;
      if (keep_alive) slot.keep_alive = *keep_alive;
      slot.last_use = Clock::now();
      return slot.answerer;
    }
  }

  slots_[name].keep_alive = keep_alive.value_or(options_.keep_alive);
  lock.unlock();
  std::shared_ptr<Answerer> answerer;
  try {
    answerer = loader_(name);
  } catch (...) {
    lock.lock();
    slots_.erase(name);
    changed_.notify_all();
    throw;
  }
  lock.lock();
  Slot& slot = slots_[name];
  slot.answerer = answerer;
  slot.last_use = Clock::now();
  changed_.notify_all();
  return answerer;
}

bool ModelHost::unload(const std::string& name) {
  std::shared_ptr<Answerer> gone;
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(name);
  if (found == slots_.end()) return false;
  found->second.keep_alive = std::chrono::seconds(0);
  if (!found->second.is_in_use()) {
    gone = std::move(found->second.answerer);
    slots_.erase(found);
  }
  return true;
}

std::vector<ModelHost::Loaded> ModelHost::loaded() const {
  const std::lock_guard lock(mutex_);
  std::vector<Loaded> all;
  for (const auto& [name, slot] : slots_) {
    if (slot.answerer == nullptr) continue;
    Loaded& one = all.emplace_back();
    one.name = name;
    if (!slot.is_in_use() && slot.keep_alive >= std::chrono::seconds(0)) one.expires = slot.last_use + slot.keep_alive;
    one.answerer = slot.answerer;
  }
  return all;
}

}  // namespace carat
