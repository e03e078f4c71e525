// For tests: the nth allocation fails. Linked into a test program, this replaces its operator new and posix_memalign.
#pragma once

#include <cstddef>

namespace carat {

// From now on, the nth allocation (n >= 1) of all threads but the exempt ones fails, once.
void fail_allocation(std::size_t n);
// No further allocation fails. True when one did since fail_allocation.
bool stop_failing_allocations();

// This thread's allocations neither fail nor count while one of these lives.
class ExemptFromFailing {
 public:
  ExemptFromFailing();
  ~ExemptFromFailing();
  ExemptFromFailing(const ExemptFromFailing&) = delete;
  ExemptFromFailing& operator=(const ExemptFromFailing&) = delete;
};

}  // namespace carat
