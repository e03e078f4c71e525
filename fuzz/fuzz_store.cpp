// Any bytes as what a registry answers, or as a model's name: refused by an Error, or a listing in which every name and
// hash is one. The first byte chooses.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "store/registry.h"

namespace {

using namespace carat;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_listing(const RegistryListing& listing) {
  check(!listing.commit.empty() && listing.commit.find('/') == std::string::npos && listing.commit[0] != '.');
  for (const RegistryFile& file : listing.files) {
    check(is_safe_file_name(file.name));
    check(!file.blob.empty() && file.blob.find('/') == std::string::npos && file.blob != "." && file.blob != "..");
    const std::string& hex = file.remote.digest.hex;
    check(std::ranges::all_of(hex, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }));
  }
}

void check_name(std::string_view text) {
  const auto reference = parse_reference(text);
  if (!reference) return;
  // What a name means, its full form means too.
  const auto again = parse_reference(reference->text());
  check(again.has_value() && again->text() == reference->text());
  for (const std::string& path : {reference->repository, reference->revision}) {
    check(path.empty() || is_safe_file_name(path));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  int documents = 0;
  const auto fetch = [&](const std::string& url, const std::vector<std::string>&) {
    if (++documents > 3) throw Error(ErrorKind::kNetwork, "that is all there is");
    return parse_json(text, url, ErrorKind::kBadFile);
  };
  try {
    switch (data[0] % 4) {
      case 0:
        check_listing(list_registry(*parse_reference("hf.co/owner/model"), fetch));
        break;
      case 1:
        check_listing(list_registry(*parse_reference("ollama.com/gemma3:1b"), fetch));
        break;
      case 2:
        check_listing(list_registry(*parse_reference("kaggle.com/google/gemma-4/gguf/e2b-it/3"), fetch));
        break;
      default:
        check_name(text);
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
