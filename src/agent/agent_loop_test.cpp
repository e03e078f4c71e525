#include "agent/agent_loop.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/error.h"

namespace carat {
namespace {

class FakeTools final : public ToolSource {
 public:
  const std::vector<ToolDescription>& tools() const override { return tools_; }
  ToolResult call(std::size_t tool, const json::object& arguments) override {
    called.push_back(str(tools_[tool].name, json::serialize(arguments)));
    return {.text = str("result ", called.size()), .is_error = tool == 1};
  }
  std::vector<std::string> called;

 private:
  std::vector<ToolDescription> tools_{{"good", "Works", nullptr}, {"bad", "Fails", nullptr}};
};

json::object call(const char* name) {
  return {{"name", name}, {"arguments", {{"a", 1}}}};
}

// A model that says what a test wrote down, and keeps what it was shown.
struct ScriptedModel {
  std::deque<ModelTurn> turns;
  std::vector<json::array> seen{};

  ModelTurn operator()(const json::array& messages) {
    seen.push_back(messages);
    ModelTurn turn = turns.front();
    turns.pop_front();
    return turn;
  }
};

class AgentLoop : public testing::Test {
 protected:
  AgentLoop() {
    auto source = std::make_unique<FakeTools>();
    tools = source.get();
    toolbox.add(std::move(source));
  }
  AgentEnding run(std::size_t max_rounds = 10) {
    return run_agent(messages, toolbox,
                     {.ask = [&](const json::array& shown) { return model(shown); },
                      .may_call = [&](const std::string& name, const json::object&) { return name != forbidden; },
                      .on_result = {}},
                     max_rounds);
  }

  Toolbox toolbox;
  FakeTools* tools = nullptr;
  ScriptedModel model;
  std::string forbidden;
  json::array messages{{{"role", "user"}, {"content", "Do it."}}};
};

TEST_F(AgentLoop, ResultsGoBackUntilThereIsAnAnswer) {
  model.turns = {{.reasoning = "I call.", .tool_calls = {call("good"), call("bad")}},
                 {.tool_calls = {call("good")}},
                 {.content = "Done."}};
  EXPECT_EQ(run(), AgentEnding::kAnswered);
  EXPECT_EQ(tools->called, (std::vector<std::string>{R"(good{"a":1})", R"(bad{"a":1})", R"(good{"a":1})"}));
  ASSERT_EQ(model.seen.size(), 3U);
  EXPECT_EQ(
      json::serialize(model.seen[1]),
      R"([{"role":"user","content":"Do it."},{"role":"assistant","content":"","reasoning":"I call.","tool_calls":[)"
      R"({"id":"call_2","type":"function","function":{"name":"good","arguments":{"a":1}}},)"
      R"({"id":"call_3","type":"function","function":{"name":"bad","arguments":{"a":1}}}]},)"
      R"({"role":"tool","tool_call_id":"call_2","name":"good","content":"result 1"},)"
      R"({"role":"tool","tool_call_id":"call_3","name":"bad","content":"Error: result 2"}])");
  EXPECT_EQ(messages.back(), json::value({{"role", "assistant"}, {"content", "Done."}}));
}

TEST_F(AgentLoop, WhatIsNotAllowedIsNotCalled) {
  forbidden = "good";
  model.turns = {{.tool_calls = {call("good"), call("missing")}}, {.content = "Pity."}};
  EXPECT_EQ(run(), AgentEnding::kAnswered);
  EXPECT_TRUE(tools->called.empty());
  EXPECT_EQ(model.seen[1][2].at("content"), "Error: The user did not allow this call.");
  EXPECT_EQ(model.seen[1][3].at("content"), "Error: There is no tool called \"missing\".");
}

TEST_F(AgentLoop, EndsWithoutAnAnswerInOtherWays) {
  model.turns = {{.tool_calls = {call("good")}}, {.content = ""}};
  EXPECT_EQ(run(), AgentEnding::kSilent);
  model.turns = {{.tool_calls = {call("good")}}, {.tool_calls = {call("good")}}, {.content = "too late"}};
  EXPECT_EQ(run(1), AgentEnding::kRounds);
  EXPECT_EQ(tools->called.size(), 2U);
  model.turns = {{.content = "Half", .tool_calls = {call("good")}, .is_whole = false}};
  EXPECT_EQ(run(), AgentEnding::kCut);
  EXPECT_EQ(tools->called.size(), 2U);
}

TEST_F(AgentLoop, NamesAreUnique) {
  EXPECT_THROW(toolbox.add(std::make_unique<FakeTools>()), Error);
}

TEST(ReadableText, CutsWholeCharactersAndMendsBytes) {
  EXPECT_EQ(readable_text("abc", 3), "abc");
  EXPECT_EQ(readable_text("ab\xc3\xa9", 3), "ab\n[cut here: 2 more bytes]");
  EXPECT_EQ(readable_text("a\xff\xc3\xa9\xe2\x82", 9), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace carat
