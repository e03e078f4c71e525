// `carat doctor`: what carat finds on this machine, and what of it is not as it should be.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "cli/command_line.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "kernels/cpu.h"
#include "store/catalogue.h"
#include "store/http_client.h"
#include "store/model_store.h"
#include "store/places.h"
#include "store/prune.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

struct DoctorFlags {
  bool is_json = false;
  bool is_offline = false;
};

enum class Health { kGood, kNote, kBad };

struct Finding {
  std::string subject;
  Health health = Health::kGood;
  std::string what;
};

std::string_view word_of(Health health) {
  return health == Health::kGood ? "good" : health == Health::kNote ? "note" : "bad";
}

// The chosen word of a file such as /sys/kernel/mm/transparent_hugepage/enabled: "always [madvise] never".
std::string chosen_word(const fs::path& path) {
  std::string text;
  std::ifstream file(path);
  std::getline(file, text);
  const std::size_t open = text.find('['), close = text.find(']');
  return open < close && close != std::string::npos ? text.substr(open + 1, close - open - 1) : "unknown";
}

Finding find_processor() {
  const std::string used(select_kernels().name);
  const bool is_plain = used == "reference";
  return {"kernels", is_plain ? Health::kNote : Health::kGood,
          str(used, " of ", kernel_names(),
              is_plain ? ". Without vector instructions carat is slow: this processor has none that it knows" : "")};
}

Finding find_threads() {
  return {"threads", Health::kGood,
          str(ThreadPool::physical_cores(), " cores, ", std::thread::hardware_concurrency(), " hardware threads")};
}

Finding find_memory() {
  const std::size_t available = available_memory();
  constexpr std::size_t kLittle = std::size_t{2} << 30;
  return {"memory", available < kLittle ? Health::kNote : Health::kGood,
          str(bytes_text(available), " free; huge pages: ", chosen_word("/sys/kernel/mm/transparent_hugepage/enabled"),
              available < kLittle ? ". That is too little for gemma4:e2b" : "")};
}

Finding find_files_limit() {
  struct rlimit limit {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kFew = 512;
  return {"open files", limit.rlim_cur < kFew ? Health::kNote : Health::kGood,
          str("at most ", limit.rlim_cur,
              limit.rlim_cur < kFew ? ". A server with many clients needs more: `ulimit -n 4096`" : "")};
}

// The folder, or the one above it that is there already.
fs::path existing_part(fs::path folder) {
  std::error_code ignored;
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

Finding find_store() {
  const fs::path cache = hub_cache();
  const fs::path there = existing_part(cache);
  if (::access(there.c_str(), W_OK | X_OK) != 0) {
    return {"store", Health::kBad, str(cache.string(), ": can't be written. Set CARAT_MODELS to a folder of your own")};
  }
  std::error_code ignored;
  const std::uint64_t free = fs::space(there, ignored).available;
  std::uint64_t left = 0;
  for (const Leftover& leftover : find_leftovers()) left += leftover.bytes;
  return {"store", left != 0 ? Health::kNote : Health::kGood,
          str(cache.string(), ": ", list_models().size(), " models, ", bytes_text(free), " free",
              left != 0 ? str("; ", bytes_text(left), " of no use: `carat prune`") : "")};
}

Finding find_catalogue() {
  return {"catalogue", Health::kGood, str(Catalogue::load().entries().size(), " names")};
}

// A year far from that of carat's own files: certificates and tokens won't be taken.
Finding find_clock() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::ostringstream text;
  text << std::put_time(&parts, "%Y-%m-%d %H:%M UTC");
  constexpr int kFirstYear = 2025, kLastYear = 2100;
  const int year = parts.tm_year + 1900;
  const bool is_good = year >= kFirstYear && year <= kLastYear;
  return {"clock", is_good ? Health::kGood : Health::kBad,
          text.str() + (is_good ? "" : ". Secure connections will fail until it is set")};
}

Finding find_network(bool is_offline_wanted) {
  if (is_offline_wanted || is_offline()) return {"network", Health::kGood, "not asked: offline"};
  const std::string url = hub_endpoint();
  try {
    const auto begin = std::chrono::steady_clock::now();
    const HttpResponse response = HttpClient().perform(
        {.url = url, .low_speed_seconds = 5}, [](const HttpResponse&, std::span<const std::byte>) { return true; });
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
    return {"network", response.status < 500 ? Health::kGood : Health::kNote,
            str(url, " answers (", response.status, ") within ", static_cast<long>(taken.count()), " ms")};
  } catch (const Error& error) {
    return {"network", Health::kNote,
            str(error.what(), " Models can't be pulled; those that are here work. Proxy: HTTPS_PROXY")};
  }
}

// What can't even be looked at is not good either.
template <typename Find>
Finding examine(const char* subject, const Find& find) {
  try {
    return find();
  } catch (const Error& error) {
    return {subject, Health::kBad, error.what()};
  }
}

void run_doctor(const DoctorFlags& flags) {
  const std::vector<Finding> findings{
      {"carat", Health::kGood, str(version(), ", compiled by ", __VERSION__)},
      find_processor(),
      find_threads(),
      find_memory(),
      find_files_limit(),
      examine("store", find_store),
      examine("catalogue", find_catalogue),
      find_clock(),
      find_network(flags.is_offline),
  };
  std::ostringstream text;
  json::array array;
  bool is_bad = false;
  for (const Finding& finding : findings) {
    is_bad |= finding.health == Health::kBad;
    text << std::left << std::setw(6) << word_of(finding.health) << std::setw(12) << finding.subject << finding.what
         << '\n';
    array.push_back({{"subject", finding.subject}, {"health", word_of(finding.health)}, {"what", finding.what}});
  }
  write_stdout(flags.is_json ? json::serialize(array) + "\n" : text.str());
  if (is_bad) throw Error(ErrorKind::kUnsupported, "something is not as it should be; see the lines marked \"bad\".");
}

}  // namespace

void define_doctor(Command root, Action& action) {
  auto flags = std::make_shared<DoctorFlags>();
  const Command verb =
      root.add_verb("doctor", "Say what carat finds on this machine, and what is wrong with it", "carat doctor");
  verb.flag("--offline", flags->is_offline, "Ask no server");
  verb.flag("--json", flags->is_json, "Print JSON");
  set_action(verb, action, flags, run_doctor);
}

}  // namespace carat
