#include "chat/chat_template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "chat/test_data.h"

namespace carat {
namespace {

RenderOptions options_of(const json::object& request) {
  RenderOptions options;
  const json::object& given = request.at("options").as_object();
  options.add_generation_prompt = given.at("add_generation_prompt").as_bool();
  if (const json::value* thinking = given.if_contains("enable_thinking")) options.enable_thinking = thinking->as_bool();
  return options;
}

// The message of an expected error without the name of Python's exception.
std::string reason_of(const json::value& expected) {
  const std::string text(expected.as_object().at("error").as_string());
  return text.substr(text.find(": ") + 2);
}

void expect_golden(const std::string& template_file, std::string_view field) {
  const ChatTemplate chat(read_test_file("data/" + template_file));
  const auto requests = read_json_lines("golden/chat/render.jsonl");
  ASSERT_EQ(requests.size(), 104U);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(str("request ", i + 1, " of ", template_file));
    const json::object& request = requests[i];
    const json::value& expected = request.at(field);
    const auto render = [&] {
      return chat.render(request.at("messages").as_array(), request.at("tools"), options_of(request)).bytes();
    };
    if (expected.is_string()) {
      EXPECT_EQ(render(), std::string_view(expected.as_string()));
      continue;
    }
    try {
      render();
      FAIL() << "expected: " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_NE(std::string(error.what()).find(reason_of(expected)), std::string::npos) << error.what();
    }
  }
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
  expect_golden("gemma4-chat-template.jinja", "expected");
}
TEST(ChatTemplate, RendersTheGgufRevision) {
  expect_golden("gemma4-chat-template-gguf.jinja", "expected_gguf");
}
TEST(ChatTemplate, RendersTheInterleavedRevision) {
  expect_golden("gemma4-chat-template-interleaved.jinja", "expected_interleaved");
}

TEST(ChatTemplate, NamesTheOfficialRevisions) {
  EXPECT_EQ(template_revision(read_test_file("data/gemma4-chat-template.jinja")), "31B-it");
  EXPECT_EQ(template_revision(read_test_file("data/gemma4-chat-template-gguf.jinja")), "gguf");
  EXPECT_EQ(template_revision(read_test_file("data/gemma4-chat-template-interleaved.jinja")), "interleaved");
  EXPECT_EQ(template_revision("{{ messages }}"), "custom");
  EXPECT_EQ(template_revision(builtin_template("gemma4")), "31B-it");
}

}  // namespace
}  // namespace carat
