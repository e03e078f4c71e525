#include "cli/command_line.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/error.h"
#include "cli/command_info.h"
#include "cli/completion.h"
#include "cli/man_page.h"
#include "cli/options.h"

namespace carat {
namespace {

std::string usage_error(const std::vector<std::string>& arguments) {
  try {
    parse_command_line(arguments);
    return "";
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(CommandLine, EveryVerbHasHelpWithOneExample) {
  const CommandInfo root = all_commands();
  EXPECT_GE(root.commands.size(), 9U);
  for (const CommandInfo* command : with_descendants(root)) {
    EXPECT_FALSE(command->what.empty()) << command->path;
    EXPECT_NE(command->example.find("carat"), std::string::npos) << command->path;
    const std::string help = help_text(*command);
    EXPECT_NE(help.find("Usage: " + command->path), std::string::npos) << help;
    EXPECT_NE(help.find("Example:\n"), std::string::npos) << help;
    for (const OptionInfo& option : command->options) {
      EXPECT_FALSE(option.what.empty()) << command->path << ' ' << option.names.back();
      EXPECT_NE(help.find(option.names.back()), std::string::npos) << help;
    }
  }
}

TEST(CommandLine, HelpKeepsWithinAHundredColumns) {
  const CommandInfo root = all_commands();
  for (const CommandInfo* command : with_descendants(root)) {
    std::istringstream help(help_text(*command));
    for (std::string line; std::getline(help, line);) EXPECT_LE(line.size(), 100U) << command->path << ": " << line;
  }
}

TEST(CommandLine, DefaultsStandInHelpAsOneWouldTypeThem) {
  const CommandInfo root = all_commands();
  for (const CommandInfo* command : with_descendants(root)) {
    EXPECT_EQ(help_text(*command).find("default: ["), std::string::npos) << help_text(*command);
  }
}

TEST(CommandLine, CompletionsMentionEveryVerbAndOption) {
  const CommandInfo root = all_commands();
  const std::string bash = bash_completion(root);
  const std::string zsh = zsh_completion(root);
  const std::string fish = fish_completion(root);
  for (const CommandInfo* command : with_descendants(root)) {
    for (const std::string* script : {&bash, &zsh, &fish}) {
      EXPECT_NE(script->find(command->path), std::string::npos) << command->path;
    }
    for (const OptionInfo& option : command->options) {
      const std::string& name = option.names.back();
      EXPECT_NE(bash.find(name), std::string::npos) << name;
      EXPECT_NE(zsh.find(name), std::string::npos) << name;
      EXPECT_NE(fish.find("-l " + name.substr(2)), std::string::npos) << name;
    }
  }
  EXPECT_NE(bash.find("compgen -W \"f32 f16 bf16 q8_0\""), std::string::npos);
}

TEST(CommandLine, ManualPagesNameTheirOptionsAndExitCodes) {
  const CommandInfo root = all_commands();
  const std::string page = man_page(root, root, version());
  for (const CommandInfo& command : root.commands) {
    EXPECT_NE(page.find("\\fBcarat " + command.name), std::string::npos) << command.name;
    EXPECT_NE(man_page(command, root, version()).find(".SH EXIT STATUS"), std::string::npos);
  }
  const std::string run = man_page(root.commands.front(), root, version());
  EXPECT_EQ(run.substr(0, 16), ".TH CARAT\\-RUN 1");
  EXPECT_NE(run.find("\\fB\\-\\-temperature\\fR \\fIT\\fR"), std::string::npos) << run;
}

TEST(CommandLine, UnderstandsWhatIsRight) {
  EXPECT_EQ(usage_error({"run", "m.gguf", "why?", "--temperature", "0", "--logit-bias", "12=-1.5", "--logit-bias",
                         "13=-inf", "-t", "2", "--ctx", "100", "--kv-type", "f32"}),
            "");
  EXPECT_EQ(usage_error({"run", "m.gguf", "help"}), "");  // a prompt, though there is a verb of that name
  EXPECT_EQ(usage_error({"bench", "-p", "16,32", "m.gguf", "-t", "1,2"}), "");
  EXPECT_EQ(usage_error({"debug", "tokenize", "t.json", "--jsonl", "-"}), "");
  EXPECT_EQ(usage_error({"show", "--cpu"}), "");
  EXPECT_EQ(usage_error({"--help"}), "");
  EXPECT_EQ(usage_error({"run", "--help"}), "");
  EXPECT_EQ(usage_error({"--version"}), "");
}

TEST(CommandLine, SaysWhatIsWrongAndWhatMayBeMeant) {
  EXPECT_NE(usage_error({"rnu", "m.gguf"}).find("Did you mean \"run\"?"), std::string::npos);
  EXPECT_NE(usage_error({"run", "m.gguf", "--temprature", "1"}).find("Did you mean \"--temperature\"?"),
            std::string::npos);
  EXPECT_NE(usage_error({"debug", "tokenise", "x"}).find("Did you mean \"tokenize\"?"), std::string::npos);
  EXPECT_NE(usage_error({"run", "m.gguf", "why", "is", "it"}).find("quotes"), std::string::npos);
  EXPECT_NE(usage_error({"run"}).find("MODEL"), std::string::npos);
  EXPECT_NE(usage_error({}).find("Usage: carat"), std::string::npos);
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"run", "m", "--temperature", "hot"},
                                             {"run", "m", "--kv-type", "q9"},
                                             {"run", "m", "--max-tokens", "-3"},
                                             {"run", "m", "--threads", "0"},
                                             {"run", "m", "--seed"},
                                             {"run", "m", "--logit-bias", "x"},
                                             {"run", "m", "--color", "green"},
                                             {"bench", "m", "-p", "a"},
                                             {"debug"},
                                             {"completion", "tcsh"},
                                             {"completion"},
                                             {"--nonsense"}}) {
    EXPECT_NE(usage_error(arguments), "") << arguments.back();
  }
}

TEST(Options, LogitBiasIsIdEqualsNumber) {
  const auto bias = parse_logit_bias("106=-1.5");
  ASSERT_TRUE(bias);
  EXPECT_EQ(bias->token, 106);
  EXPECT_EQ(bias->bias, -1.5);
  EXPECT_TRUE(parse_logit_bias("1=-inf"));
  for (const char* text : {"", "1", "=", "1=", "=1", "x=1", "1=y", "1=2=3", "1 =2"}) {
    EXPECT_FALSE(parse_logit_bias(text)) << text;
  }
}

TEST(Options, SettingsGoByTheNamesOfTheirFlags) {
  SamplingParams params;
  set_sampling_param(params, "top-k", "20");
  set_sampling_param(params, "temperature", "0.5");
  set_sampling_param(params, "seed", "7");
  EXPECT_EQ(params.top_k, 20);
  EXPECT_EQ(params.temperature, 0.5);
  EXPECT_EQ(params.seed, 7U);
  EXPECT_THROW(set_sampling_param(params, "top-k", "many"), Error);
  EXPECT_THROW(set_sampling_param(params, "topk", "1"), Error);
  EXPECT_NE(sampling_params_text(params).find("top-k               20\n"), std::string::npos);
}

}  // namespace
}  // namespace carat
