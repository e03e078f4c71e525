#include "chat/jinja_template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "chat/test_data.h"

namespace carat::jinja {
namespace {

constexpr std::time_t kNow = 1'700'000'000;

MarkedText render_marked(std::string_view source, std::string_view data = "{}") {
  Runtime rt(Limits(), kNow);
  Variables variables;
  const json::value parsed = json::parse(data);
  for (const auto& [name, value] : parsed.as_object()) variables.emplace(name, from_json(rt, value));
  return Template(source).render(rt, variables);
}

std::string render(std::string_view source, std::string_view data = "{}") {
  return render_marked(source, data).bytes();
}

// The message of the error that rendering throws; empty when it throws none.
std::string error_of(std::string_view source, std::string_view data = "{}") {
  try {
    render(source, data);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// Only the text that is not the template's own, each stretch in brackets.
std::string untrusted(const MarkedText& text) {
  std::string result;
  std::size_t begin = 0;
  for (const MarkedText::Run& run : text.runs()) {
    if (!run.is_trusted) result += "[" + text.bytes().substr(begin, run.end - begin) + "]";
    begin = run.end;
  }
  return result;
}

TEST(JinjaTemplate, GivesWhatJinja2Gives) {
  const auto cases = read_json_lines("golden/jinja/cases.jsonl");
  ASSERT_EQ(cases.size(), 400U);
  for (const json::object& expected : cases) {
    const std::string source(expected.at("template").as_string());
    SCOPED_TRACE(source);
    const std::string data = json::serialize(expected.at("data"));
    if (const json::value* text = expected.if_contains("text")) {
      std::string found;
      EXPECT_NO_THROW(found = render(source, data));
      EXPECT_EQ(found, std::string_view(text->as_string()));
    } else {
      EXPECT_NE(error_of(source, data), "") << expected.at("error");
    }
  }
}

TEST(JinjaTemplate, SettlesWhiteSpaceAroundTags) {
  EXPECT_EQ(render("a\n  {% if true %}\nb\n  {% endif %}\nc\n"), "a\nb\nc");
  EXPECT_EQ(render("a  {%- if true -%}  b  {%- endif -%}  c"), "abc");
  EXPECT_EQ(render("  {%+ if true +%}\nb{% endif %}"), "  \nb");
  EXPECT_EQ(render("  {# x #}\n  {{ 1 }}\n"), "  1");
  EXPECT_EQ(render("{% raw %}{{ x }}{% endraw %}"), "{{ x }}");
  EXPECT_EQ(render("a\r\nb\rc\n\n"), "a\nb\nc\n");
}

// Variables begin as jinja2's compiler decides, not as a plain chain of scopes would have it.
TEST(JinjaTemplate, FollowsTheCompilersScopes) {
  EXPECT_EQ(render("{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% set x = 1 %}{{ m() }}", R"({"x": 5})"), "1");
  EXPECT_EQ(render("{{ x }}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% set x = 1 %}{{ m() }}", R"({"x": 5})"),
            "551");
  EXPECT_EQ(render("{% for i in [1] %}{{ x }}{% endfor %}{% set x = 1 %}", R"({"x": 5})"), "");
  EXPECT_EQ(render("{% if false %}{% set x = 1 %}{% endif %}{{ x }}", R"({"x": 5})"), "5");
  EXPECT_EQ(render("{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 9 %}{{ x }}{% endfor %}{{ x }}"), "19191");
  EXPECT_EQ(render("{% for i in [1, 2] %}{% break %}{% else %}else{% endfor %}"), "else");
}

TEST(JinjaTemplate, FallsBackFromItemsToMethods) {
  // A key "items" hides the method in d['items'], the method hides the key in d.items.
  EXPECT_EQ(render("{{ d['items'] }}{{ d.items is callable }}", R"({"d": {"items": 1}})"), "1True");
  EXPECT_EQ(render("{{ d['items'] is mapping }}{{ d['update'] is defined }}", R"({"d": {}})"), "FalseFalse");
  EXPECT_EQ(render("{{ ''.__class__ }}{{ [].append }}"), "");
}

TEST(JinjaTemplate, WritesNumbersAsPythonDoes) {
  EXPECT_EQ(render("{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 2.0 }} {{ 1/3 }} {{ -0.0 }}"),
            "1e+16 1000000000000000.0 0.0001 1e-05 2.0 0.3333333333333333 -0.0");
  EXPECT_EQ(render("{{ -7 // 2 }} {{ -7 % 3 }} {{ 7.5 // -2 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ 2.675|round(2) }}"),
            "-4 2 -4.0 0.5 64 2.67");
}

TEST(JinjaTemplate, TellsTheTimeItIsGiven) {
  EXPECT_EQ(render("{{ strftime_now('%Y') }}"), "2023");
  EXPECT_EQ(render("{{ strftime_now('') }}"), "");
}

TEST(JinjaTemplate, MarksTravelWithText) {
  const std::string data = R"({"u": "ab<c>", "l": ["x", "y"], "d": {"k": "v"}})";
  const auto marks = [&](std::string_view source) { return untrusted(render_marked(source, data)); };
  EXPECT_EQ(marks("t{{ u }}t"), "[ab<c>]");
  EXPECT_EQ(marks("{{ '<' + u ~ '>' }}"), "[ab<c>]");
  EXPECT_EQ(marks("{{ u[1:4] }}{{ u[0] }}{{ u[::-1] }}"), "[b<ca>c<ba]");
  EXPECT_EQ(marks("{{ (' ' ~ u ~ ' ')|trim|upper }}"), "[AB<C>]");
  EXPECT_EQ(marks("{{ u|replace('b', '<|turn>') }}"), "[a][<c>]");
  EXPECT_EQ(marks("{{ 'x-x'|replace('-', u) }}"), "[ab<c>]");
  EXPECT_EQ(marks("{{ u.split('<')|join(' ') }}"), "[ab][c>]");
  EXPECT_EQ(marks("{{ l|join(',') }} {{ l }} {{ d|tojson }} {{ d|dictsort }}"), "[x][y][x][y][k][v][k][v]");
  EXPECT_EQ(marks("{{ '%s=%5s' % (u, 1) }}{{ '{} {k}'.format(u, **d) }}{{ u * 2 }}"), "[ab<c>][ab<c>][vab<c>ab<c>]");
  EXPECT_EQ(marks("{% macro m(a) %}<{{ a }}{{ kwargs }}>{% endmacro %}{{ m(u, **d) }}"), "[ab<c>][k][v]");
  EXPECT_EQ(marks("{% set x %}-{{ u }}{% endset %}{% filter upper %}{{ x }}{% endfilter %}"), "[AB<C>]");
  EXPECT_EQ(
      marks("{% set ns = namespace(s='') %}{% for c in u %}{% set ns.s = ns.s + c + '.' %}{% endfor %}{{ ns.s }}"),
      "[a][b][<][c][>]");
  EXPECT_EQ(marks("{{ u|indent(first=true) }}{{ u|center(9) }}{{ u|title }}{{ u|e }}"),
            "[ab<c>][ab<c>][Ab<C>ab&lt;c&gt;]");
  EXPECT_EQ(marks("{{ 1 }}{{ u|length }}{{ u == 'ab' }}"), "");
}

TEST(JinjaTemplate, ErrorsNameLineAndReason) {
  EXPECT_EQ(error_of("a\n{{ x.y }}"), "chat template, line 2: 'x' is undefined.");
  EXPECT_EQ(error_of("\n\n{{ d.a.b }}", R"({"d": {}})"), "chat template, line 3: 'dict object' has no attribute 'a'.");
  EXPECT_EQ(error_of("{% if true %}"), "chat template, line 1: the template ends where 'endif' is expected.");
  EXPECT_EQ(error_of("\n{% include 'x' %}"), "chat template, line 2: the tag 'include' is unknown or not supported.");
  EXPECT_EQ(error_of("{{ raise_exception('Roles must alternate!') }}"),
            "chat template, line 1: the template refuses this request: Roles must alternate!");
  EXPECT_EQ(error_of("{% macro m() %}\n\n{{ 1 }}{% endmacro %}{{ m() }}{{ 1 + '' }}"),
            "chat template, line 3: unsupported operand type(s) for +: 'int' and 'str'.");
  for (const char* bad : {"{{", "{%", "{#", "{{ ) }}", "{{ 'a }}", "{% raw %}", "{{ a b }}", "{{ }}", "{% for %}",
                          "{% set 1 = 2 %}", "{% break %}", "{{ '\\ud800' }}", "{{ 99999999999999999999 }}", "{% x %}",
                          "{% endif %}", "{{ a is }}", "{{ a| }}", "{{ f(a=1, 2) }}", "\xff"}) {
    EXPECT_NE(error_of(bad), "") << bad;
  }
}

TEST(JinjaTemplate, IsBounded) {
  EXPECT_NE(error_of("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}").find("steps"),
            std::string::npos);
  EXPECT_NE(error_of("{{ range(100001) }}"), "");
  EXPECT_NE(error_of("{{ 'a' * 100000000000 }}"), "");
  EXPECT_NE(error_of("{{ 'abcd' * 4611686018427387904 }}"), "");  // 2^64 bytes, which wrap to none
  EXPECT_NE(error_of("{{ [1] * 100000000000 }}"), "");
  EXPECT_NE(error_of("{{ '%99999999d' % 1 }}"), "");
  EXPECT_NE(error_of("{{ 'a'|center(100000000) }}"), "");
  EXPECT_NE(
      error_of("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"), "");
  EXPECT_NE(error_of("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s|replace('', ns.s) %}"
                     "{% endfor %}"),
            "");
  EXPECT_NE(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").find("64 deep"), std::string::npos);
  EXPECT_NE(error_of("{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}"), "");
  EXPECT_NE(error_of("{{ " + std::string(100'000, '(') + " }}"), "");
  EXPECT_NE(error_of("{{ " + std::string(100'000, '-') + "1 }}"), "");
  std::string chain = "{{ 1";
  for (int i = 0; i < 10'000; ++i) chain += "+1";
  EXPECT_NE(error_of(chain + " }}"), "");
  EXPECT_NE(error_of("{{ 9223372036854775807 + 1 }}"), "");
  EXPECT_NE(error_of(std::string(300'000, 'x')), "");
  // A namespace that holds itself, and a loop that remembers itself, are neither leaked nor followed.
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns.self is defined }}"), "True");
  EXPECT_EQ(render("{% for i in [1] %}{{ loop.changed(loop) }}{% endfor %}"), "True");
}

}  // namespace
}  // namespace carat::jinja
