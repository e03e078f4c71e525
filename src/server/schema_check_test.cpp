#include "server/schema_check.h"

#include <gtest/gtest.h>

#include "server/api_document.h"
#include "server/api_error.h"

namespace carat {
namespace {

// "path message" of what is wrong, empty if nothing is.
std::string problem(std::string_view value, std::string_view schema) {
  const json::value root = json::parse(R"({"defs": {"name": {"type": "string", "minLength": 2},
    "cat": {"type": "object", "properties": {"kind": {"enum": ["cat"]}, "lives": {"type": "integer"}}},
    "dog": {"type": "object", "required": ["tail"]}}})");
  const auto found = check_schema(json::parse(value), json::parse(schema), root);
  return found ? found->path + " " + found->message : "";
}

TEST(SchemaCheck, Types) {
  for (const auto& [value, type] : std::vector<std::pair<std::string, std::string>>{{"1", "integer"},
                                                                                    {"1.0", "integer"},
                                                                                    {"-0.0", "integer"},
                                                                                    {"18446744073709551615", "integer"},
                                                                                    {"1.5", "number"},
                                                                                    {"1", "number"},
                                                                                    {"\"\"", "string"},
                                                                                    {"[]", "array"},
                                                                                    {"{}", "object"},
                                                                                    {"true", "boolean"},
                                                                                    {"null", "null"}}) {
    EXPECT_EQ(problem(value, R"({"type": ")" + type + "\"}"), "") << value;
  }
  EXPECT_EQ(problem("1.5", R"({"type": "integer"})"), " must be an integer");
  EXPECT_EQ(problem("1e300", R"({"type": "integer"})"), " must be an integer");
  EXPECT_EQ(problem("-9223372036854775809", R"({"type": "integer"})"), " must be an integer");
  EXPECT_EQ(problem("1e9", R"({"type": "integer", "maximum": 100})"), " must be at most 100");
  EXPECT_EQ(problem("\"1\"", R"({"type": ["integer", "null"]})"), " must be an integer or null");
  EXPECT_EQ(problem("true", R"({"type": "number"})"), " must be a number");
}

TEST(SchemaCheck, Values) {
  EXPECT_EQ(problem("0", R"({"minimum": 1})"), " must be at least 1");
  EXPECT_EQ(problem("9223372036854775808", R"({"maximum": 9223372036854775807})"),
            " must be at most 9223372036854775807");
  EXPECT_EQ(problem("9223372036854775807", R"({"maximum": 9223372036854775807})"), "");
  EXPECT_EQ(problem("\"c\"", R"({"enum": ["a", "b"]})"), " must be one of [\"a\",\"b\"]");
  EXPECT_EQ(problem("\"äöü\"", R"({"maxLength": 3})"), "");
  EXPECT_EQ(problem("\"äöüx\"", R"({"maxLength": 3})"), " must have at most 3 characters");
  EXPECT_EQ(problem("[1, 2]", R"({"maxItems": 1})"), " must have at most 1 items");
  EXPECT_EQ(problem("[]", R"({"minItems": 1})"), " must have at least 1 items");
  EXPECT_EQ(problem(R"({"a": 1, "b": 2})", R"({"maxProperties": 1})"), " must have at most 1 members");
  constexpr const char* kPattern = R"({"pattern": "^[A-Za-z0-9_.-]{1,4}$"})";
  for (const char* text : {"\"a\"", "\"A-_.\"", "\"0\""}) EXPECT_EQ(problem(text, kPattern), "") << text;
  for (const char* text : {"\"\"", "\"abcde\"", "\"a b\"", "\"ä\"", "\"a\\u0000\""})
    EXPECT_NE(problem(text, kPattern), "") << text;
}

TEST(SchemaCheck, Places) {
  constexpr const char* kSchema = R"({"type": "object", "required": ["names"], "properties": {
    "names": {"type": "array", "items": {"$ref": "#/defs/name"}}, "more": {"additionalProperties": {"type": "number"}}}})";
  EXPECT_EQ(problem(R"({"names": ["Ada"], "unknown": 1})", kSchema), "");
  EXPECT_EQ(problem("{}", kSchema), "names is required");
  EXPECT_EQ(problem(R"({"names": ["Ada", "B"]})", kSchema), "names[1] must have at least 2 characters");
  EXPECT_EQ(problem(R"({"names": ["Ada", 3]})", kSchema), "names[1] must be a string");
  EXPECT_EQ(problem(R"({"names": [], "more": {"a": "b"}})", kSchema), "more.a must be a number");
}

TEST(SchemaCheck, Branches) {
  constexpr const char* kAny = R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})";
  EXPECT_EQ(problem("\"x\"", kAny), "");
  EXPECT_EQ(problem("[\"x\"]", kAny), "");
  EXPECT_EQ(problem("3", kAny), " must be a string or an array");
  EXPECT_EQ(problem("[3]", kAny), "[0] must be a string");
  constexpr const char* kTagged = R"({"type": "object", "required": ["kind"],
    "properties": {"kind": {"type": "string", "enum": ["cat", "dog"]}},
    "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/defs/cat", "dog": "#/defs/dog"}}})";
  EXPECT_EQ(problem(R"({"kind": "cat", "lives": 9})", kTagged), "");
  EXPECT_EQ(problem(R"({"kind": "cat", "lives": "nine"})", kTagged), "lives must be an integer");
  EXPECT_EQ(problem(R"({"kind": "dog"})", kTagged), "tail is required");
  EXPECT_EQ(problem(R"({"kind": "cow"})", kTagged), "kind must be one of [\"cat\",\"dog\"]");
  EXPECT_EQ(problem("{}", kTagged), "kind is required");
}

TEST(SchemaCheck, WhatIsNotCheckedIsDropped) {
  const json::value root = json::parse(R"({"defs": {"body": {"type": "object", "properties": {
    "n": {"type": "integer"}, "options": {"type": ["object", "null"], "properties": {"k": {"type": "integer"}}},
    "free": {"type": "object"}, "map": {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
    "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "integer"}}}},
    "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"k": {"type": "integer"}}}]}}}}})");
  json::value value =
      json::parse(R"({"x": "?", "n": 1, "options": {"k": 2, "x": "?"}, "free": {"a": 1}, "map": {"b": "c"},
    "list": [{"k": 3, "more": 4}], "either": {"k": 5, "more": 6}})");
  drop_unchecked(value, json::parse(R"({"$ref": "#/defs/body"})"), root);
  EXPECT_EQ(value, json::parse(R"({"n": 1, "options": {"k": 2}, "free": {"a": 1}, "map": {"b": "c"},
    "list": [{"k": 3, "more": 4}], "either": {"k": 5, "more": 6}})"));
  value = json::parse(R"({"options": null})");
  drop_unchecked(value, json::parse(R"({"$ref": "#/defs/body"})"), root);
  EXPECT_EQ(value, json::parse(R"({"options": null})"));
}

TEST(ApiDocument, HoldsRequests) {
  const json::value* schema = body_schema("POST", "/v1/chat/completions");
  ASSERT_NE(schema, nullptr);
  EXPECT_NO_THROW(parse_body(R"({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})", *schema));
  for (const auto& [body, param] : std::vector<std::pair<std::string, std::string>>{
           {"[]", ""},
           {"{", ""},
           {R"({"messages": []})", "model"},
           {R"({"model": "m", "messages": []})", "messages"},
           {R"({"model": "m", "messages": [{"role": "user"}]})", "messages[0].content"},
           {R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]})",
            "messages[0].content[0].text"},
           {R"({"model": "m", "messages": [{"role": "user", "content": ""}], "n": 9})", "n"}}) {
    try {
      parse_body(body, *schema);
      ADD_FAILURE() << body;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), 400) << body;
      EXPECT_EQ(error.param(), param) << body;
    }
  }
  EXPECT_EQ(body_schema("GET", "/v1/models"), nullptr);
}

}  // namespace
}  // namespace carat
