// What names mean, and that hostile ones mean nothing.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "store/catalogue.h"
#include "store/digest.h"
#include "store/model_store.h"
#include "store/places.h"
#include "store/reference.h"
#include "store/repository.h"
#include "store/selection.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

// Caches and configuration in a folder of the test's own.
class Names : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "carat_names_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    ::setenv("HOME", folder_.c_str(), 1);
    ::setenv("CARAT_MODELS", (folder_ / "models").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (folder_ / "config").c_str(), 1);
    ::setenv("CARAT_DATA", (folder_ / "data").c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A repository with files, as a finished pull leaves it.
  void add_repository(const std::string& reference, const std::vector<std::string>& files) const {
    const Reference parsed = *parse_reference(reference);
    const Repository repository(parsed);
    for (const std::string& file : files) {
      fs::create_directories(repository.folder() / "blobs");
      std::string blob = file;
      std::replace(blob.begin(), blob.end(), '/', '-');
      std::ofstream(repository.blob(blob)) << "content of " << file;
      repository.link("0123456789abcdef0123456789abcdef01234567", file, blob);
    }
    repository.set_revision(parsed.revision, "0123456789abcdef0123456789abcdef01234567");
  }

  fs::path folder_;
};

struct Good {
  const char* text;
  const char* full;
};

TEST_F(Names, ReferencesInAllForms) {
  const Good kGood[] = {
      {"hf.co/google/gemma-4-E2B-it", "hf.co/google/gemma-4-E2B-it"},
      {"HF.co/Google/Gemma-4-E2B-it", "hf.co/Google/Gemma-4-E2B-it"},
      {"huggingface.co/a/b:Q8_0", "hf.co/a/b:Q8_0"},
      {"https://huggingface.co/a/b", "hf.co/a/b"},
      {"hf:a/b:dir/x.gguf@v1.0", "hf.co/a/b:dir/x.gguf@v1.0"},
      {"hf.co/a/b@0123abc", "hf.co/a/b@0123abc"},
      {"hf.co/a/b@refs/pr/3", "hf.co/a/b@refs/pr/3"},
      {"ollama.com/gemma3", "ollama.com/library/gemma3:latest"},
      {"ollama.com/me/gemma3:270m", "ollama.com/me/gemma3:270m"},
      {"registry.ollama.ai/library/gemma3:1b", "ollama.com/library/gemma3:1b"},
      {"ollama:gemma3:1b", "ollama.com/library/gemma3:1b"},
      {"kaggle.com/google/gemma-4/gguf/e2b-it", "kaggle.com/google/gemma-4/gguf/e2b-it"},
      {"kaggle:google/gemma-4/gguf/e2b-it/3", "kaggle.com/google/gemma-4/gguf/e2b-it/3"},
      {"https://www.kaggle.com/models/google/gemma-4/gguf/e2b-it", "kaggle.com/google/gemma-4/gguf/e2b-it"}};
  for (const Good& good : kGood) {
    const auto reference = parse_reference(good.text);
    ASSERT_TRUE(reference) << good.text;
    EXPECT_EQ(reference->text(), good.full);
  }
}

TEST_F(Names, HostileNamesAreRefused) {
  const std::string part(190, 'a');  // short enough by itself
  const std::string kBad[] = {"hf.co/",
                              "hf.co/a",
                              "hf.co/a/",
                              "hf.co//b",
                              "hf.co/a/b/c",
                              "hf.co/../b",
                              "hf.co/a/..",
                              "hf.co/a/b:",
                              "hf.co/a/b:../x.gguf",
                              "hf.co/a/b:/etc/passwd",
                              "hf.co/a/b:x\\y",
                              "hf.co/a/b@",
                              "hf.co/a/b@..",
                              "hf.co/a/b@../../x",
                              "hf.co/a/%2e%2e",
                              "hf.co/a/b c",
                              "hf.co/a/b\n",
                              "hf.co/a/\x1b[31mred",
                              "hf.co/-rf/b",
                              "hf.co/a/-b",
                              "hf.co/\xd0\xb0/b",
                              "hf.co/a/b\xff",
                              "hf.co/a/b:x\x01y",
                              "ollama.com/",
                              "ollama.com/a/b/c",
                              "ollama.com/a:",
                              "ollama.com/a:../b",
                              "ollama.com/../b:1",
                              "ollama.com/a?b",
                              "ollama.com/a#b",
                              "kaggle.com/a",
                              "kaggle.com/a/b/c",
                              "kaggle.com/a/b/c/d/e/f",
                              "kaggle.com/a/../c/d",
                              "hf.co/" + std::string(300, 'a') + "/b",
                              "hf.co/" + part + "/" + part + "@" + part,
                              std::string("hf.co/a/b\0c", 10)};
  for (const std::string& bad : kBad) {
    EXPECT_THROW(parse_reference(bad), Error) << printable(bad);
    EXPECT_THROW(find_model(bad), Error) << printable(bad);
  }
}

TEST_F(Names, FileNamesFromServersAreHeldAgainstTheRules) {
  for (const char* good : {"model.gguf", "a/b/model.gguf", "mmproj-F16.gguf", "\xc3\xa9.gguf", "..a", "a..b"}) {
    EXPECT_TRUE(is_safe_file_name(good)) << good;
  }
  for (const char* bad : {"", "/", "/etc/passwd", "..", "../a", "a/../b", "a/./b", "a//b", "a/", "a\\b", "a\nb", "C:x",
                          "\x7f", "a\xff"}) {
    EXPECT_FALSE(is_safe_file_name(bad)) << bad;
  }
}

TEST_F(Names, TheCatalogueKnowsTheFamily) {
  const Catalogue catalogue = Catalogue::load();
  EXPECT_EQ(catalogue.find("gemma4")->name, "gemma4:e4b");
  EXPECT_EQ(catalogue.find("Gemma4:LATEST")->name, "gemma4:e4b");
  for (const char* size : {"e2b", "e4b", "12b", "26b", "26b-a4b", "31b"}) {
    for (const char* suffix : {"", "-q4_0", "-q8_0", "-bf16"}) {
      const std::string name = str("gemma4:", size, suffix);
      const auto entry = catalogue.find(name);
      ASSERT_TRUE(entry) << name;
      EXPECT_TRUE(parse_reference(entry->source)) << name;
      EXPECT_FALSE(entry->license.empty()) << name;
      EXPECT_EQ(catalogue.find(str("GEMMA4:", size, suffix))->name, name);
    }
  }
}

TEST_F(Names, UnknownNamesGetTheNearestThree) {
  try {
    find_model("gema4:e2");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_NE(std::string(error.what()).find("\"gemma4:e2b\""), std::string::npos) << error.what();
    EXPECT_EQ(std::count(error.what(), error.what() + std::string(error.what()).size(), '"'), 8) << error.what();
  }
  for (const char* name : {"", "gemma4:", ":e2b", "gemma5", "--help", "\x1b[2J", "gemma4:e2b-q9"}) {
    EXPECT_THROW(find_model(name), Error) << printable(name);
  }
}

TEST_F(Names, AModelIsFoundOnceItIsThere) {
  EXPECT_THROW(find_model("gemma4:e2b"), Error);
  add_repository("hf.co/google/gemma-4-E2B-it-qat-q4_0-gguf", {"gemma-4-E2B_q4_0-it.gguf", "mmproj-model-f16.gguf"});
  const StoredModel model = find_model("gemma4:e2b");
  EXPECT_EQ(model.path.filename(), "gemma-4-E2B_q4_0-it.gguf");
  EXPECT_EQ(model.projector.filename(), "mmproj-model-f16.gguf");
  EXPECT_EQ(find_model("hf.co/google/gemma-4-E2B-it-qat-q4_0-gguf").path, model.path);
  const auto models = list_models();
  ASSERT_EQ(models.size(), 1U);
  EXPECT_EQ(models[0].name, "gemma4:e2b");
}

TEST_F(Names, NamesOfOnesOwn) {
  add_repository("ollama.com/gemma3:270m", {"model.gguf"});
  copy_model("ollama.com/gemma3:270m", "mine");
  EXPECT_EQ(find_model("MINE").path, find_model("ollama.com/gemma3:270m").path);
  EXPECT_THROW(copy_model("mine", "gemma4:e2b"), Error);
  EXPECT_THROW(copy_model("mine", "../x"), Error);
  EXPECT_THROW(copy_model("nothing", "x"), Error);
  remove_model("mine");
  EXPECT_THROW(find_model("mine"), Error);
  EXPECT_TRUE(fs::exists(find_model("ollama.com/gemma3:270m").path));
}

TEST_F(Names, WhatComesWithCaratIsFoundInItsDataFolder) {
  try {
    find_model("demo");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_NE(std::string(error.what()).find((folder_ / "data" / "demo.gguf").string()), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("CARAT_DATA"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(list_models().empty());
  fs::create_directories(folder_ / "data");
  std::ofstream(folder_ / "data" / "demo.gguf") << "weights";
  EXPECT_EQ(find_model("Demo").path, folder_ / "data" / "demo.gguf");
  EXPECT_EQ(pull("demo", {}, {}).bytes, 7U) << "nothing to fetch";
  ASSERT_EQ(list_models().size(), 1U);
  EXPECT_EQ(list_models()[0].name, "demo");
  EXPECT_THROW(remove_model("demo"), Error);
  EXPECT_TRUE(fs::exists(folder_ / "data" / "demo.gguf"));

  copy_model("demo", "mine");
  ::setenv("CARAT_DATA", (folder_ / "moved").c_str(), 1);
  fs::rename(folder_ / "data", folder_ / "moved");
  EXPECT_EQ(find_model("mine").path, folder_ / "moved" / "demo.gguf") << "a name, not a path";
  EXPECT_EQ(remove_model("mine"), 0U);
  EXPECT_TRUE(fs::exists(folder_ / "moved" / "demo.gguf"));
}

TEST_F(Names, TheDataFolderLiesBesideTheProgram) {
  ::unsetenv("CARAT_DATA");
  EXPECT_EQ(data_folder(), fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "share" / "carat");
}

TEST_F(Names, AFolderWithoutAModelHidesNoName) {
  fs::create_directories(folder_ / "data");
  std::ofstream(folder_ / "data" / "demo.gguf") << "weights";
  fs::create_directories(folder_ / "work" / "demo");
  const fs::path before = fs::current_path();
  fs::current_path(folder_ / "work");
  const fs::path named = find_model("demo").path;
  std::ofstream("demo/config.json") << "{}";
  const fs::path hidden = find_model("demo").path;
  fs::current_path(before);
  EXPECT_EQ(named, folder_ / "data" / "demo.gguf");
  EXPECT_EQ(hidden, "demo");
}

TEST_F(Names, RemovingOneModelLeavesTheOthers) {
  add_repository("hf.co/a/b", {"x-Q4_0.gguf", "x-Q8_0.gguf", "mmproj.gguf"});
  EXPECT_GT(remove_model("hf.co/a/b:Q8_0"), 0U);
  EXPECT_THROW(find_model("hf.co/a/b:Q8_0"), Error);
  EXPECT_TRUE(fs::exists(find_model("hf.co/a/b:Q4_0").projector));
  remove_model("hf.co/a/b:Q4_0");
  EXPECT_TRUE(list_models().empty());
  EXPECT_FALSE(fs::exists(folder_ / "models" / "models--a--b"));
}

TEST_F(Names, AFolderWithoutAllItsShardsIsNoModel) {
  add_repository("hf.co/a/c", {"config.json", "model-00001-of-00002.safetensors"});
  const Repository repository(*parse_reference("hf.co/a/c"));
  std::ofstream(repository.blob("index"))
      << R"({"weight_map": {"x": "model-00001-of-00002.safetensors", "y": "model-00002-of-00002.safetensors"}})";
  repository.link("0123456789abcdef0123456789abcdef01234567", "model.safetensors.index.json", "index");
  EXPECT_THROW(find_model("hf.co/a/c"), Error);
  EXPECT_TRUE(list_models().empty());
}

TEST_F(Names, WhichFilesMakeUpAModel) {
  const std::vector<std::string> names{"README.md",     "mmproj-x-BF16.gguf", "mmproj-x-F16.gguf", "x-Q4_K_M.gguf",
                                       "x-Q4_K_S.gguf", "x-Q8_0.gguf",        "imatrix.dat"};
  EXPECT_EQ(select_files(names, "", "r").model, "x-Q4_K_M.gguf");
  EXPECT_EQ(select_files(names, "q8_0", "r").model, "x-Q8_0.gguf");
  EXPECT_EQ(select_files(names, "x-Q4_K_S.gguf", "r").model, "x-Q4_K_S.gguf");
  EXPECT_EQ(select_files(names, "", "r").projector, "mmproj-x-F16.gguf");
  EXPECT_THROW(select_files(names, "q4_k", "r"), Error) << "no part of a longer name";
  EXPECT_THROW(select_files({"x-00001-of-00002.gguf", "x-00002-of-00002.gguf"}, "x-00001-of-00002.gguf", "r"), Error);
  EXPECT_THROW(select_files({"README.md"}, "", "r"), Error);
  const Selection folder =
      select_files({"config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin"}, "", "r");
  EXPECT_EQ(folder.model, "");
  EXPECT_EQ(folder.files, (std::vector<std::string>{"model.safetensors", "tokenizer.json", "config.json"}));
}

TEST_F(Names, DigestsByTheirLength) {
  EXPECT_EQ(Digest::from_etag(str("\"", std::string(64, 'a'), "\"")).kind, DigestKind::kSha256);
  EXPECT_EQ(Digest::from_etag(str("W/\"", std::string(40, '1'), "\"")).kind, DigestKind::kGitSha1);
  for (const std::size_t length : {std::size_t{15}, std::size_t{40}, std::size_t{64}}) {
    std::string path = "../../etc/passwd";
    path.resize(length, 'a');
    EXPECT_EQ(Digest::from_etag(path).kind, DigestKind::kNone) << path;
  }
  const fs::path file = folder_ / "abc";
  std::ofstream(file) << "abc";
  EXPECT_EQ(digest_file(file, DigestKind::kSha256), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_file(file, DigestKind::kGitSha1), "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
  EXPECT_EQ(digest_file(file, DigestKind::kMd5), "900150983cd24fb0d6963f7d28e17f72");
}

}  // namespace
}  // namespace carat
