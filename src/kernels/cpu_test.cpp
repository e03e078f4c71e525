#include "kernels/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace carat {
namespace {

TEST(Cpu, TheBestTableThatRunsIsChosen) {
  ASSERT_EQ(unsetenv("CARAT_ISA"), 0);
  const KernelTable& best = select_kernels();
  EXPECT_EQ(best.needs & ~cpu_features(), 0U);
  for (const KernelTable* table : all_kernels()) {
    if (table == &best) break;
    EXPECT_NE(table->needs & ~cpu_features(), 0U) << table->name << " is better and runs too";
  }
}

TEST(Cpu, ATableIsChosenByName) {
  for (const KernelTable* table : all_kernels()) {
    if ((table->needs & ~cpu_features()) == 0) {
      EXPECT_EQ(&select_kernels(table->name), table);
      ASSERT_EQ(setenv("CARAT_ISA", table->name, 1), 0);
      EXPECT_EQ(&select_kernels(), table);
      EXPECT_EQ(&select_kernels("reference"), all_kernels().back());  // an argument goes before the environment
    } else {
      EXPECT_THROW(select_kernels(table->name), Error);
    }
  }
  ASSERT_EQ(unsetenv("CARAT_ISA"), 0);
}

TEST(Cpu, AnUnknownNameIsRefusedWithTheKnownOnes) {
  try {
    select_kernels("sse9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("sse9"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("reference"), std::string::npos);
  }
}

TEST(Cpu, EveryEntryOfEveryTableIsFilled) {
  for (const KernelTable* table : all_kernels()) {
    SCOPED_TRACE(table->name);
    EXPECT_TRUE(table->panel_gemm_f32 && table->panel_gemm_i8 && table->quantize_i8 && table->rms_norm);
    EXPECT_TRUE(table->add && table->mul && table->scale && table->scale_add && table->gelu_mul && table->sigmoid_mul &&
                table->soft_cap);
    EXPECT_TRUE(table->rope && table->max && table->exp_shifted);
    EXPECT_TRUE(table->to_f16 && table->to_bf16);
    for (std::size_t type = 0; type < kDTypeCount; ++type) {
      EXPECT_EQ(table->unpack_i8[type] != nullptr, panel_format(static_cast<DType>(type)).max_code != 0) << type;
    }
  }
}

}  // namespace
}  // namespace carat
