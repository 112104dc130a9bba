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
  # In a unity build every source counts as a header.
  target_compile_options(tidewire_options INTERFACE -Wno-subobject-linkage)
else()
  # The first for ccache as well; the second because g++'s -Wconversion does not mean it either.
  target_compile_options(tidewire_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp" -Wno-sign-conversion)
endif()
if(TIDEWIRE_SANITIZE)
  target_compile_options(tidewire_options INTERFACE
    -fsanitize=${TIDEWIRE_SANITIZE} -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # What the address sanitizer sees as well, and a fifth of the time to compile.
    target_compile_options(tidewire_options INTERFACE -fno-sanitize=null,object-size,vptr)
  endif()
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

# The headers of nearly every file, compiled once for all layers, and once more with the test framework.
# Who reuses them must be compiled with the same options.
file(CONFIGURE OUTPUT ${TIDEWIRE_GENERATED}/nothing.cpp CONTENT "")
set(TIDEWIRE_PRECOMPILED
  <algorithm> <array> <cstdint> <expected> <functional> <memory> <optional> <span> <string>
  <string_view> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)
add_library(tidewire_headers STATIC ${TIDEWIRE_GENERATED}/nothing.cpp)
target_link_libraries(tidewire_headers PRIVATE tidewire_options)
target_precompile_headers(tidewire_headers PRIVATE ${TIDEWIRE_PRECOMPILED})
if(TIDEWIRE_FUZZ)
  target_compile_options(tidewire_headers PRIVATE -fsanitize=fuzzer-no-link)
endif()
function(tidewire_reuse_headers target)
  target_precompile_headers(${target} REUSE_FROM tidewire_headers)
  if(TIDEWIRE_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()
if(TIDEWIRE_TESTS)
  function(tidewire_test_headers name)
    add_library(${name} STATIC ${TIDEWIRE_GENERATED}/nothing.cpp)
    target_link_libraries(${name} PRIVATE tidewire_options GTest::gtest GTest::gmock)
    target_precompile_headers(${name} PRIVATE <gtest/gtest.h> <gmock/gmock.h> ${TIDEWIRE_PRECOMPILED})
    target_compile_options(${name} PRIVATE ${ARGN})
  endfunction()
  tidewire_test_headers(tidewire_test_headers)
  # The assertions' code is most of what an instrumented build compiles. It need not be fast, and says itself
  # where it stands.
  if(TIDEWIRE_SANITIZE)
    set(TIDEWIRE_QUICK_TESTS -O0 -g0)
  endif()
  tidewire_test_headers(tidewire_quick_test_headers ${TIDEWIRE_QUICK_TESTS})
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
    tidewire_reuse_headers(tidewire_${name})
  else()
    add_library(tidewire_${name} INTERFACE)
    target_link_libraries(tidewire_${name} INTERFACE ${links})
  endif()
  add_dependencies(tidewire_${name} tidewire_spec)

  if(TIDEWIRE_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE tidewire_${name} GTest::gtest GTest::gmock GTest::gtest_main ${arg_TEST_LINK})
    if(arg_LONG_TESTS)
      target_precompile_headers(${name}_test REUSE_FROM tidewire_test_headers)
    else()
      target_precompile_headers(${name}_test REUSE_FROM tidewire_quick_test_headers)
      target_compile_options(${name}_test PRIVATE ${TIDEWIRE_QUICK_TESTS})
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
