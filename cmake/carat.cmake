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

# Under GCC's sanitizers, compiling is what a build machine does most. A file takes 2 to 3 times as long at -O2 as at -O0
# (chat.cpp 23 s, 14 s at -O1, 8 s at -O0): only what computes is worth that, in the library and in its tests. The checks
# for null pointers and misaligned ones, before every access, are a quarter of the time and half of the code
# (http_connection.cpp 9.6 s, 7.3 s without; 12.3 MB, 6.7 MB): the address sanitizer stops at a null pointer all the same,
# and where nothing computes, nothing reads numbers out of bytes through a pointer.
set(CARAT_TEST_OPTIONS "")
set(CARAT_CONTROL_OPTIONS "")
if(CARAT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CARAT_TEST_OPTIONS -fno-sanitize=null,alignment)
  set(CARAT_CONTROL_OPTIONS -O0 ${CARAT_TEST_OPTIONS})
endif()

# As options of the sources, which come last on the command line: there the last -O and -fno-sanitize count.
function(carat_add_source_options options)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${options})
endfunction()

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
    carat_add_source_options("${CARAT_CONTROL_OPTIONS}" ${arg_SOURCES})
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
    carat_add_source_options("${CARAT_CONTROL_OPTIONS}" ${arg_SOURCES})
  else()
    carat_add_source_options("${CARAT_TEST_OPTIONS}" ${arg_SOURCES})
  endif()
  target_link_libraries(${name}_test PRIVATE ${arg_DEPENDS} GTest::gtest GTest::gtest_main)
  # Relative, so that a compiler cache serves every clone; ctest runs the tests in the repository's root.
  target_compile_definitions(${name}_test PRIVATE CARAT_TEST_DATA="tests")
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}/ DISCOVERY_MODE PRE_TEST
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT 600)
endfunction()
