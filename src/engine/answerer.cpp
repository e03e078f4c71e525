#include "engine/answerer.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace carat {

bool WholeAnswer::add(Event&& event) {
  if (choices.size() <= event.choice) choices.resize(event.choice + 1);
  Choice& choice = choices[event.choice];
  const auto append = [](std::vector<TokenLogprob>& all, std::vector<TokenLogprob>& more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  if (const auto* reasoning = std::get_if<ReasoningText>(&event.body)) {
    choice.reasoning += reasoning->text;
  } else if (const auto* content = std::get_if<ContentText>(&event.body)) {
    choice.content += content->text;
  } else if (const auto* unparsed = std::get_if<UnparsedText>(&event.body)) {
    choice.unparsed += unparsed->text;
  } else if (auto* begin = std::get_if<ToolCallBegin>(&event.body)) {
    choice.tool_calls.push_back({std::move(begin->name), {}});
  } else if (const auto* arguments = std::get_if<ToolCallArguments>(&event.body)) {
    choice.tool_calls[arguments->call].arguments += arguments->json;
  } else if (auto* logprobs = std::get_if<TokenLogprobs>(&event.body)) {
    append(choice.logprobs, logprobs->tokens);
  } else if (auto* prompt = std::get_if<PromptLogprobs>(&event.body)) {
    append(choice.prompt_logprobs, prompt->tokens);
  } else if (auto* embedding = std::get_if<Embedding>(&event.body)) {
    choice.embedding = std::move(embedding->values);
  } else if (auto* finished = std::get_if<Finished>(&event.body)) {
    choice.finished = std::move(*finished);
  } else if (const auto* started = std::get_if<Started>(&event.body)) {
    usage = started->usage;
  } else if (const auto* done = std::get_if<Done>(&event.body)) {
    usage = done->usage;
    timings = done->timings;
    return true;
  }
  return false;
}

WholeAnswer answer_whole(Answerer& answerer, Request request) {
  // The listener may still be on its way out of its last call when this function returns: it shares what it needs.
  struct Waiting {
    std::mutex mutex;  // guards the others
    std::condition_variable is_over;
    bool is_done = false;
    WholeAnswer answer;
  };
  const auto waiting = std::make_shared<Waiting>();
  answerer.submit(std::move(request), [waiting](Event&& event) {
    const std::lock_guard lock(waiting->mutex);
    waiting->is_done = waiting->answer.add(std::move(event));
    if (waiting->is_done) waiting->is_over.notify_one();
  });
  std::unique_lock lock(waiting->mutex);
  waiting->is_over.wait(lock, [&] { return waiting->is_done; });
  return std::move(waiting->answer);
}

}  // namespace carat
