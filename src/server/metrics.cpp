#include "server/metrics.h"

#include <algorithm>
#include <sstream>

namespace carat {
namespace {

std::string number(double value) {
  std::ostringstream out;
  out.precision(9);
  out << value;
  return out.str();
}

// A label's value: quotes, backslashes and line ends are escaped.
std::string label_value(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

void write_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += str("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

}  // namespace

void Metrics::Histogram::add(double seconds) {
  const auto* bound = std::ranges::lower_bound(kBounds, seconds);
  ++counts_[static_cast<std::size_t>(bound - kBounds.begin())];
  sum_ += seconds;
}

void Metrics::Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
  write_head(out, name, "histogram", help);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
    out += str(name, "_bucket{le=\"", bound, "\"} ", total, "\n");
  }
  out += str(name, "_sum ", number(sum_), "\n", name, "_count ", total, "\n");
}

void Metrics::count_response(std::string_view route, int status, double seconds) {
  const std::scoped_lock lock(mutex_);
  ++responses_[{std::string(route), status}];
  response_seconds_.add(seconds);
}

void Metrics::count_answer(const Usage& usage, const Timings& timings) {
  const std::scoped_lock lock(mutex_);
  prompt_tokens_ += usage.prompt_tokens;
  cached_tokens_ += usage.cached_tokens;
  completion_tokens_ += usage.completion_tokens;
  queue_seconds_.add(timings.queued_seconds);
  first_token_seconds_.add(timings.queued_seconds + timings.prefill_seconds);
  if (usage.completion_tokens > 1) {
    token_seconds_.add(timings.generation_seconds / static_cast<double>(usage.completion_tokens - 1));
  }
}

std::string Metrics::text(std::span<const Model> models, std::size_t connections, std::string_view version) const {
  const std::scoped_lock lock(mutex_);
  std::string out;
  write_head(out, "carat_build_info", "gauge", "Version of the program.");
  out += str("carat_build_info{version=", label_value(version), "} 1\n");
  write_head(out, "carat_http_requests_total", "counter", "Answered requests; status 499: the client left.");
  for (const auto& [key, count] : responses_) {
    out +=
        str("carat_http_requests_total{route=", label_value(key.first), ",status=\"", key.second, "\"} ", count, "\n");
  }
  write_head(out, "carat_http_connections", "gauge", "Open connections.");
  out += str("carat_http_connections ", connections, "\n");
  response_seconds_.write(out, "carat_http_request_seconds", "From a request to the end of its answer.");
  queue_seconds_.write(out, "carat_queue_seconds", "From a request to its first step.");
  first_token_seconds_.write(out, "carat_time_to_first_token_seconds", "From a request to its first token.");
  token_seconds_.write(out, "carat_inter_token_seconds", "Between two tokens of an answer, its mean.");

  const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    write_head(out, name, "counter", help);
    out += str(name, " ", value, "\n");
  };
  counter("carat_prompt_tokens_total", "Tokens of prompts.", prompt_tokens_);
  counter("carat_cached_tokens_total", "Of these, found in the prefix cache.", cached_tokens_);
  counter("carat_completion_tokens_total", "Generated tokens.", completion_tokens_);

  const auto per_model = [&](std::string_view name, std::string_view type, std::string_view help, auto member) {
    write_head(out, name, type, help);
    for (const Model& model : models) {
      out += str(name, "{model=", label_value(model.name), "} ", model.status.*member, "\n");
    }
  };
  per_model("carat_requests_queued", "gauge", "Requests that wait.", &EngineStatus::queued);
  per_model("carat_sequences_running", "gauge", "Answers being computed.", &EngineStatus::running);
  per_model("carat_kv_bytes", "gauge", "Keys and values held, cached ones included.", &EngineStatus::kv_bytes);
  per_model("carat_kv_cached_bytes", "gauge", "Of these, held by the prefix cache alone.",
            &EngineStatus::kv_cached_bytes);
  per_model("carat_kv_budget_bytes", "gauge", "Most bytes of keys and values.", &EngineStatus::kv_budget_bytes);
  per_model("carat_cancelled_total", "counter", "Answers whose client left.", &EngineStatus::cancelled);
  per_model("carat_failed_total", "counter", "Answers that failed.", &EngineStatus::failed);
  per_model("carat_refused_total", "counter", "Requests refused as the queue was full.", &EngineStatus::refused);
  per_model("carat_preempted_total", "counter", "Sequences that made room for others.", &EngineStatus::preempted);
  per_model("carat_steps_total", "counter", "Steps of the engine.", &EngineStatus::steps);
  per_model("carat_guessed_tokens_total", "counter", "Tokens that an assistant guessed.",
            &EngineStatus::guessed_tokens);
  per_model("carat_accepted_guesses_total", "counter", "Of these, that came true.", &EngineStatus::accepted_guesses);
  return out;
}

}  // namespace carat
