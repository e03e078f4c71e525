// ChildProcess: another program, spoken to through its standard input and output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

// Started without a shell: the arguments reach the program as they are. It is the head of a process group of its own,
// so that Ctrl-C in the terminal isn't meant for it, and all that it starts ends with it.
class ChildProcess {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // command: the program, looked for in PATH, and its arguments. Throws Error(kNotFound) when it can't be started.
  explicit ChildProcess(const std::vector<std::string>& command);
  // Kills the whole group.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  enum class Outcome { kDone, kTimeout, kClosed };

  // Reads and writes at once, so that neither side waits for the other. Ends with kDone as soon as is_enough() says so
  // (it is asked after each piece), kClosed when no more will come, kTimeout at the deadline. Of the output,
  // max_output_bytes are kept, the rest is counted. closes_input: behind `input`, the program gets no more.
  Outcome exchange(std::string_view input, bool closes_input, std::size_t max_output_bytes, Deadline deadline,
                   const std::function<bool()>& is_enough);

  // Writes all of `input`, reading meanwhile. False when the program doesn't take it.
  bool send(std::string_view input, std::size_t max_output_bytes, Deadline deadline);

  std::string& output() { return output_; }
  std::size_t output_bytes() const { return output_bytes_; }  // all that came, kept or not
  const std::string& errors() const { return errors_; }       // the last 4 KiB of its stderr

  // Its exit code once it has ended, 128 + number for a signal; waits until the deadline.
  std::optional<int> wait(Deadline deadline);

 private:
  // Waits for either direction and moves what there is. Nothing while there may be more to come.
  std::optional<Outcome> move(std::string_view& input, std::size_t max_output_bytes, Deadline deadline);
  void read_output(std::size_t max_output_bytes);
  void read_errors();
  void write_input(std::string_view& input);
  bool has_ended();

  pid_t pid_ = -1;
  std::optional<int> exit_code_;
  int input_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::string output_, errors_;
  std::size_t output_bytes_ = 0;
};

}  // namespace carat
