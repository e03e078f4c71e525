# Warnings, hardening and the two functions every folder's CMakeLists.txt calls.

add_library(carat_options INTERFACE)
target_include_directories(carat_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(carat_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wformat=2 -Werror
  $<$<CXX_COMPILER_ID:Clang>:-Wno-missing-braces>  # warns of std::array's own inner braces left out
  -fstack-protector-strong -ffp-contract=off
  -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)  # source locations in messages name no folder of the machine built on
if(CARAT_SANITIZE)
  target_compile_options(carat_options INTERFACE
    -fsanitize=${CARAT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(carat_options INTERFACE -fsanitize=${CARAT_SANITIZE})
else()
  target_compile_options(carat_options INTERFACE
    $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>
    -D_GLIBCXX_ASSERTIONS)
endif()
if(CARAT_FUZZERS)
  target_compile_options(carat_options INTERFACE -fsanitize=fuzzer-no-link)  # tells the fuzzer which branches are taken
endif()
target_link_options(carat_options INTERFACE -Wl,-z,relro,-z,now)

# Under GCC's sanitizers, optimising takes most of a build's time: a file takes 2 to 3 times as long at -O2 as at -O0
# (chat.cpp 23 s, 14 s at -O1, 8 s at -O0). Only what computes is worth that, in the library and in its tests; the last -O
# on the command line counts.
set(CARAT_QUICK_TO_COMPILE "")
if(CARAT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CARAT_QUICK_TO_COMPILE -O0)
endif()

# carat_library(NAME [CONTROL] SOURCES ... DEPENDS ... LIBRARIES ... TESTS ...)
# A folder of src/: static library carat_NAME from SOURCES, using the folders DEPENDS and the outside LIBRARIES;
# TESTS become the executable NAME_test, each of its cases a test of ctest. CONTROL: it says what is to be done and
# computes little, so that sanitizers may find it unoptimised.
function(carat_library name)
  cmake_parse_arguments(arg "CONTROL" "" "SOURCES;DEPENDS;LIBRARIES;TESTS" ${ARGN})
  list(TRANSFORM arg_DEPENDS PREPEND carat_)
  add_library(carat_${name} STATIC ${arg_SOURCES})
  target_link_libraries(carat_${name} PUBLIC carat_options ${arg_DEPENDS} ${arg_LIBRARIES})
  set(control "")
  if(arg_CONTROL)
    set(control CONTROL)
    target_compile_options(carat_${name} PRIVATE ${CARAT_QUICK_TO_COMPILE})
  endif()
  if(CARAT_TESTS AND arg_TESTS)
    carat_test(${name} ${control} SOURCES ${arg_TESTS} DEPENDS ${name})
  endif()
endfunction()

# carat_test(NAME [CONTROL] SOURCES ... DEPENDS ...): executable NAME_test over the folders DEPENDS. CONTROL as above.
function(carat_test name)
  cmake_parse_arguments(arg "CONTROL" "" "SOURCES;DEPENDS" ${ARGN})
  list(TRANSFORM arg_DEPENDS PREPEND carat_)
  add_executable(${name}_test ${arg_SOURCES})
  if(arg_CONTROL)
    target_compile_options(${name}_test PRIVATE ${CARAT_QUICK_TO_COMPILE})
  endif()
  target_link_libraries(${name}_test PRIVATE ${arg_DEPENDS} GTest::gtest GTest::gtest_main)
  # Relative, so that a compiler cache serves every clone; ctest runs the tests in the repository's root.
  target_compile_definitions(${name}_test PRIVATE CARAT_TEST_DATA="tests")
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}/ DISCOVERY_MODE PRE_TEST
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT 600)
endfunction()
