// carat: reads the command line, does what it asks for, and says with words and an exit code how it went.
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace {

int fail(int code, const std::string& message) {
  carat::write_stderr(carat::str("carat: ", message, message.ends_with('\n') ? "" : "\n"));
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  carat::install_signal_handlers();
  try {
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    carat::parse_command_line(arguments)();
    return carat::kExitOk;
  } catch (const carat::UsageError& error) {
    return fail(carat::kExitUsage, error.what());
  } catch (const carat::Error& error) {
    return fail(carat::exit_code(error), error.what());
  } catch (const std::bad_alloc&) {
    return fail(carat::kExitOutOfMemory, "out of memory. Try a shorter context (--ctx) or a smaller model.");
  } catch (const std::system_error& error) {
    return fail(carat::kExitOutOfMemory, carat::str("the system gives no more threads or other resources: ",
                                                    error.what(), ". Check ulimit -u, or try fewer threads (-t)."));
  } catch (const std::exception& error) {
    return fail(carat::kExitOther, carat::str("this should not have happened: ", error.what(),
                                              ". Please report it with the command line."));
  }
}
