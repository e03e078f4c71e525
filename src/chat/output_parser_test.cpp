#include "chat/output_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <variant>
#include <vector>

#include "chat/test_data.h"

namespace carat {
namespace {

using Piece = std::variant<std::string, ControlToken>;

// A text with control tokens spelled out, as the pieces a model would generate.
std::vector<Piece> pieces_of(std::string_view text) {
  std::vector<Piece> pieces;
  std::string plain;
  const auto flush = [&] {
    if (!plain.empty()) pieces.emplace_back(std::exchange(plain, {}));
  };
  while (!text.empty()) {
    std::size_t n = 0;
    for (std::size_t length = 5; length <= 17 && length <= text.size() && n == 0; ++length) {
      if (control_token(text.substr(0, length))) n = length;
    }
    if (n > 0) {
      flush();
      pieces.emplace_back(*control_token(text.substr(0, n)));
    } else {
      plain += text[0];
      n = 1;
    }
    text.remove_prefix(n);
  }
  flush();
  return pieces;
}

void add(ParsedOutput& sum, ParsedOutput news) {
  sum.reasoning += news.reasoning;
  sum.content += news.content;
  sum.unparsed += news.unparsed;
  for (ToolCall& call : news.tool_calls) sum.tool_calls.push_back(std::move(call));
}

ParsedOutput parse_pieces(std::string_view prefix, const std::vector<Piece>& pieces, bool takes_each) {
  OutputParser parser(prefix);
  ParsedOutput sum;
  for (const Piece& piece : pieces) {
    std::visit([&](const auto& p) { parser.push(p); }, piece);
    if (takes_each) add(sum, parser.take());
  }
  parser.finish();
  add(sum, parser.take());
  return sum;
}

// The same result for whole pieces, for each text cut at each place, and for single bytes.
void expect_same_for_all_splits(std::string_view prefix, std::string_view output) {
  const json::object expected = to_json(parse_output(prefix, output));
  const std::vector<Piece> pieces = pieces_of(output);
  ASSERT_EQ(to_json(parse_pieces(prefix, pieces, true)), expected) << output;
  std::vector<Piece> bytes;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto* text = std::get_if<std::string>(&pieces[i]);
    if (text == nullptr) {
      bytes.push_back(pieces[i]);
      continue;
    }
    for (const char c : *text) bytes.emplace_back(std::string(1, c));
    for (std::size_t cut = 1; cut < text->size(); ++cut) {
      std::vector<Piece> split = pieces;
      split[i] = text->substr(0, cut);
      split.insert(split.begin() + static_cast<std::ptrdiff_t>(i) + 1, text->substr(cut));
      ASSERT_EQ(to_json(parse_pieces(prefix, split, cut % 2 == 0)), expected) << output << " cut at " << cut;
    }
  }
  ASSERT_EQ(to_json(parse_pieces(prefix, bytes, true)), expected) << output;
}

constexpr std::string_view kNoThought = "<|turn>model\n<|channel>thought\n<channel|>";
constexpr std::string_view kThinking = "<|turn>model\n";

TEST(OutputParser, ParsesAsTransformersDoes) {
  const auto cases = read_json_lines("golden/chat/parse.jsonl");
  ASSERT_EQ(cases.size(), 35U);
  for (const json::object& expected : cases) {
    const std::string_view output = expected.at("output").as_string();
    SCOPED_TRACE(output);
    const json::object parsed = to_json(parse_output(expected.at("prefix").as_string(), output));
    EXPECT_EQ(parsed.at("reasoning"), expected.at("reasoning"));
    EXPECT_EQ(parsed.at("content"), expected.at("content"));
    EXPECT_EQ(parsed.at("tool_calls"), expected.at("tool_calls"));
    EXPECT_TRUE(parsed.at("unparsed").is_null()) << parsed.at("unparsed");
    expect_same_for_all_splits(expected.at("prefix").as_string(), output);
  }
}

TEST(OutputParser, KeepsWhatIsNoCall) {
  const ParsedOutput output = parse_output(kNoThought, "Hm.<|tool_call>oops {<|\"|>x<tool_call|>Sorry.<turn|>");
  EXPECT_EQ(output.content, "Hm.Sorry.");
  EXPECT_TRUE(output.tool_calls.empty());
  EXPECT_EQ(output.unparsed, "<|tool_call>oops {<|\"|>x<tool_call|>");
}

TEST(OutputParser, TakesAWholeCallThatIsNotClosed) {
  EXPECT_EQ(parse_output(kNoThought, "<|tool_call>call:f{a:1}<|tool_response>").tool_calls.size(), 1U);
  EXPECT_EQ(parse_output(kNoThought, "<|tool_call>call:f{a:1}<|tool_call>call:g{}").tool_calls.size(), 2U);
  const ParsedOutput cut = parse_output(kNoThought, "<|tool_call>call:f{a:<|\"|>never");
  EXPECT_TRUE(cut.tool_calls.empty());
  EXPECT_EQ(cut.unparsed, "<|tool_call>call:f{a:<|\"|>never");
}

TEST(OutputParser, FindsACallInsideAThought) {
  const ParsedOutput output =
      parse_output(kThinking, "<|channel>thought\nI call it. <|tool_call>call:f{}<tool_call|> Wait.<channel|>Done.");
  EXPECT_EQ(output.reasoning, "I call it.  Wait.");
  EXPECT_EQ(output.tool_calls.size(), 1U);
  EXPECT_EQ(output.content, "Done.");
}

TEST(OutputParser, BeginsInsideAnOpenThought) {
  for (const std::string_view prefix :
       {"<|turn>model\n<|channel>", "<|turn>model\n<|channel>thought\n", "<|turn>model\n<|channel>thought\nFirst, "}) {
    OutputParser parser(prefix);
    EXPECT_TRUE(parser.is_in_reasoning());
    if (prefix.ends_with("<|channel>")) parser.push("thought\n");
    parser.push("more<channel|>");  // spelled out: this is text
    parser.push(ControlToken::kChannelClose);
    EXPECT_FALSE(parser.is_in_reasoning());
    parser.push("Answer.");
    parser.finish();
    const ParsedOutput output = parser.take();
    EXPECT_EQ(output.reasoning, "more<channel|>");
    EXPECT_EQ(output.content, "Answer.");
  }
}

TEST(OutputParser, KeepsChannelsOfOtherNamesAsThoughts) {
  EXPECT_EQ(parse_output(kThinking, "<|channel>thoughtful\nx<channel|>y").reasoning, "thoughtful\nx");
  EXPECT_EQ(parse_output(kThinking, "<|channel>plan<channel|>y").reasoning, "plan");
  EXPECT_EQ(parse_output(kThinking, "<|channel>thought<channel|>y").reasoning, "");
  EXPECT_EQ(parse_output(kThinking, "<|channel>tho").reasoning, "tho");
}

TEST(OutputParser, StrayTokensAndTextBehindTheEndAreUnparsed) {
  const ParsedOutput output = parse_output(kNoThought, "a<channel|>b<tool_call|><|\"|>c<turn|>d<|turn>e");
  EXPECT_EQ(output.content, "abc");
  EXPECT_EQ(output.unparsed, "<channel|><tool_call|><|\"|>d<|turn>e");
}

TEST(OutputParser, StreamsTextAsSoonAsItIsCertain) {
  OutputParser parser(kNoThought);
  parser.push(" \n");
  EXPECT_EQ(parser.take().content, "");
  parser.push(" Hello ");
  EXPECT_EQ(parser.take().content, "Hello");
  parser.push("world\xe3\x80");  // the begin of an ideographic space
  EXPECT_EQ(parser.take().content, " world");
  parser.push("\x80!");
  EXPECT_EQ(parser.take().content, "\xe3\x80\x80!");
  parser.push("\n\n");
  parser.finish();
  EXPECT_EQ(parser.take().content, "");
}

TEST(OutputParser, UnderstandsGemma3) {
  const ParsedOutput output = parse_output("<start_of_turn>model\n", "Hi there.<end_of_turn>\n");
  EXPECT_EQ(output.content, "Hi there.");
}

// Words of random answers, each unique, must all come out again, wherever the control tokens fall.
TEST(OutputParser, LosesNothingAndIgnoresSplits) {
  constexpr std::string_view kFragments[] = {"<|channel>",
                                             "<|channel>thought\n",
                                             "<channel|>",
                                             "<|tool_call>",
                                             "<|tool_call>call:f{a:",
                                             "}<tool_call|>",
                                             "<tool_call|>",
                                             "<|\"|>",
                                             "\"",
                                             ",b:",
                                             "{",
                                             "]",
                                             " ",
                                             "\n",
                                             "<|turn>",
                                             "<turn|>",
                                             "<|tool_response>",
                                             "<tool_response|>",
                                             "\xe3\x80\x80",
                                             "\xc3\xa9",
                                             "\\",
                                             "<|tool_c"};
  std::mt19937 random(20240611);
  for (int round = 0; round < 20000; ++round) {
    std::string output;
    int words = 0;
    const auto length = 1 + random() % 12;
    for (std::size_t i = 0; i < length; ++i) {
      if (random() % 3 == 0) {
        output += str("w", words++, "x");
      } else {
        output += kFragments[random() % std::size(kFragments)];
      }
    }
    const std::string_view prefix = round % 2 == 0 ? kNoThought : kThinking;
    const std::string parsed = json::serialize(to_json(parse_output(prefix, output)));
    for (int word = 0; word < words; ++word) {
      ASSERT_NE(parsed.find(str("w", word, "x")), std::string::npos) << output << "\n" << parsed;
    }
    if (round % 10 == 0) expect_same_for_all_splits(prefix, output);
  }
}

}  // namespace
}  // namespace carat
