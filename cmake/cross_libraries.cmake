# The libraries of the cross build, under the targets that find_package would make: Debian has them only for this
# machine's own processor, but their headers and sources fit any. Links to single folders of /usr/include, as the
# whole of it would bring in this machine's C library.
set(host_headers ${PROJECT_BINARY_DIR}/host-headers)
file(MAKE_DIRECTORY ${host_headers})
foreach(library boost kissfft)
  file(CREATE_LINK /usr/include/${library} ${host_headers}/${library} SYMBOLIC)
endforeach()

file(CONFIGURE OUTPUT ${host_headers}/boost_json.cpp CONTENT "#include <boost/json/src.hpp>\n")
add_library(boost_json STATIC ${host_headers}/boost_json.cpp)
target_include_directories(boost_json SYSTEM PUBLIC ${host_headers})
target_compile_definitions(boost_json PUBLIC BOOST_JSON_STATIC_LINK BOOST_CONTAINER_NO_LIB)
add_library(Boost::json ALIAS boost_json)
set(CARAT_KISSFFT ${host_headers} CACHE PATH "Where kissfft/kissfft.hh is")

if(CARAT_TESTS)
  set(BUILD_GMOCK OFF)
  set(INSTALL_GTEST OFF)
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
endif()
