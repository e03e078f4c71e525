// Pictures, sounds and films named on the command line, in the order in which they were given.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "engine/media_store.h"
#include "engine/video_prompt.h"

namespace carat {

struct MediaFile {
  MediaKind kind = MediaKind::kImage;
  std::string path;
  std::string budget = "280";  // of an image
  FrameSampling sampling{};    // of a film
};

// What a model sees or hears of some files, in the order of their places in a prompt.
struct LoadedMedia {
  std::vector<SharedSoftTokens> soft;           // of a film: one for each frame
  std::vector<std::vector<std::string>> films;  // the frames' times, film by film
};

struct MediaFlags {
  std::vector<MediaFile> files;
  std::string mmproj;
};

// --mmproj FILE.
void add_mmproj(Command verb, std::string& mmproj);
// The same with --image FILE and --budget N behind it, and --audio FILE, each as often as one likes.
void add_media_flags(Command verb, MediaFlags& flags);
// --video FILE, with --fps N and --max-frames N behind it.
void add_video_flags(Command verb, MediaFlags& flags);

// A file that a person named. Throws Error(kBadInput) whatever is wrong with it: exit code 3 is for models.
std::vector<std::byte> read_media_file(const std::string& path);

// What the model sees or hears of a picture or a sound. Throws as MediaStore.
SharedSoftTokens load_medium(MediaStore& store, const Compute& compute, const MediaFile& file,
                             SoundExtent extent = SoundExtent::kWhole);
// The same of a film: a file, or a folder of pictures.
FilmTokens load_film(MediaStore& store, const Model& model, const Compute& compute, const MediaFile& file);
// For a person: that a picture loses more than half of its pixels at its budget, and what keeps more of them. Empty
// where it doesn't, where no budget keeps more, and for sounds and films. Throws as MediaStore.
std::string shrinking_note(const Model& model, const MediaFile& file);

// The content of a message with media, for a template and for /save: pictures before the text, sounds after it, as the
// models want it, each group in its order. A part for a file is {"type", "path", "budget"}.
json::value content_with_media(const std::string& text, const std::vector<MediaFile>& files);
// The files of a conversation's parts, in the order of their places in the prompt.
std::vector<MediaFile> media_of(const json::array& messages);
// True for a text, and for an array of parts as content_with_media makes them.
bool is_message_content(const json::value& content);

}  // namespace carat
