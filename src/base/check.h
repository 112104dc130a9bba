// Assertions for our own invariants. They stay on in release: a broken invariant ends the process
// with the place and the condition, before it can spread. Never for input from outside.
#pragma once

#include <cstdio>
#include <cstdlib>

#define TIDEWIRE_CHECK(condition)                                                              \
  do {                                                                                         \
    if (!(condition)) [[unlikely]] {                                                           \
      std::fprintf(stderr, "invariant broken at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)
