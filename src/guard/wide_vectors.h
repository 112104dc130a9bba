// What is compiled twice: for processors with wide vectors, and for all.
//
// Its body is a template on `kWide` that is always inlined, into a function with this attribute and into one
// without. The one with it may only be called where has_wide_vectors(). Any thread.
#pragma once

namespace tidewire::guard {

#define TIDEWIRE_WIDE_VECTORS gnu::target("avx2,bmi,bmi2")

inline bool has_wide_vectors() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }

}  // namespace tidewire::guard
