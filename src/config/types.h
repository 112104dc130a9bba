// How each type of setting is read from a value and written as TOML. The types' names are those of
// spec/settings.json. Errors are ends of a sentence that begins with the key.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "config/names.h"
#include "config/settings.h"
#include "config/value.h"

namespace tidewire::config::types {

template <class T>
using Read = std::expected<T, std::string>;

struct Bounds {
  double min = 0;
  double max = 0;  // 0: none
};

struct string {
  using type = std::string;
  static Read<type> read(const Value& value, Bounds);
  static std::string print(const type& value);
};
struct boolean {
  using type = bool;
  static Read<type> read(const Value& value, Bounds);
  static std::string print(type value);
};
struct integer {
  using type = std::int64_t;
  static Read<type> read(const Value& value, Bounds bounds);
  static std::string print(type value);
};
struct number {
  using type = double;
  static Read<type> read(const Value& value, Bounds bounds);
  static std::string print(type value);
};
// "500ms", "10s", "15m", "1h", "7d" as milliseconds.
struct duration {
  using type = std::int64_t;
  static Read<type> read(const Value& value, Bounds bounds);
  static std::string print(type value);
};
// Bytes: an integer, or "64KiB", "1MiB", "1GiB".
struct size {
  using type = std::int64_t;
  static Read<type> read(const Value& value, Bounds bounds);
  static std::string print(type value);
};
struct list {
  using type = std::vector<std::string>;
  static Read<type> read(const Value& value, Bounds);
  static std::string print(const type& value);
};

// The index of a word among `words`.
Read<std::size_t> read_word(const Value& value, std::span<const std::string_view> words);

template <class Enum>
struct word {
  using type = Enum;
  static Read<type> read(const Value& value, Bounds) {
    const Read<std::size_t> index = read_word(value, kWords<Enum>);
    if (!index) return std::unexpected(index.error());
    return static_cast<Enum>(*index);
  }
  static std::string print(type value) { return string::print(std::string(name_of(value))); }
};
using kind = word<Kind>;
using durability = word<Durability>;
using access = word<Access>;
using priority = word<Priority>;
using policy = word<ContentPolicy>;
using join = word<JoinRule>;
using compression = word<Compression>;
using reject = word<RejectStyle>;
using preset = word<AuthPreset>;
using anomaly = word<AnomalyAction>;
using anomaly_method = word<AnomalyMethod>;
using level = word<LogLevel>;
using format = word<LogFormat>;

struct scopes {
  using type = std::vector<ApiScope>;
  static Read<type> read(const Value& value, Bounds);
  static std::string print(const type& value);
};

}  // namespace tidewire::config::types
