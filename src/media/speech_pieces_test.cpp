#include "media/speech_pieces.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "media/audio.h"

namespace carat {
namespace {

constexpr std::size_t kMax = 30 * kSoundRate;

// Words of 0.3 to 0.8 s, 80 ms apart, over a hum and a little noise, with pauses of 0.4 s that begin at these seconds.
std::vector<float> speech(std::size_t seconds, const std::vector<double>& pauses) {
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, 0.002F);
  std::uniform_real_distribution<double> length(0.3, 0.8);
  std::vector<float> sound(seconds * kSoundRate);
  double word_end = length(random);
  double next_word = word_end + 0.08;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    const double t = static_cast<double>(i) / kSoundRate;
    if (t >= next_word) {
      word_end = t + length(random);
      next_word = word_end + 0.08;
    }
    bool speaks = t < word_end;
    for (const double pause : pauses) speaks = speaks && (t < pause || t > pause + 0.4);
    const double voice = speaks ? 0.3 * std::sin(2 * M_PI * 300 * t) * (1 + 0.5 * std::sin(2 * M_PI * 4 * t)) : 0;
    sound[i] = static_cast<float>(voice + 0.1 * std::sin(2 * M_PI * 50 * t)) + noise(random);
  }
  return sound;
}

void expect_covers(const std::vector<SoundPiece>& pieces, std::size_t samples) {
  ASSERT_FALSE(pieces.empty());
  EXPECT_EQ(pieces.front().begin, 0U);
  EXPECT_EQ(pieces.back().end, samples);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_LE(pieces[i].end - pieces[i].begin, kMax);
    if (i > 0) {
      EXPECT_EQ(pieces[i].begin, pieces[i - 1].end);
    }
  }
}

TEST(SpeechPieces, AShortSoundIsOnePiece) {
  const std::vector<float> sound(kMax);
  EXPECT_EQ(cut_at_silences(sound, kMax), (std::vector<SoundPiece>{{0, kMax}}));
  EXPECT_EQ(cut_at_silences({}, kMax), (std::vector<SoundPiece>{{0, 0}}));
}

TEST(SpeechPieces, CutsInThePausesBetweenSentences) {
  const std::vector<double> pauses{9, 22.5, 41, 47.2, 63.1, 88};
  const std::vector<float> sound = speech(100, pauses);
  const std::vector<SoundPiece> pieces = cut_at_silences(sound, kMax);
  expect_covers(pieces, sound.size());
  EXPECT_LE(pieces.size(), 5U);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
    const double cut = static_cast<double>(pieces[i].end) / kSoundRate;
    const bool is_in_pause =
        std::any_of(pauses.begin(), pauses.end(), [&](double p) { return cut > p + 0.05 && cut < p + 0.35; });
    EXPECT_TRUE(is_in_pause) << cut;
  }
}

TEST(SpeechPieces, ASoundThatIsStillComingInIsCutTheSame) {
  const std::vector<float> sound = speech(100, {9, 22.5, 41, 47.2, 63.1, 88});
  const SoundPiece first = cut_at_silences(sound, kMax).front();
  EXPECT_EQ(first_piece(std::span(sound).first(kMax + kPieceLookAhead), kMax), first.end);
}

TEST(SpeechPieces, CutsSomewhereWhereThereIsNoPause) {
  std::vector<float> sound(70 * kSoundRate + 123);
  for (std::size_t i = 0; i < sound.size(); ++i) sound[i] = std::sin(0.1F * static_cast<float>(i % 10'000));
  expect_covers(cut_at_silences(sound, kMax), sound.size());
  expect_covers(cut_at_silences(std::vector<float>(70 * kSoundRate), kMax), 70 * kSoundRate);
}

TEST(SpeechPieces, KnowsSilence) {
  EXPECT_FALSE(has_sound({}));
  EXPECT_FALSE(has_sound(std::vector<float>(1000, 0.0005F)));
  EXPECT_TRUE(has_sound(speech(1, {})));
}

}  // namespace
}  // namespace carat
