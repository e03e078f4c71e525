#include "engine/answer_ends.h"

#include <gtest/gtest.h>

#include <new>
#include <variant>
#include <vector>

#include "base/error.h"

namespace carat {
namespace {

TEST(AnswerEnds, EveryChoiceFinishesAndTheAnswerIsDoneOnce) {
  std::vector<Event> events;
  PendingAnswer answer;
  answer.request.choices = 3;
  answer.listener = [&](Event&& event) { events.push_back(std::move(event)); };
  AnswerEnds ends;
  Finished stopped = finished_for(FinishReason::kStop);
  stopped.completion_tokens = 5;
  ends.end_choice(answer, 0, stopped);
  EXPECT_EQ(ends.counters().finished, 0U);
  ends.end_unforked(answer, finished_for(FinishReason::kCancelled));

  ASSERT_EQ(events.size(), 4U);
  for (std::size_t choice = 0; choice < 3; ++choice) {
    EXPECT_EQ(events[choice].choice, choice);
    EXPECT_TRUE(std::holds_alternative<Finished>(events[choice].body));
  }
  ASSERT_TRUE(std::holds_alternative<Done>(events[3].body));
  EXPECT_EQ(std::get<Done>(events[3].body).usage.completion_tokens, 5U);
  EXPECT_EQ(ends.counters().finished, 1U);
  EXPECT_EQ(ends.counters().cancelled, 1U);
  EXPECT_EQ(ends.counters().failed, 0U);
  EXPECT_EQ(ends.counters().completion_tokens, 5U);
}

TEST(AnswerEnds, AnAnswerThatWaitedEndsAsAWhole) {
  std::vector<Event> events;
  PendingAnswer answer;
  answer.request.choices = 2;
  answer.prompt.ids = {2, 3, 4};
  answer.listener = [&](Event&& event) { events.push_back(std::move(event)); };
  AnswerEnds ends;
  ends.end_waiting(answer, finished_by(Error(ErrorKind::kBadFile, "it is damaged.")));
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(std::get<Finished>(events[1].body).error, "it is damaged.");
  EXPECT_EQ(std::get<Done>(events[2].body).usage.prompt_tokens, 3U);
  EXPECT_EQ(ends.counters().failed, 1U);
}

TEST(AnswerEnds, AnErrorIsTold) {
  const Finished damaged = finished_by(Error(ErrorKind::kUnsupported, "not here."));
  EXPECT_EQ(damaged.reason, FinishReason::kError);
  EXPECT_EQ(damaged.error_kind, ErrorKind::kUnsupported);
  EXPECT_EQ(damaged.error, "not here.");
  const Finished full = finished_by(std::bad_alloc());
  EXPECT_EQ(full.error_kind, ErrorKind::kOutOfMemory);
  EXPECT_NE(full.error.find("memory"), std::string::npos);
}

}  // namespace
}  // namespace carat
