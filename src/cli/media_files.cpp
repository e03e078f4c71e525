#include "cli/media_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace carat {
namespace {

constexpr const char* kGroup = "Pictures and sounds";
constexpr std::uint64_t kMaxMediaBytes = std::uint64_t{512} << 20;

std::string_view type_of(MediaKind kind) {
  switch (kind) {
    case MediaKind::kImage:
      return "image";
    case MediaKind::kAudio:
      return "audio";
    case MediaKind::kVideo:
      return "video";
  }
  return "";
}

}  // namespace

void add_mmproj(CLI::App& verb, std::string& mmproj) {
  verb.add_option("--mmproj", mmproj, "A GGUF file with the model's eyes and ears, where its own file lacks them")
      ->type_name("FILE")
      ->group(kGroup);
}

void add_media_flags(CLI::App& verb, MediaFlags& flags) {
  add_mmproj(verb, flags.mmproj);
  // Called for every option as it is read: so the order between options is kept.
  std::vector<MediaFile>& files = flags.files;
  const auto add = [&files](MediaKind kind) {
    return [&files, kind](const std::string& path) { files.push_back({kind, path}); };
  };
  verb.add_option_function<std::string>("--image", add(MediaKind::kImage), "A picture; may be given again")
      ->trigger_on_parse()
      ->type_name("FILE")
      ->group(kGroup);
  verb.add_option_function<std::string>(
          "--budget",
          [&files](const std::string& budget) {
            if (files.empty() || files.back().kind != MediaKind::kImage) {
              throw CLI::ValidationError("--budget", "stands behind the --image it is for");
            }
            files.back().budget = budget;
          },
          "Most soft tokens of the picture before: 70, 140, 280, 560, 1120, or auto for its own resolution "
          "(default: 280)")
      ->trigger_on_parse()
      ->type_name("N")
      ->group(kGroup);
  verb.add_option_function<std::string>("--audio", add(MediaKind::kAudio), "A sound of up to 30 s; may be given again")
      ->trigger_on_parse()
      ->type_name("FILE")
      ->group(kGroup);
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

SharedSoftTokens load_medium(MediaStore& store, const Compute& compute, const MediaFile& file) {
  const std::vector<std::byte> bytes = read_media_file(file.path);
  const std::string where = printable(file.path, 4096);
  if (file.kind == MediaKind::kAudio) return store.sound(compute, bytes, where);
  return store.image(compute, bytes, parse_image_budget(file.budget), where);
}

json::value content_with_media(const std::string& text, const std::vector<MediaFile>& files) {
  if (files.empty()) return json::value(text);
  json::array parts;
  const auto add = [&](bool is_audio) {
    for (const MediaFile& file : files) {
      if ((file.kind == MediaKind::kAudio) != is_audio) continue;
      parts.push_back(json::object{{"type", type_of(file.kind)}, {"path", file.path}, {"budget", file.budget}});
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
      const std::string_view type = part.at("type").as_string();
      if (type == "text") continue;
      files.push_back({type == type_of(MediaKind::kAudio) ? MediaKind::kAudio : MediaKind::kImage,
                       std::string(part.at("path").as_string()), std::string(part.at("budget").as_string())});
    }
  }
  return files;
}

bool is_message_content(const json::value& content) {
  if (content.is_string()) return true;
  const auto is_part = [](const json::value& part) {
    const json::object* object = part.if_object();
    if (object == nullptr) return false;
    const auto has_string = [object](std::string_view key) {
      const json::value* member = find_member(*object, key);
      return member != nullptr && member->is_string();
    };
    if (!has_string("type")) return false;
    const std::string_view type = object->at("type").get_string();
    if (type == "text") return has_string("text");
    return (type == "image" || type == "audio") && has_string("path") && has_string("budget");
  };
  return content.is_array() && std::all_of(content.get_array().begin(), content.get_array().end(), is_part);
}

}  // namespace carat
