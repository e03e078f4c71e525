// Against servers that misbehave; tests/cli/test_agent.py has a real one.
#include "agent/mcp_client.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace carat {
namespace {

// A server that answers each line it gets with the next of these, its own id put in place of ID.
std::vector<std::string> server(std::vector<std::string> replies, const std::string& end = "cat > /dev/null") {
  std::string script = "n=0; ";
  for (const std::string& reply : replies) {
    script += "n=$((n+1)); IFS= read -r line; printf '%s\\n' '" + reply + "'; ";
  }
  return {"sh", "-c", script + end};
}

const std::string kHello = R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{}}})";
// Said in answer to the notification that follows.
const std::string kNote = R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})";
const std::string kTools =
    R"({"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"add","description":"Adds","inputSchema":{"type":"object"}}]}})";

std::string error_of(const std::vector<std::string>& command, int seconds = 20) {
  try {
    const McpClient client(command, std::chrono::seconds(seconds));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(McpClient, ListsAndCalls) {
  McpClient client(
      server(
          {kHello, kNote, kTools,
           R"({"jsonrpc":"2.0","id":99,"method":"ping"}
)"
           R"({"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"3"},{"type":"image","data":""}]}})",
           "", R"({"jsonrpc":"2.0","id":4,"error":{"code":-1,"message":"no way"}})",
           R"({"jsonrpc":"2.0","id":5,"result":{"content":[{"type":"text","text":"bad"}],"isError":true}})"},
          "exit 0"),
      std::chrono::seconds(20));
  ASSERT_EQ(client.tools().size(), 1U);
  EXPECT_EQ(client.tools()[0].name, "add");
  const ToolResult result = client.call(0, {{"a", 1}});
  EXPECT_FALSE(result.is_error);
  EXPECT_EQ(result.text, "3\n[image]");
  EXPECT_NE(client.call(0, {}).text.find("no way"), std::string::npos);
  const ToolResult bad = client.call(0, {});
  EXPECT_TRUE(bad.is_error);
  EXPECT_EQ(bad.text, "bad");
  EXPECT_NE(client.call(0, {}).text.find("ended"), std::string::npos);
  EXPECT_TRUE(client.call(0, {}).is_error);
}

TEST(McpClient, BadServersAreNamed) {
  EXPECT_NE(error_of({"/no/such/server"}).find("could not be started"), std::string::npos);
  EXPECT_NE(error_of({"sh", "-c", "echo trouble >&2; exit 1"}).find("It wrote: trouble"), std::string::npos);
  EXPECT_NE(error_of({"sh", "-c", "sleep 30"}, 1).find("did not answer \"initialize\" within 1 s"), std::string::npos);
  EXPECT_NE(error_of(server({"hello"})).find("no message: hello"), std::string::npos);
  EXPECT_NE(error_of(server({"[]"})).find("no object"), std::string::npos);
  EXPECT_NE(error_of(server({R"({"id":1,"result":5})"})).find("protocol version"), std::string::npos);
  EXPECT_NE(error_of(server({kHello, kNote, R"({"id":2,"result":{"tools":[{}]}})"})).find("without a name"),
            std::string::npos);
  EXPECT_NE(error_of({"sh", "-c", "yes | tr -d '\\n'"}).find("more than"), std::string::npos);
}

TEST(SplitWords, SplitsAsAShellDoes) {
  EXPECT_EQ(split_words(R"(a  "b c" 'd "e"' f\ g "" x'y'z)"),
            (std::vector<std::string>{"a", "b c", "d \"e\"", "f g", "", "xyz"}));
  EXPECT_EQ(split_words("$(x) `y` ;z"), (std::vector<std::string>{"$(x)", "`y`", ";z"}));
  EXPECT_TRUE(split_words("  ").empty());
  EXPECT_THROW(split_words("'a"), Error);
}

}  // namespace
}  // namespace carat
