// A value as it was written, before its key's type is known: from TOML, or a text from the environment
// or a flag. Value type; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tidewire::config {

struct Value {
  struct Other {};  // a TOML type that no setting has, such as a date
  struct Text {     // from the environment or a flag: what it means depends on the key's type
    std::string text;
  };
  using Array = std::vector<Value>;
  struct Entry;
  using Table = std::vector<Entry>;

  std::variant<Other, Text, std::string, std::int64_t, double, bool, Array, Table> data;
  std::int64_t line = 0;  // in the file; 0: none

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
};

struct Value::Entry {
  std::string name;
  Value value;
};

}  // namespace tidewire::config
