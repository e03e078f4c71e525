#include "grammar/grammar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "sampling/random.h"
#include "text/load_tokenizer.h"
#include "text/tiny_vocab.h"

namespace carat {
namespace {

// The bytes, Gemma's control tokens, and pieces that cross the borders of what rules describe.
Vocab tiny_vocab() {
  VocabSource source =
      tiny::source({"{\"", "\":",   "\", \"", "\"}", "},",       "true", "tru", "12", "-1",  "0.",  "\n  ",
                    " \"", "call:", ":{",     "abc", "\xc3\xa9", "\\\"", "\\u", "[]", "],[", "yes", "no"});
  for (const char* name : {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|\"|>", "<turn|>"}) {
    source.tokens.push_back({name, TokenType::kControl});
  }
  source.ends.push_back(static_cast<std::int64_t>(source.tokens.size()) - 1);
  return Vocab(source, "tiny");
}

// The longest token at each place; control tokens spelled out stand for themselves.
std::vector<std::int32_t> tokens_of(const Vocab& vocab, std::string_view text) {
  std::vector<std::int32_t> ids;
  while (!text.empty()) {
    std::size_t size = std::min<std::size_t>(text.size(), 16);
    while (size > 1 && !vocab.find(text.substr(0, size))) --size;
    const auto found = vocab.find(text.substr(0, size));
    ids.push_back(found ? *found : vocab.byte_id(static_cast<std::uint8_t>(text[0])));
    text.remove_prefix(size);
  }
  return ids;
}

class GrammarTest : public testing::Test {
 protected:
  // The text is allowed token by token, and an answer may end behind it.
  bool matches(const GrammarSpec& format, std::string_view text) {
    GrammarState state(compiler.compile(format));
    for (const std::int32_t id : tokens_of(vocab, text)) {
      const bool is_allowed = state.allowed().allows(id);
      EXPECT_EQ(state.accept(id), is_allowed) << text;
      if (!is_allowed) return false;
    }
    EXPECT_EQ(state.allowed().allows(*vocab.eos()), state.is_complete()) << text;
    return state.is_complete();
  }
  bool schema_matches(std::string_view schema, std::string_view text) {
    return matches({.content = JsonSchemaFormat{.schema = json::parse(schema)}}, text);
  }
  std::string error_of(const GrammarSpec& format) {
    try {
      compiler.compile(format);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  std::string schema_error(std::string_view schema) {
    return error_of({.content = JsonSchemaFormat{.schema = json::parse(schema)}});
  }

  const Vocab vocab = tiny_vocab();
  GrammarCompiler compiler{vocab, {}, 1};
};

TEST_F(GrammarTest, ValuesOfEachType) {
  struct Case {
    const char* schema;
    std::vector<const char*> valid, invalid;
  };
  const std::vector<Case> cases{
      {R"({"type":"boolean"})", {"true", "false"}, {"null", "True", " true", "true "}},
      {R"({"type":"null"})", {"null"}, {"0"}},
      {R"({"type":"integer"})", {"0", "-1", "12", "123456789012345"}, {"01", "-0", "1.0", "+1", "1234567890123456"}},
      {R"({"type":"integer","minimum":-12,"exclusiveMaximum":105})",
       {"-12", "-9", "0", "99", "100", "104"},
       {"-13", "105", "110", "1000"}},
      {R"({"type":"integer","minimum":98,"maximum":2001})", {"98", "99", "100", "1999", "2001"}, {"97", "2002", "9"}},
      {R"({"type":"number"})", {"0", "-0.5", "12e3", "1.5E-7"}, {".5", "1.", "--1", "1e999"}},
      {R"({"type":"number","minimum":0.25,"maximum":1.5})",
       {"0.25", "0.3", "0.250001", "1", "1.5", "1.50", "1.4999"},
       {"0.2", "0.24", "1.51", "2", "0", "-1"}},
      {R"({"type":"number","exclusiveMinimum":-1,"exclusiveMaximum":0.1})",
       {"-0.5", "-0.999999", "0", "0.05", "0.0"},
       {"-1", "-1.0", "0.1", "0.10", "0.2"}},
      {R"({"type":"string"})", {R"("")", R"("a\"é")", R"("\u00e9")"}, {R"("a)", R"("\ud800")", "\"\n\"", "a"}},
      {R"({"type":"string","minLength":2,"maxLength":4})",
       {R"("ab")", R"("abcd")", R"("éé")"},
       {R"("a")", R"("abcde")", R"("abcabc")"}},
      {R"({"type":"string","pattern":"^[a-c]+-\\d{2}$"})", {R"("abc-12")"}, {R"("abc-1")", R"("x-12")"}},
      {R"({"type":"string","pattern":"b|^y"})", {R"("abc")", R"("yes")"}, {R"("no")"}},
      {R"({"type":"string","format":"date"})",
       {R"("2024-02-29")", R"("1999-12-31")"},
       {R"("2023-02-29")", R"("2024-04-31")", R"("2024-13-01")"}},
      {R"({"enum":["yes",1,null,{"a":[true]}]})", {R"("yes")", "1", "null", R"({"a": [true]})"}, {R"("no")", "2"}},
      {R"({"const":"a\"b"})", {R"("a\"b")"}, {R"("ab")"}},
      {R"({"type":["integer","null"]})", {"1", "null"}, {R"("1")"}},
      {"true", {"[]", "{}", R"([1, {"a": null}])"}, {"[,]", "{1}"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.schema);
    for (const char* text : c.valid) EXPECT_TRUE(schema_matches(c.schema, text)) << text;
    for (const char* text : c.invalid) EXPECT_FALSE(schema_matches(c.schema, text)) << text;
  }
}

TEST_F(GrammarTest, ArraysAndObjects) {
  constexpr const char* kList = R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})";
  for (const char* text : {"[1]", "[1, 2]", "[1,2,3]", "[\n  1,\n  2\n]"})
    EXPECT_TRUE(schema_matches(kList, text)) << text;
  for (const char* text : {"[]", "[1,2,3,4]", "[1,]", "[\"1\"]"}) EXPECT_FALSE(schema_matches(kList, text)) << text;

  constexpr const char* kTuple = R"({"prefixItems":[{"type":"integer"},{"type":"boolean"}],"minItems":1})";
  EXPECT_TRUE(schema_matches(kTuple, "[1]"));
  EXPECT_TRUE(schema_matches(kTuple, "[1, true]"));
  EXPECT_FALSE(schema_matches(kTuple, "[]"));
  EXPECT_FALSE(schema_matches(kTuple, "[1, true, 2]"));

  constexpr const char* kObject =
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"},"c":{"type":"null"}},"required":["b"]})";
  for (const char* text : {R"({"b": true})", R"({"a": 1, "b": true})", R"({"a":1,"b":true,"c":null})"}) {
    EXPECT_TRUE(schema_matches(kObject, text)) << text;
  }
  for (const char* text :
       {"{}", R"({"a": 1})", R"({"b": true, "a": 1})", R"({"b": true, "d": 1})", R"({"b": true,})"}) {
    EXPECT_FALSE(schema_matches(kObject, text)) << text;
  }

  constexpr const char* kOpen = R"({"properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})";
  for (const char* text : {"{}", R"({"ab": 1, "abc": true})", R"({"a": true, "x_1": false})"}) {
    EXPECT_TRUE(schema_matches(kOpen, text)) << text;
  }
  EXPECT_FALSE(schema_matches(kOpen, R"({"ab": true})"));
  EXPECT_FALSE(schema_matches(kOpen, R"({"x": 1})"));
}

TEST_F(GrammarTest, ReferencesAndCombinations) {
  constexpr const char* kTree =
      R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},)"
      R"("next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v"]}}})";
  EXPECT_TRUE(schema_matches(kTree, R"({"v": 1, "next": {"v": 2, "next": null}})"));
  EXPECT_FALSE(schema_matches(kTree, R"({"v": 1, "next": {"next": null}})"));

  constexpr const char* kBoth = R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},)"
                                R"({"properties":{"a":{"minimum":5},"b":{"type":"boolean"}}}]})";
  EXPECT_TRUE(schema_matches(kBoth, R"({"a": 5, "b": true})"));
  EXPECT_FALSE(schema_matches(kBoth, R"({"a": 4})"));

  constexpr const char* kKinds =
      R"({"oneOf":[{"type":"object","properties":{"k":{"const":"x"},"n":{"type":"integer"}},"required":["k"]},)"
      R"({"type":"object","properties":{"k":{"const":"y"}},"required":["k"]}]})";
  EXPECT_TRUE(schema_matches(kKinds, R"({"k": "x", "n": 1})"));
  EXPECT_TRUE(schema_matches(kKinds, R"({"k": "y"})"));
  EXPECT_FALSE(schema_matches(kKinds, R"({"k": "y", "n": 1})"));
}

TEST_F(GrammarTest, WhatIsNotUnderstoodIsRefusedByName) {
  EXPECT_EQ(schema_error(R"({"properties":{"a":{"type":"array","uniqueItems":true}}})"),
            "schema at /properties/a: the keyword \"uniqueItems\" is not supported in a schema for answers; "
            "docs/structured-output.md lists those that are");
  for (const char* keyword : {"not", "if", "patternProperties", "contains", "multipleOf", "$dynamicRef", "maxlength"}) {
    EXPECT_NE(schema_error(str(R"({"type":"object",")", keyword, R"(":{"a":1}})")).find(str("\"", keyword, "\"")),
              std::string::npos);
  }
  EXPECT_EQ(error_of({.content = JsonSchemaFormat{json::parse(R"({"type":"integer","multipleOf":3})"), false}}), "");
  EXPECT_NE(schema_error(R"({"$ref":"https://example.com/x"})").find("points out of the schema"), std::string::npos);
  EXPECT_NE(schema_error(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})").find("oneOf"), std::string::npos);
  EXPECT_NE(schema_error(R"x({"type":"string","pattern":"a(?=b)"})x").find("looks ahead"), std::string::npos);
}

TEST_F(GrammarTest, HostileSchemasAreRefused) {
  EXPECT_NE(
      schema_error(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})").find("no value is valid"),
      std::string::npos);
  EXPECT_NE(schema_error(R"({"$ref":"#"})"), "");
  EXPECT_NE(schema_error(R"({"$ref":"#","type":"object"})"), "");
  EXPECT_NE(schema_error(R"({"anyOf":[{"$ref":"#","title":"a","minimum":1},{"$ref":"#","minimum":2}]})"), "");
  EXPECT_NE(schema_error("[]"), "");
  EXPECT_NE(schema_error(R"({"type":"strange"})"), "");
  EXPECT_NE(schema_error(R"({"minItems":1e300,"type":"array"})"), "");
  std::string deep = "true";
  for (int i = 0; i < 65; ++i) deep = R"({"items":)" + deep + "}";
  json::parse_options options;
  options.max_depth = 200;
  EXPECT_NE(error_of({.content = JsonSchemaFormat{json::parse(deep, {}, options)}}).find("nests more"),
            std::string::npos);
  EXPECT_NE(error_of({.content = RegexFormat{std::string(60'000, '(')}}), "");
  EXPECT_NE(error_of({.content = RegexFormat{std::string(200, '(') + "a" + std::string(200, ')')}}), "");
  EXPECT_NE(error_of({.content = RegexFormat{"((a{1000}){1000}){1000}"}}), "");
  EXPECT_NE(error_of({.content = RegexFormat{"*a"}}), "");
  EXPECT_NE(error_of({.content = RegexFormat{"a)"}}), "");
  EXPECT_NE(error_of({.content = GrammarFormat{"root ::= " + std::string(60'000, '(')}}), "");
  EXPECT_NE(error_of({.content = GrammarFormat{"root ::= root \"a\""}}).find("no text at all"), std::string::npos);
  EXPECT_NE(error_of({.content = GrammarFormat{"root ::= missing"}}).find("missing"), std::string::npos);
  EXPECT_NE(error_of({.content = GrammarFormat{"root ::= Token(3)"}}).find("not available"), std::string::npos);
  EXPECT_NE(error_of({.content = GrammarFormat{"a ::= \"x\""}}), "");
  EXPECT_NE(error_of({.content = ChoiceFormat{}}), "");
  EXPECT_NE(error_of({.content = GrammarFormat{std::string(300 << 10, ' ')}}).find("limit"), std::string::npos);
}

TEST_F(GrammarTest, OtherFormats) {
  EXPECT_TRUE(matches({.content = JsonObjectFormat{}}, R"({"a": [1, {}], "b": "x"})"));
  EXPECT_FALSE(matches({.content = JsonObjectFormat{}}, "[1]"));
  EXPECT_FALSE(matches({.content = JsonObjectFormat{}}, "```json"));
  EXPECT_TRUE(matches({.content = RegexFormat{"^(yes|no) \\d+$"}}, "yes 12"));
  EXPECT_FALSE(matches({.content = RegexFormat{"(yes|no) \\d+"}}, "yes "));
  EXPECT_TRUE(matches({.content = GrammarFormat{"root ::= \"<\" root \">\" | x*\nx ::= [a-c] # letters"}}, "<<abc>>"));
  EXPECT_FALSE(matches({.content = GrammarFormat{"root ::= \"<\" root \">\" | [a-c]*"}}, "<<abc>"));
  const GrammarSpec choice{.content = ChoiceFormat{{"yes", "no", "\"maybe\"\n"}}};
  EXPECT_TRUE(matches(choice, "\"maybe\"\n"));
  EXPECT_FALSE(matches(choice, "ye"));
  EXPECT_FALSE(matches(choice, "yesno"));
}

TEST_F(GrammarTest, ToolCallsInGemmasSyntax) {
  GrammarSpec format{.tools = {{"weather", json::parse(R"({"type":"object","properties":{"city":{"type":"string"},)"
                                                       R"("days":{"type":"integer"},"odd key":{"type":"boolean"}},)"
                                                       R"("required":["city"]})")},
                               {"now", nullptr},
                               {"any", json::parse(R"({"type":"object"})")}},
                     .calls = CallMode::kRequired};
  constexpr const char* kWeather = R"(<|tool_call>call:weather{city:<|"|>a "b" {c}: é\<|"|>,days:12}<tool_call|>)";
  constexpr const char* kNow = "<|tool_call>call:now{}<tool_call|>";
  EXPECT_TRUE(matches(format, kWeather));
  EXPECT_TRUE(matches(format, std::string(kWeather) + kNow));
  EXPECT_TRUE(matches(format, R"(<|tool_call>call:weather{city:<|"|><|"|>,<|"|>odd key<|"|>:true}<tool_call|>)"));
  EXPECT_TRUE(matches(format, R"(<|tool_call>call:any{a:{b:[1,null,<|"|>x<|"|>]},c:-1.5e3}<tool_call|>)"));
  for (const char* text : {"", "abc", "<|tool_call>call:now{}", "<|tool_call>call:now{a:1}<tool_call|>",
                           "<|tool_call>call:later{}<tool_call|>", "<|tool_call>call:weather{}<tool_call|>",
                           R"(<|tool_call>call:weather{city:"abc"}<tool_call|>)",
                           R"(<|tool_call>call:weather{city:<|"|>abc<|"|>,days:true}<tool_call|>)",
                           R"(<|tool_call>call:weather{"city":<|"|>abc<|"|>}<tool_call|>)"}) {
    EXPECT_FALSE(matches(format, text)) << text;
  }
  format.allows_parallel_calls = false;
  EXPECT_TRUE(matches(format, kNow));
  EXPECT_FALSE(matches(format, std::string(kNow) + kNow));

  format.calls = CallMode::kAuto;
  EXPECT_TRUE(matches(format, "abc"));
  EXPECT_TRUE(matches(format, std::string("abc ") + kNow));
  EXPECT_FALSE(matches(format, "abc <|tool_call>call:later{}<tool_call|>"));
  EXPECT_FALSE(matches(format, "<|channel>"));

  format.calls = CallMode::kNone;
  EXPECT_TRUE(matches(format, "abc"));
  EXPECT_FALSE(matches(format, kNow));

  format.calls = CallMode::kAuto;
  format.content = JsonSchemaFormat{json::parse(R"({"type":"integer"})")};
  EXPECT_TRUE(matches(format, "12"));
  EXPECT_TRUE(matches(format, kNow));
  EXPECT_FALSE(matches(format, "abc"));
}

TEST_F(GrammarTest, TheFormBeginsBehindTheThought) {
  GrammarSpec format{.content = JsonSchemaFormat{json::parse(R"({"type":"integer"})")}};
  EXPECT_TRUE(matches(format, "12"));
  EXPECT_FALSE(matches(format, "<|channel>thought\n<channel|>12"));
  format.start = AnswerStart::kMayThink;
  EXPECT_TRUE(matches(format, "12"));
  EXPECT_TRUE(matches(format, "<|channel>thought\nabc {\"<channel|>12"));
  EXPECT_FALSE(matches(format, "<|channel>thought\n12"));
  EXPECT_FALSE(matches(format, "<|channel>thought\n<turn|>"));
  EXPECT_FALSE(matches(format, "<|channel>a<channel|><|channel>b<channel|>12"));
  format.start = AnswerStart::kInsideThought;
  EXPECT_TRUE(matches(format, "abc<channel|>12"));
  EXPECT_FALSE(matches(format, "12"));
}

// A walk through answers at random; at each step all tokens are tried.
TEST_F(GrammarTest, TheMaskIsWhatTheMatcherTakes) {
  const GrammarSpec calls{.tools = {{"f", json::parse(R"({"properties":{"abc":{"type":"string","maxLength":5}}})")}},
                          .start = AnswerStart::kMayThink};
  const GrammarSpec schema{.content = JsonSchemaFormat{json::parse(
                               R"({"properties":{"abc":{"type":"string"},"yes":{"type":"number","minimum":-1}},)"
                               R"("additionalProperties":{"type":"array","items":{"type":"boolean"}}})")}};
  Random random(11);
  for (const GrammarSpec& format : {calls, schema, GrammarSpec{.content = JsonObjectFormat{}}}) {
    const auto grammar = compiler.compile(format);
    for (int walk = 0; walk < 10; ++walk) {
      GrammarState state(grammar);
      for (int step = 0; step < 20 && !state.has_ended(); ++step) {
        const TokenMask mask = state.allowed();
        std::vector<std::int32_t> allowed;
        for (std::int32_t id = 0; id < static_cast<std::int32_t>(vocab.size()); ++id) {
          GrammarState copy = state;
          ASSERT_EQ(copy.accept(id), mask.allows(id)) << vocab.piece(id);
          if (mask.allows(id)) allowed.push_back(id);
        }
        ASSERT_FALSE(allowed.empty());
        ASSERT_TRUE(state.accept(allowed[random.next() % allowed.size()]));
      }
    }
  }
}

TEST_F(GrammarTest, StatesAreCopiedAndGoBack) {
  const auto grammar = compiler.compile({.content = RegexFormat{"a+b"}});
  EXPECT_EQ(grammar, compiler.compile({.content = RegexFormat{"a+b"}}));  // kept
  GrammarState state(grammar);
  const std::int32_t a = vocab.byte_id('a');
  const std::int32_t b = vocab.byte_id('b');
  ASSERT_TRUE(state.accept(a));
  GrammarState copy = state;
  ASSERT_TRUE(copy.accept(b));
  EXPECT_TRUE(copy.is_complete());
  EXPECT_FALSE(state.is_complete());
  ASSERT_TRUE(copy.accept(*vocab.eos()));
  EXPECT_TRUE(copy.has_ended());
  EXPECT_EQ(copy.allowed().allowed_count(), 0U);
  EXPECT_FALSE(copy.accept(a));
  EXPECT_FALSE(copy.accept(-1));
  EXPECT_FALSE(copy.accept(1 << 20));
  copy.rollback(2);
  EXPECT_EQ(copy.accepted(), 1U);
  EXPECT_TRUE(copy.allowed().allows(a));
  copy.rollback(7);
  EXPECT_FALSE(copy.allowed().allows(b));
}

TEST_F(GrammarTest, AVocabularyWithoutControlTokensHasNoCallsAndNoThoughts) {
  const Vocab plain(tiny::source({}), "plain");
  GrammarCompiler plain_compiler(plain, {}, 1);
  const GrammarSpec tools{.tools = {{"f", nullptr}}};
  EXPECT_THROW(plain_compiler.compile(tools), Error);
  const GrammarSpec thinking{.content = JsonObjectFormat{}, .start = AnswerStart::kMayThink};
  EXPECT_THROW(plain_compiler.compile(thinking), Error);
}

TEST(GrammarGemma4, RealVocabulary) {
  const Tokenizer tokenizer = load_tokenizer(CARAT_GEMMA4_TOKENIZER);
  GrammarCompiler compiler(tokenizer.vocab());
  const auto follows = [&](const GrammarSpec& format, std::string_view text) {
    GrammarState state(compiler.compile(format));
    for (const std::int32_t id : tokenizer.encode(text)) {
      if (!state.allowed().allows(id) || !state.accept(id)) return false;
    }
    return state.is_complete();
  };
  const GrammarSpec schema{.content = JsonSchemaFormat{json::parse(
                               R"({"properties":{"name":{"type":"string"},"tags":{"items":{"type":"string"}}}})")},
                           .start = AnswerStart::kMayThink};
  EXPECT_TRUE(follows(schema, R"({"name": "Zoë \"Z\" 😀", "tags": ["a", "b"]})"));
  EXPECT_TRUE(follows(schema, "<|channel>thought\nIs it {?<channel|>{\n  \"name\": \"x\"\n}"));
  EXPECT_FALSE(follows(schema, R"({"name": "<|turn>"})"));  // the token
  const GrammarSpec call{.tools = {{"run", json::parse(R"({"properties":{"code":{"type":"string"}}})")}},
                         .calls = CallMode::kRequired};
  EXPECT_TRUE(follows(call, R"(<|tool_call>call:run{code:<|"|>print("{}")<|"|>}<tool_call|>)"));
  EXPECT_FALSE(follows(call, R"(<|tool_call>call:run{code:<|"|>print<|turn><|"|>}<tool_call|>)"));
}

// What they cost at each token is told by bench_grammar.
TEST(GrammarGemma4, LengthsOfStringsAlsoInTools) {
  const Tokenizer tokenizer = load_tokenizer(CARAT_GEMMA4_TOKENIZER);
  GrammarCompiler compiler(tokenizer.vocab());
  const auto follows = [&](const GrammarSpec& format, std::string_view text) {
    GrammarState state(compiler.compile(format));
    const std::vector<std::int32_t> ids = tokenizer.encode(text);
    return std::ranges::all_of(ids, [&](std::int32_t id) { return state.accept(id); });
  };
  const GrammarSpec tool{
      .tools = {{"f", json::parse(R"({"properties":{"a":{"type":"string","minLength":2,"maxLength":2000}}})")}}};
  EXPECT_TRUE(follows(tool, R"(Let me see.<|tool_call>call:f{a:<|"|>bread<|"|>}<tool_call|>)"));
  EXPECT_FALSE(follows(tool, R"(Let me see.<|tool_call>call:f{a:<|"|>b<|"|>}<tool_call|>)"));
  const GrammarSpec least{.content = JsonSchemaFormat{json::parse(R"({"type":"string","minLength":16})")}};
  EXPECT_TRUE(follows(least, R"("Bread is so \"old\".")"));
  EXPECT_FALSE(follows(least, R"("Bread is old.")"));
  const GrammarSpec most{.content = JsonSchemaFormat{json::parse(R"({"type":"string","maxLength":13})")}};
  EXPECT_TRUE(follows(most, R"("Bread is old.")"));
  EXPECT_FALSE(follows(most, R"("Bread is older.")"));
}

}  // namespace
}  // namespace carat
