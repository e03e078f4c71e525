#include "agent/command_tools.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"

namespace carat {
namespace {

ToolResult run(json::array command, const json::object& arguments = {}, int timeout_seconds = 20) {
  CommandTools tools(json::array{{{"name", "t"}, {"command", std::move(command)}}}, "file",
                     std::chrono::seconds(timeout_seconds));
  return tools.call(0, arguments);
}

std::string error_of(std::string_view document) {
  try {
    CommandTools(json::parse(document), "tools.json", std::chrono::seconds(1));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CommandTools, ArgumentsGoInAndOutputComesBack) {
  const ToolResult result = run({"cat"}, {{"city", "Rome\n\"x\""}});
  EXPECT_FALSE(result.is_error);
  EXPECT_EQ(result.text, "{\"city\":\"Rome\\n\\\"x\\\"\"}\n");
}

TEST(CommandTools, NoShellReadsAnything) {
  const auto mark = std::filesystem::temp_directory_path() / "carat-command-tools-test";
  std::filesystem::remove(mark);
  const std::string hostile = "$(touch " + mark.string() + "); `touch " + mark.string() + "` | touch " + mark.string();
  EXPECT_EQ(run({"echo", hostile}, {{"a", hostile}}).text, hostile + "\n");
  EXPECT_NE(run({"cat"}, {{"a", hostile}}).text.find("$(touch"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(CommandTools, FailuresAreResults) {
  const ToolResult failed = run({"sh", "-c", "echo out; echo why >&2; exit 3"});
  EXPECT_TRUE(failed.is_error);
  EXPECT_EQ(failed.text, "The tool failed with exit code 3.\nwhy\nout\n");
  EXPECT_NE(run({"sh", "-c", "kill -9 $$"}).text.find("exit code 137"), std::string::npos);
  EXPECT_NE(run({"/no/such/program"}).text.find("could not be started"), std::string::npos);
}

TEST(CommandTools, TimeAndOutputAreLimited) {
  const auto begin = std::chrono::steady_clock::now();
  const ToolResult slow = run({"sh", "-c", "sleep 30 & sleep 30"}, {}, 1);
  EXPECT_TRUE(slow.is_error);
  EXPECT_NE(slow.text.find("longer than 1 s"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));

  const ToolResult much = run({"head", "-c", "1000000", "/dev/zero"});
  EXPECT_FALSE(much.is_error);
  EXPECT_LE(much.text.size(), CommandTools::kMaxOutputBytes + 100);
  EXPECT_NE(much.text.find("[cut here: 934464 more bytes]"), std::string::npos);
}

// More goes in than a pipe holds, and nobody reads it; or what is started stays behind with the output open.
TEST(CommandTools, NobodyWaitsForTheOther) {
  EXPECT_FALSE(run({"true"}, {{"a", std::string(1 << 20, 'x')}}).is_error);
  EXPECT_EQ(run({"sh", "-c", "sleep 30 & echo done"}).text, "done\n");
  EXPECT_GT(run({"cat"}, {{"a", std::string(1 << 20, 'x')}}).text.size(), CommandTools::kMaxOutputBytes);
}

TEST(CommandTools, MistakesInTheFileAreNamed) {
  EXPECT_EQ(error_of("{}"), "tools.json: expected a list of tools, or {\"tools\": [...]}.");
  EXPECT_EQ(error_of(R"([{"command":["a"]}])"), "tools.json: tool 1 has no text \"name\".");
  EXPECT_NE(error_of(R"([{"name":"a","command":"rm -rf /"}])").find("No shell reads it"), std::string::npos);
  EXPECT_NE(error_of(R"([{"name":"a","command":["a"],"timeout":1}])").find("\"timeout\""), std::string::npos);
  EXPECT_NE(error_of(R"([{"name":"a","command":["a"],"timeout_seconds":0}])").find("timeout_seconds"),
            std::string::npos);
  EXPECT_EQ(error_of(R"({"tools":[{"name":"a","command":["a"],"parameters":{"type":"object"}}]})"), "");
}

}  // namespace
}  // namespace carat
