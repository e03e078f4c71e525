#include "base/mapping_guard.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <utility>

namespace carat {
namespace {

// Read by the signal handler, at any moment, on any thread. end is written last and cleared first: a slot whose end is
// zero is free, or being filled.
struct Slot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> is_taken{false};
  std::atomic<bool> is_lost{false};

  bool holds(std::uintptr_t address) const { return address < end.load() && begin.load() <= address; }
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

// A signal handler gets nothing but the address, so what it needs lies at namespace scope.
std::array<Slot, MappingGuard::kMost> g_slots;
std::atomic<std::uintptr_t> g_page_bytes{4096};

// Zeros from the page of the fault to the mapping's end; whoever reads there goes on. The kernel changes the pages in
// one go: no other thread finds a hole, which is why several may read there meanwhile. The system call itself, for what
// the library's function does around it (the thread sanitizer's notes that it wrote the pages) is not for signal
// handlers.
bool replace_with_zeros(Slot& slot, std::uintptr_t address) {
  const std::uintptr_t page = address & ~(g_page_bytes.load() - 1);
  slot.is_lost = true;
  return ::syscall(SYS_mmap, page, slot.end.load() - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
         -1;
}

void on_bus_error(int number, siginfo_t* info, void* /*context*/) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Slot& slot : g_slots) {
    if (slot.holds(address) && replace_with_zeros(slot, address)) return;
  }
  static_cast<void>(::signal(number, SIG_DFL));  // the access is made again, and ends the process
}

}  // namespace

void survive_lost_mappings() {
  g_page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

MappingGuard::MappingGuard(std::span<const std::byte> mapping) {
  for (std::size_t i = 0; i < kMost && !mapping.empty(); ++i) {
    if (g_slots[i].is_taken.exchange(true)) continue;
    slot_ = i;
    g_slots[i].is_lost = false;
    g_slots[i].begin = reinterpret_cast<std::uintptr_t>(mapping.data());
    g_slots[i].end = reinterpret_cast<std::uintptr_t>(mapping.data() + mapping.size());
    return;
  }
}

MappingGuard::MappingGuard(MappingGuard&& other) noexcept : slot_(std::exchange(other.slot_, kNone)) {}

MappingGuard& MappingGuard::operator=(MappingGuard&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

MappingGuard::~MappingGuard() {
  if (slot_ == kNone) return;
  g_slots[slot_].end = 0;
  g_slots[slot_].is_taken = false;
}

bool MappingGuard::is_lost() const {
  return slot_ != kNone && g_slots[slot_].is_lost;
}

bool is_mapping_lost(const std::byte* address) {
  for (const Slot& slot : g_slots) {
    if (slot.holds(reinterpret_cast<std::uintptr_t>(address))) return slot.is_lost;
  }
  return false;
}

}  // namespace carat
