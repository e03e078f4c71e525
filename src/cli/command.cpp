#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <optional>

namespace carat {

Option Option::value(std::string_view name) const {
  option_->type_name(std::string(name));
  return *this;
}

Option Option::group(std::string_view heading) const {
  option_->group(std::string(heading));
  return *this;
}

Option Option::required(bool is_required) const {
  option_->required(is_required);
  return *this;
}

Option Option::one_of(const std::vector<std::string>& choices) const {
  option_->check(CLI::IsMember(choices));
  return *this;
}

Option Option::integers(std::int64_t least, std::int64_t most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::range(double least, double most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::with_default() const {
  option_->capture_default_str();
  const std::string text = option_->get_default_str();
  // A list as one would type it: the library has it in brackets.
  if (text.size() > 1 && text.front() == '[' && text.back() == ']') {
    return with_default(text.substr(1, text.size() - 2));
  }
  return *this;
}

Option Option::with_default(std::string_view text) const {
  option_->default_str(std::string(text));
  return *this;
}

Option Option::environment(const char* variable) const {
  option_->envname(variable);
  return *this;
}

Option Option::once_each() const {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::divided_at(char character) const {
  option_->delimiter(character);
  return *this;
}

Option Option::as_read() const {
  option_->trigger_on_parse();
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::excludes(std::string_view name) const {
  option_->excludes(std::string(name));
  return *this;
}

Command Command::add_verb(std::string_view name, std::string_view what, std::string_view example) const {
  CLI::App* verb = app_->add_subcommand(std::string(name), std::string(what));
  verb->footer(std::string(example));
  verb->get_help_ptr()->description("Print this help");
  return Command(verb);
}

void Command::alias(std::string_view name) const {
  app_->alias(std::string(name));
}

void Command::require_verb() const {
  app_->require_subcommand(1);
}

template <typename T>
Option Command::option(std::string_view names, T& target, std::string_view what) const {
  return Option(app_->add_option(std::string(names), target, std::string(what)));
}

template <typename T>
Option Command::option_called(std::string_view names, std::function<void(const T&)> function,
                              std::string_view what) const {
  return Option(app_->add_option_function(std::string(names), function, std::string(what)));
}

template Option Command::option(std::string_view, std::string&, std::string_view) const;
template Option Command::option(std::string_view, std::optional<std::string>&, std::string_view) const;
template Option Command::option(std::string_view, int&, std::string_view) const;
template Option Command::option(std::string_view, std::optional<int>&, std::string_view) const;
template Option Command::option(std::string_view, std::optional<std::uint16_t>&, std::string_view) const;
template Option Command::option(std::string_view, std::size_t&, std::string_view) const;
template Option Command::option(std::string_view, double&, std::string_view) const;
template Option Command::option(std::string_view, std::vector<std::string>&, std::string_view) const;
template Option Command::option(std::string_view, std::vector<std::size_t>&, std::string_view) const;

template Option Command::option_called(std::string_view, std::function<void(const std::string&)>,
                                       std::string_view) const;
template Option Command::option_called(std::string_view, std::function<void(const std::size_t&)>,
                                       std::string_view) const;
template Option Command::option_called(std::string_view, std::function<void(const double&)>, std::string_view) const;
template Option Command::option_called(std::string_view, std::function<void(const std::vector<std::string>&)>,
                                       std::string_view) const;

Option Command::flag(std::string_view names, bool& target, std::string_view what) const {
  return Option(app_->add_flag(std::string(names), target, std::string(what)));
}

Option Command::clearing_flag(std::string_view names, bool& target, std::string_view what) const {
  return Option(app_->add_flag("!" + std::string(names), target, std::string(what)));
}

Option Command::find_option(std::string_view name) const {
  return Option(app_->get_option(std::string(name)));
}

void Command::when_chosen(std::function<void()> function) const {
  app_->callback(std::move(function));
}

}  // namespace carat
