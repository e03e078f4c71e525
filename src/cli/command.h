// A command of the command line and its options, as the verbs of carat declare them. CLI11, which parses them, stays
// behind these handles: it takes a compiler five seconds a file.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace carat {

// Thrown for a command line that can't be understood: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What is to be done. Actions throw Error; they end normally for exit code 0.
using Action = std::function<void()>;

// A handle of an option or argument, which belongs to its command.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  // How help calls what follows the option: "N". FILE and FOLDER let shells complete paths.
  Option value(std::string_view name) const;
  // The heading under which help lists the option.
  Option group(std::string_view heading) const;
  Option required(bool is_required = true) const;
  Option one_of(const std::vector<std::string>& choices) const;
  // Bounds of a number, both included.
  Option range(std::integral auto least, std::integral auto most) const {
    return integers(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most));
  }
  Option range(double least, double most) const;
  // Help tells the default: what the target holds now, or this text.
  Option with_default() const;
  Option with_default(std::string_view text) const;
  // Where the option is not given, this variable of the environment counts.
  Option environment(const char* variable) const;
  // Takes one value each time it is given; without it, an option with a list takes all values up to the next option.
  Option once_each() const;
  // A value is a list whose parts this character divides.
  Option divided_at(char character) const;
  // Its function is called while the command line is read and not behind it: so the order of options counts.
  Option as_read() const;
  // May not be given together with another option of the same command.
  Option excludes(Option other) const;
  Option excludes(std::string_view name) const;

 private:
  Option integers(std::int64_t least, std::int64_t most) const;

  CLI::Option* option_;
};

// A handle of a command, which belongs to the root of all. Targets of options have to live until the command is run.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // A command below this one, with a line on what it does and one example.
  Command add_verb(std::string_view name, std::string_view what, std::string_view example) const;
  void alias(std::string_view name) const;
  // One of the commands below this one has to follow.
  void require_verb() const;

  // names: "-t,--threads", or a word for an argument. T: a number, a text, an optional or a vector of these, as far as
  // command.cpp makes them.
  template <typename T>
  Option option(std::string_view names, T& target, std::string_view what) const;
  // function is called with what was given. It may throw UsageError.
  template <typename T>
  Option option_called(std::string_view names, std::function<void(const T&)> function, std::string_view what) const;
  // Without a value: sets target, or clears it.
  Option flag(std::string_view names, bool& target, std::string_view what) const;
  Option clearing_flag(std::string_view names, bool& target, std::string_view what) const;
  // One that was declared before.
  Option find_option(std::string_view name) const;

  // function is called when the command line names this command, after all of it is read.
  void when_chosen(std::function<void()> function) const;

  // For what parses the command line and reads the definitions.
  CLI::App& app() const { return *app_; }

 private:
  CLI::App* app_;
};

// What `verb` does with its options: action becomes a call of run(*options) when the verb was asked for.
template <typename Options, typename Run>
void set_action(Command verb, Action& action, std::shared_ptr<Options> options, Run run) {
  verb.when_chosen([&action, options, run] { action = [options, run] { run(*options); }; });
}

}  // namespace carat
