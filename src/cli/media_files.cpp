#include "cli/media_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "vision/image_encoder.h"
#include "vision/picture_size.h"

namespace carat {
namespace {

constexpr const char* kGroup = "Pictures and sounds";
constexpr std::uint64_t kMaxMediaBytes = std::uint64_t{512} << 20;

// The file of a part, without a path for a text; nullopt for what is no part. A conversation may come from a file that
// somebody wrote.
std::optional<MediaFile> file_of(const json::value& part) {
  const json::object* object = part.if_object();
  if (object == nullptr) return std::nullopt;
  try {
    const std::string_view type = find_string(*object, "type", "").value_or("");
    if (type == "text") return find_string(*object, "text", "") ? std::optional<MediaFile>(MediaFile{}) : std::nullopt;
    MediaFile file;
    file.path = std::string(find_string(*object, "path", "").value_or(""));
    if (type == carat::name(MediaKind::kAudio)) file.kind = MediaKind::kAudio;
    if (type == carat::name(MediaKind::kVideo)) file.kind = MediaKind::kVideo;
    if (file.path.empty() || type != carat::name(file.kind)) return std::nullopt;
    file.budget = std::string(find_string(*object, "budget", "").value_or(file.budget));
    file.sampling.fps = find_number(*object, "fps", "");
    const auto frames = find_integer(*object, "max_frames", "");
    if (frames) file.sampling.max_frames = static_cast<std::size_t>(std::clamp<std::int64_t>(*frames, 1, 1024));
    if (file.sampling.fps && !(*file.sampling.fps > 0)) return std::nullopt;
    return file;
  } catch (const Error&) {
    return std::nullopt;  // a member of another type
  }
}

// Said here: a part without a path is no part of a message.
void add_file(std::vector<MediaFile>& files, MediaKind kind, const std::string& path) {
  if (path.empty()) throw UsageError(str("--", name(kind), ": needs the name of a file"));
  files.push_back({kind, path});
}

}  // namespace

void add_mmproj(Command verb, std::string& mmproj) {
  verb.option("--mmproj", mmproj, "A GGUF file with the model's eyes and ears, where its own file lacks them")
      .value("FILE")
      .group(kGroup);
}

void add_media_flags(Command verb, MediaFlags& flags) {
  add_mmproj(verb, flags.mmproj);
  // Called for every option as it is read: so the order between options is kept.
  std::vector<MediaFile>& files = flags.files;
  const auto add = [&files](MediaKind kind) {
    return [&files, kind](const std::string& path) { add_file(files, kind, path); };
  };
  verb.option_called<std::string>("--image", add(MediaKind::kImage), "A picture; may be given again")
      .as_read()
      .value("FILE")
      .group(kGroup);
  verb.option_called<std::string>(
          "--budget",
          [&files](const std::string& budget) {
            if (files.empty() || files.back().kind != MediaKind::kImage) {
              throw UsageError("--budget: stands behind the --image it is for");
            }
            files.back().budget = budget;
          },
          "Most soft tokens of the picture before: 70, 140, 280, 560, 1120, or auto for its own resolution "
          "(default: 280)")
      .as_read()
      .value("N")
      .group(kGroup);
  verb.option_called<std::string>("--audio", add(MediaKind::kAudio), "A sound of up to 10 minutes; may be given again")
      .as_read()
      .value("FILE")
      .group(kGroup);
}

void add_video_flags(Command verb, MediaFlags& flags) {
  std::vector<MediaFile>& files = flags.files;
  const auto last_film = [&files](const char* option) -> MediaFile& {
    if (files.empty() || files.back().kind != MediaKind::kVideo) {
      throw UsageError(str(option, ": stands behind the --video it is for"));
    }
    return files.back();
  };
  verb.option_called<std::string>(
          "--video", [&files](const std::string& path) { add_file(files, MediaKind::kVideo, path); },
          has_video_containers() ? "A film, an animated GIF or a folder of pictures; may be given again"
                                 : "An animated GIF or a folder of pictures; may be given again")
      .as_read()
      .value("FILE")
      .group(kGroup);
  verb.option_called<double>(
          "--fps", [last_film](double fps) { last_film("--fps").sampling.fps = fps; },
          "Frames to take of a second of the film before, as long as --max-frames holds them (default: 32 frames, "
          "evenly spread)")
      .range(0.001, 1000.0)
      .as_read()
      .value("N")
      .group(kGroup);
  verb.option_called<std::size_t>(
          "--max-frames", [last_film](std::size_t n) { last_film("--max-frames").sampling.max_frames = n; },
          "Most frames to take of the film before (default: 32)")
      .range(1, 1024)
      .as_read()
      .value("N")
      .group(kGroup);
}

std::vector<std::byte> read_media_file(const std::string& path) {
  try {
    const File file(path);
    if (file.size_bytes() > kMaxMediaBytes) {
      throw Error(ErrorKind::kBadInput, str(printable(path, 4096), ": has ", file.size_bytes() >> 20,
                                            " MiB, the limit is ", kMaxMediaBytes >> 20, " MiB."));
    }
    std::vector<std::byte> bytes(file.size_bytes());
    file.read_at(0, bytes);
    return bytes;
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, error.what());
  }
}

SharedSoftTokens load_medium(MediaStore& store, const Compute& compute, const MediaFile& file, SoundExtent extent) {
  const std::vector<std::byte> bytes = read_media_file(file.path);
  const std::string where = printable(file.path, 4096);
  if (file.kind == MediaKind::kAudio) return store.sound(compute, bytes, where, extent);
  return store.image(compute, bytes, parse_image_budget(file.budget), where);
}

FilmTokens load_film(MediaStore& store, const Model& model, const Compute& compute, const MediaFile& file) {
  model.require_vision();  // before a film is decoded in vain
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(file.path, ignored);
  const std::vector<VideoFrame> frames =
      is_folder ? sample_folder(file.path, file.sampling)
                : sample_video(read_media_file(file.path), printable(file.path, 4096), file.sampling);
  return encode_film(store, model, compute, frames);
}

std::string shrinking_note(const Model& model, const MediaFile& file) {
  if (file.kind != MediaKind::kImage) return {};
  const ImageBudget budget = parse_image_budget(file.budget);
  if (!budget || *budget == kImageBudgets.back()) return {};
  const std::string where = printable(file.path, 4096);
  const ImageSize own = decode_image(read_media_file(file.path), where).size;
  const ImageSize seen = size_for_budget(own, *budget, model.require_vision().token_pixels());
  if (2 * seen.width * seen.height >= own.width * own.height) return {};
  return str(where, ": ", own.width, " x ", own.height, " pixels are seen as ", seen.width, " x ", seen.height,
             "; a budget of ", kImageBudgets.back(), " soft tokens, or auto, keeps more of them.");
}

json::value content_with_media(const std::string& text, const std::vector<MediaFile>& files) {
  if (files.empty()) return json::value(text);
  json::array parts;
  const auto add = [&](bool is_audio) {
    for (const MediaFile& file : files) {
      if ((file.kind == MediaKind::kAudio) != is_audio) continue;
      json::object part{{"type", carat::name(file.kind)}, {"path", file.path}};
      if (file.kind == MediaKind::kImage) part["budget"] = file.budget;
      if (file.kind == MediaKind::kVideo) {
        part["max_frames"] = file.sampling.max_frames;
        if (file.sampling.fps) part["fps"] = *file.sampling.fps;
      }
      parts.push_back(std::move(part));
    }
  };
  add(false);
  parts.push_back(json::object{{"type", "text"}, {"text", text}});
  add(true);
  return parts;
}

std::vector<MediaFile> media_of(const json::array& messages) {
  std::vector<MediaFile> files;
  for (const json::value& message : messages) {
    const json::value& content = message.at("content");
    if (!content.is_array()) continue;
    for (const json::value& part : content.get_array()) {
      if (const auto file = file_of(part); file && !file->path.empty()) files.push_back(*file);
    }
  }
  return files;
}

bool is_message_content(const json::value& content) {
  if (content.is_string()) return true;
  const auto is_part = [](const json::value& part) { return file_of(part).has_value(); };
  return content.is_array() && std::all_of(content.get_array().begin(), content.get_array().end(), is_part);
}

}  // namespace carat
