// Content codings of answers (RFC 9110 §12.5.3): which one a client wants, and applying it.
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_answer.h"
#include "wire/http_request.h"

namespace tidewire::api {

enum class Coding : std::uint8_t { identity, gzip, br };

// The client's favourite among what we have; Brotli where it likes several equally, none where it names
// `identity` before what it likes no better. `q=0` refuses, `*` stands for what is not named.
Coding choose_coding(const wire::HttpHeaders& headers);

// Bodies up to this many bytes are sent as they are.
inline constexpr std::size_t kCompressAbove = 1024;

// Empty where the library refuses.
std::string compress(Coding coding, std::string_view body);

// Compresses the body if it is large enough and gets smaller by it, and names the coding; one that names
// a coding already stays as it is. True when the answer depends on Accept-Encoding, whatever was chosen.
bool encode(wire::HttpAnswer& answer, Coding coding);

}  // namespace tidewire::api
