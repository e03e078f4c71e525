#include "chat/call_syntax.h"

#include <gtest/gtest.h>

#include <string>

namespace carat {
namespace {

// Text with quote tokens spelled out.
CallText call_text(std::string_view text) {
  constexpr std::string_view kQuote = "<|\"|>";
  CallText result;
  for (std::size_t at = text.find(kQuote); at != std::string_view::npos; at = text.find(kQuote)) {
    result.append(text.substr(0, at));
    result.append_quote();
    text.remove_prefix(at + kQuote.size());
  }
  result.append(text);
  return result;
}

void expect_call(std::string_view text, std::string_view name, std::string_view arguments) {
  SCOPED_TRACE(text);
  const auto call = parse_call(call_text(text));
  ASSERT_TRUE(call);
  EXPECT_EQ(call->name, name);
  EXPECT_EQ(call->arguments, json::parse(arguments));
}

TEST(CallSyntax, ReadsTheOfficialForm) {
  expect_call("call:f{}", "f", "{}");
  expect_call(R"(call:f{a:<|"|>x<|"|>,b:-2.5,c:[1,true,null,{d:<|"|><|"|>}],e:{}})", "f",
              R"({"a":"x","b":-2.5,"c":[1,true,null,{"d":""}],"e":{}})");
  expect_call("call:f{big:12345678901234567,small:1e-3}", "f", R"({"big":12345678901234567,"small":0.001})");
}

TEST(CallSyntax, NothingInsideAStringIsSyntax) {
  expect_call(R"(call:run{code:<|"|>f("a{b}", [1], c:d) # `x` \d+
<|"|>})",
              "run", R"({"code":"f(\"a{b}\", [1], c:d) # `x` \\d+\n"})");
  CallText spelled;
  spelled.append("call:f{a:");
  spelled.append_quote();
  spelled.append("not <|\"|> a quote");
  spelled.append_quote();
  spelled.append("}");
  EXPECT_EQ(parse_call(spelled)->arguments.at("a").as_string(), "not <|\"|> a quote");
}

TEST(CallSyntax, TakesPlainQuotes) {
  expect_call(R"(call:f{"a":"x","b" : "y\n\u00e9\ud83d\ude00\/"})", "f", R"({"a":"x","b":"y\né😀/"})");
  expect_call(R"(call:remember{memory: "say "hi" to them", n:1})", "remember",
              R"({"memory":"say \"hi\" to them","n":1})");
  expect_call(R"(call:f{p:"C:\dir\new"})", "f", R"({"p":"C:\\dir\new"})");
}

TEST(CallSyntax, TakesWhatModelsWrite) {
  expect_call(" call:f { a : 1 , } ", "f", R"({"a":1})");
  expect_call(":get_weather{city:Rome}", "get_weather", R"({"city":"Rome"})");
  expect_call("call:server.tool-name{a:None,b:True}", "server.tool-name", R"({"a":null,"b":true})");
  expect_call("call:f{a:1,a:1}", "f", R"({"a":1})");
  expect_call("call:f{<|\"|>a b<|\"|>:1}", "f", R"({"a b":1})");
}

TEST(CallSyntax, RefusesWhatIsNoCall) {
  for (const char* text :
       {"", "call:", "call:f", "call:{}", "call:f{", "call:f{a:1", "call:f{a}", "call:f{a:}", "call:f{a:1}}",
        "call:f{} more", "call:f{a:1,a:2}", "call:f[1]", "call:f{a:<|\"|>x}", "call:f{a:\"x}", "call:f{a:\"x\\",
        "call:f{a:[1}", "call:f{a:\"\\ud800\"}", "<|\"|>", "call:f{a:\xff}"}) {
    EXPECT_FALSE(parse_call(call_text(text))) << text;
  }
}

TEST(CallSyntax, NestingIsLimited) {
  const auto nested = [](std::size_t depth) {
    return "call:f{a:" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(parse_call(call_text(nested(63))));
  EXPECT_FALSE(parse_call(call_text(nested(64))));
  EXPECT_FALSE(parse_call(call_text(nested(1'000'000))));
}

}  // namespace
}  // namespace carat
