# How every folder of the tree is built: one library, one test program, fuzzers and benchmarks beside.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

add_library(tidewire_options INTERFACE)
target_include_directories(tidewire_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
target_compile_options(tidewire_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Werror -fno-omit-frame-pointer)
target_link_libraries(tidewire_options INTERFACE fmt::fmt Threads::Threads)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ccache needs it to work with precompiled headers.
  target_compile_options(tidewire_options INTERFACE -fpch-preprocess)
  # g++ 12 reports these wrongly in optimised library code (std::string, std::variant).
  target_compile_options(tidewire_options INTERFACE
    -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-stringop-overread)
else()
  # The first for ccache as well; the second because g++'s -Wconversion does not mean it either.
  target_compile_options(tidewire_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp" -Wno-sign-conversion)
endif()
if(TIDEWIRE_SANITIZE)
  target_compile_options(tidewire_options INTERFACE
    -fsanitize=${TIDEWIRE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(tidewire_options INTERFACE -fsanitize=${TIDEWIRE_SANITIZE})
endif()
find_program(MOLD mold)
if(MOLD)
  target_link_options(tidewire_options INTERFACE -fuse-ld=mold)
endif()

# Tables in spec/ become X-macro files, so that codes and settings stand in one place.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(TIDEWIRE_GENERATED ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${TIDEWIRE_GENERATED}/spec)
file(GLOB spec_tables CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/spec/*.json)
add_custom_command(
  OUTPUT ${TIDEWIRE_GENERATED}/spec/stamp
  BYPRODUCTS ${TIDEWIRE_GENERATED}/spec/errors.inc ${TIDEWIRE_GENERATED}/spec/settings.inc
  COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/generate.py ${CMAKE_SOURCE_DIR}/spec ${TIDEWIRE_GENERATED}/spec
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/generate.py ${spec_tables}
  COMMENT "Generating tables from spec/")
add_custom_target(tidewire_spec DEPENDS ${TIDEWIRE_GENERATED}/spec/stamp)

if(TIDEWIRE_TESTS)
  # For tests that read files of the tree. A definition for all of them would hide from the compiler's cache
  # that another clone has the same sources.
  file(CONFIGURE OUTPUT ${TIDEWIRE_GENERATED}/testing/source_dir.h
    CONTENT "#define TIDEWIRE_SOURCE_DIR \"@CMAKE_SOURCE_DIR@\"\n" @ONLY)
  enable_testing()
  add_custom_target(unit_tests)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(TIDEWIRE_BENCH)
  find_package(benchmark REQUIRED)
endif()

# tidewire_layer(name [LONG_TESTS] [DEPS layer... ] [LINK library...] [TEST_LINK library...])
# builds src/<name>/*.cpp as tidewire_<name>, *_test.cpp as <name>_test, each *_fuzz.cpp and
# *_bench.cpp as a program of its own. LONG_TESTS are optimised under the sanitizers too: they compute for minutes.
function(tidewire_layer name)
  cmake_parse_arguments(arg "LONG_TESTS" "" "DEPS;LINK;TEST_LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(fuzzers ${sources})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  set(benches ${sources})
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cpp$")

  set(links tidewire_options)
  foreach(dep ${arg_DEPS})
    list(APPEND links tidewire_${dep})
  endforeach()
  list(APPEND links ${arg_LINK})

  if(sources)
    add_library(tidewire_${name} STATIC ${sources})
    target_link_libraries(tidewire_${name} PUBLIC ${links})
    target_precompile_headers(tidewire_${name} PRIVATE
      <algorithm> <array> <cstdint> <expected> <functional> <memory> <optional> <span> <string>
      <string_view> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)
    if(TIDEWIRE_FUZZ)
      target_compile_options(tidewire_${name} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
  else()
    add_library(tidewire_${name} INTERFACE)
    target_link_libraries(tidewire_${name} INTERFACE ${links})
  endif()
  add_dependencies(tidewire_${name} tidewire_spec)

  if(TIDEWIRE_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE tidewire_${name} GTest::gtest GTest::gmock GTest::gtest_main ${arg_TEST_LINK})
    target_precompile_headers(${name}_test PRIVATE <gtest/gtest.h> <gmock/gmock.h> <string> <vector>)
    if(TIDEWIRE_SANITIZE AND NOT arg_LONG_TESTS)
      # The assertions' code is most of what an instrumented build compiles, and need not be fast.
      target_compile_options(${name}_test PRIVATE -O0)
    endif()
    add_test(NAME ${name} COMMAND ${name}_test)
    add_dependencies(unit_tests ${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 900)
  endif()
  if(TIDEWIRE_FUZZ)
    foreach(file ${fuzzers})
      get_filename_component(target ${file} NAME_WE)
      add_executable(${target} ${file})
      target_link_libraries(${target} PRIVATE tidewire_${name} -fsanitize=fuzzer)
    endforeach()
  endif()
  if(TIDEWIRE_BENCH)
    foreach(file ${benches})
      get_filename_component(target ${file} NAME_WE)
      add_executable(${target} ${file})
      target_link_libraries(${target} PRIVATE tidewire_${name} benchmark::benchmark benchmark::benchmark_main)
    endforeach()
  endif()
endfunction()
