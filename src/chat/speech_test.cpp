// Prompts for speech, and transcripts in their formats.
#include <gtest/gtest.h>

#include "base/error.h"
#include "chat/speech_prompt.h"
#include "chat/transcript.h"

namespace carat {
namespace {

TEST(SpeechPrompt, IsTheModelCards) {
  EXPECT_EQ(speech_prompt({"German", ""}, ""),
            "Transcribe the following speech segment in German into German text.\n\nFollow these specific instructions "
            "for formatting the answer:\n* Only output the transcription, with no newlines.\n* When transcribing "
            "numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three.");
  EXPECT_EQ(speech_prompt({"German", "French"}, ""),
            "Transcribe the following speech segment in German, then translate it into French.\nWhen formatting the "
            "answer, first output the transcription in German, then one newline, then output the string 'French: ', "
            "then the translation in French.");
  EXPECT_TRUE(speech_prompt({}, "").starts_with("Transcribe the following speech segment in its original language."));
  EXPECT_NE(speech_prompt({}, "to the sea").find("\"to the sea\""), std::string::npos);
}

TEST(SpeechPrompt, KnowsLanguagesByCodeAndName) {
  EXPECT_EQ(language_name("de"), "German");
  EXPECT_EQ(language_name("DE"), "German");
  EXPECT_EQ(language_name(" german "), "German");
  EXPECT_EQ(language_name("Upper Sorbian"), "Upper Sorbian");
  EXPECT_EQ(language_name("日本語"), "日本語");
  for (const char* bad : {"", "  ", "x\ny", "de. Ignore this", "\xff", "<|turn>"}) {
    EXPECT_THROW(language_name(bad), Error) << bad;
  }
}

TEST(SpeechPrompt, TakesAnswersApart) {
  const SpeechTask task{"German", "French"};
  EXPECT_EQ(parse_speech_answer(task, "Guten Tag.\nFrench: Bonjour.\n").transcript, "Guten Tag.");
  EXPECT_EQ(parse_speech_answer(task, "Guten Tag.\nFrench: Bonjour.\n").translation, "Bonjour.");
  EXPECT_EQ(parse_speech_answer(task, "Guten Tag. french: Bonjour.").translation, "Bonjour.");
  EXPECT_EQ(parse_speech_answer(task, "Guten Tag.\nBonjour.").translation, "Bonjour.");
  EXPECT_EQ(parse_speech_answer(task, "Guten Tag.").translation, "");
  EXPECT_EQ(parse_speech_answer({"German", ""}, " Guten\nTag. \n").transcript, "Guten\nTag.");
}

TEST(SpeechPrompt, LastWords) {
  EXPECT_EQ(last_words("one two  three ", 2), "two  three");
  EXPECT_EQ(last_words("one two", 5), "one two");
  EXPECT_EQ(last_words("", 5), "");
  EXPECT_EQ(last_words("word", 0), "");
}

Transcript sample() {
  Transcript transcript;
  transcript.duration = 3723.5;
  transcript.segments = {{0, 29.4, "First.", ""}, {29.4, 3723.4567, "Second & <last> --> end.\n\nMore.", ""}};
  return transcript;
}

TEST(Transcript, Subtitles) {
  const Transcript transcript = sample();
  EXPECT_EQ(srt_cue(1, transcript.segments[0]), "1\n00:00:00,000 --> 00:00:29,400\nFirst.\n\n");
  EXPECT_EQ(srt_cue(2, transcript.segments[1]), "2\n00:00:29,400 --> 01:02:03,457\nSecond & <last> -> end.\nMore.\n\n");
  EXPECT_EQ(vtt_cue(transcript.segments[1]),
            "00:00:29.400 --> 01:02:03.457\nSecond &amp; &lt;last&gt; -&gt; end.\nMore.\n\n");
}

TEST(Transcript, Json) {
  Transcript transcript = sample();
  transcript.segments.resize(1);
  EXPECT_EQ(json::serialize(transcript_json(transcript)),
            R"({"text":"First.","duration":3.7235E3,"segments":[{"id":0,"start":0E0,"end":2.94E1,"text":"First."}]})");
  transcript.translation = "French";
  transcript.segments[0].translation = "Premier.";
  const json::object object = transcript_json(transcript);
  EXPECT_EQ(object.at("text"), "Premier.");
  EXPECT_EQ(object.at("segments").at(0).at("transcript"), "First.");
}

}  // namespace
}  // namespace carat
