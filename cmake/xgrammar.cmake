# The library carat::xgrammar: xgrammar's C++ core (https://github.com/mlc-ai/xgrammar, Apache-2.0), which turns
# grammars into masks over a vocabulary. scripts/fetch_xgrammar gets its sources. It is built once, here, while CMake
# configures, into the user's cache folder: all presets use the same library, which has no sanitizers and no debug
# information in it. That takes a minute or two of both cores, once.
#
# CARAT_XGRAMMAR_SOURCE, if given, is a folder with the sources, for machines that can't fetch them.
set(CARAT_XGRAMMAR_SOURCE "" CACHE PATH "Sources of xgrammar 0.2.8; empty: fetched by scripts/fetch_xgrammar")

function(carat_find_xgrammar)
  set(source ${CARAT_XGRAMMAR_SOURCE})
  if(NOT source)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    execute_process(COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/scripts/fetch_xgrammar
      OUTPUT_VARIABLE source OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "The sources of xgrammar 0.2.8 could not be fetched (scripts/fetch_xgrammar; the reason stands "
        "above). They are needed once. Without a network, unpack the source package xgrammar-0.2.8.tar.gz of PyPI and "
        "give its folder: cmake --preset release -DCARAT_XGRAMMAR_SOURCE=FOLDER")
    endif()
  endif()

  if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(cache $ENV{XDG_CACHE_HOME})
  else()
    set(cache $ENV{HOME}/.cache)
  endif()
  # -fno-lto behind the package's own flags: the objects have to be code, for whichever compiler links them.
  set(flags "-O2 -fno-lto -Wno-error -fstack-protector-strong -DXGRAMMAR_LOG_CUSTOMIZE=1")
  # The compiler doesn't matter (the C++ library of the system is the same for all), its flags do.
  string(SHA256 key "${source} ${flags} ${CMAKE_SYSTEM_PROCESSOR}")
  string(SUBSTRING ${key} 0 12 key)
  set(build ${cache}/carat/xgrammar/build-${key})
  set(library ${build}/libxgrammar.a)

  file(MAKE_DIRECTORY ${build})
  file(LOCK ${build}/.lock GUARD FUNCTION TIMEOUT 1800)
  if(NOT EXISTS ${build}/.complete)
    message(STATUS "Building xgrammar, once, into ${build}")
    # The package's own settings would turn its Python bindings on.
    file(WRITE ${build}/config.cmake "set(XGRAMMAR_BUILD_PYTHON_BINDINGS OFF)\n")
    include(ProcessorCount)
    ProcessorCount(cores)
    set(log ${build}/build.log)
    execute_process(
      COMMAND ${CMAKE_COMMAND} -G ${CMAKE_GENERATOR} -S ${source} -B ${build} -DCMAKE_BUILD_TYPE=Release
        -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_CXX_FLAGS=${flags} -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG
      COMMAND_ECHO NONE OUTPUT_FILE ${log} ERROR_FILE ${log} RESULT_VARIABLE failed)
    if(NOT failed)
      execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} --target xgrammar --parallel ${cores}
        OUTPUT_FILE ${log} ERROR_FILE ${log} RESULT_VARIABLE failed)
    endif()
    if(failed)
      message(FATAL_ERROR "xgrammar could not be built: see ${log}")
    endif()
    file(TOUCH ${build}/.complete)
  endif()

  set(carat_xgrammar_source ${source} PARENT_SCOPE)  # its licences go with the program
  add_library(carat_xgrammar STATIC IMPORTED GLOBAL)
  set_target_properties(carat_xgrammar PROPERTIES
    IMPORTED_LOCATION ${library}
    INTERFACE_INCLUDE_DIRECTORIES "${source}/include;${source}/3rdparty/dlpack/include;${source}/3rdparty/picojson"
    INTERFACE_COMPILE_DEFINITIONS "XGRAMMAR_ENABLE_CPPTRACE=0;XGRAMMAR_ENABLE_INTERNAL_CHECK=0")
  target_link_libraries(carat_xgrammar INTERFACE Threads::Threads)
  add_library(carat::xgrammar ALIAS carat_xgrammar)
endfunction()

carat_find_xgrammar()
