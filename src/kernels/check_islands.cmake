# cmake -DNM=... -DOBJECTS=a.o|b.o -P check_islands.cmake
# Fails if an object compiled with instruction-set flags exports a symbol that another file may share: the linker keeps
# one copy of an inline function, and it could be the one for a processor that isn't there. Names that carry the ISA's
# (Avx2, Avx512, NeonDotprod, NeonI8mm) or are the table itself are fine.
string(REPLACE "|" ";" objects "${OBJECTS}")
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} --defined-only --extern-only --format=posix ${object}
    OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
  if(failed OR symbols STREQUAL "")
    message(FATAL_ERROR "${NM} found no symbols in ${object}")
  endif()
  string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "Avx(2|512)|Neon(Dotprod|I8mm)|[0-9](avx2|avx512_vnni|avx512_amx|neon_dotprod|neon_i8mm)_kernels|DW\\.ref\\.|^__odr_asan|^asan\\.")
      message(SEND_ERROR "${object} exports a symbol that does not carry its ISA's name: ${line}")
    endif()
  endforeach()
endforeach()
