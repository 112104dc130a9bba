// What the program's commands exit with (protocol section 9).
#pragma once

namespace tidewire {

inline constexpr int kNotWritten = 1;   // what was asked for could not be printed
inline constexpr int kNotReady = 1;     // `check`: a server that is not fit for production
inline constexpr int kBadArgument = 2;  // an argument, or the configuration, is wrong

}  // namespace tidewire
