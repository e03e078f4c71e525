// Metrics: what the server counts, in Prometheus' text format (version 0.0.4).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/answerer.h"

namespace carat {

// May be used by any thread.
class Metrics {
 public:
  void count_response(std::string_view route, int status, double seconds);
  // Of an answer that is complete.
  void count_answer(const Usage& usage, const Timings& timings);

  struct Model {
    std::string name;
    EngineStatus status;
  };
  std::string text(std::span<const Model> models, std::size_t connections, std::string_view version) const;

 private:
  class Histogram {
   public:
    void add(double seconds);
    void write(std::string& out, std::string_view name, std::string_view help) const;

   private:
    static constexpr std::array kBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0};
    std::array<std::uint64_t, kBounds.size() + 1> counts_{};
    double sum_ = 0;
  };

  mutable std::mutex mutex_;                                        // guards what follows
  std::map<std::pair<std::string, int>, std::uint64_t> responses_;  // by route and status
  Histogram response_seconds_, queue_seconds_, first_token_seconds_, token_seconds_;
  std::uint64_t prompt_tokens_ = 0, cached_tokens_ = 0, completion_tokens_ = 0;
};

}  // namespace carat
