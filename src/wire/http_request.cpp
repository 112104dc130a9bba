#include "wire/http_request.h"

#include <algorithm>

namespace tidewire::wire {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void append_elements(std::vector<std::string_view>& elements, std::string_view value) {
  while (true) {
    const std::size_t comma = value.find(',');
    if (const auto element = trimmed(value.substr(0, comma)); !element.empty()) elements.push_back(element);
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

void HttpHeaders::add(std::string_view name, std::string_view value) {
  if (places_.capacity() == 0) places_.reserve(16);
  const auto at = static_cast<std::uint32_t>(text_.size());
  const auto name_size = static_cast<std::uint32_t>(name.size());
  places_.push_back({at, name_size, at + name_size, static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(value);
}

void HttpHeaders::clear() {
  text_.clear();
  places_.clear();
}

HttpField HttpHeaders::operator[](std::size_t index) const {
  const Place& place = places_[index];
  const std::string_view text = text_;
  return {text.substr(place.name, place.name_size), text.substr(place.value, place.value_size)};
}

std::optional<std::string_view> HttpHeaders::find(std::string_view name) const {
  for (std::size_t i = 0; i < size(); ++i)
    if (const HttpField field = (*this)[i]; equal_ignoring_case(field.name, name)) return field.value;
  return std::nullopt;
}

std::size_t HttpHeaders::count(std::string_view name) const {
  std::size_t found = 0;
  for (std::size_t i = 0; i < size(); ++i) found += equal_ignoring_case((*this)[i].name, name) ? 1 : 0;
  return found;
}

std::vector<std::string_view> HttpHeaders::elements(std::string_view name) const {
  std::vector<std::string_view> elements;
  for (std::size_t i = 0; i < size(); ++i)
    if (const HttpField field = (*this)[i]; equal_ignoring_case(field.name, name))
      append_elements(elements, field.value);
  return elements;
}

bool HttpHeaders::has_element(std::string_view name, std::string_view element) const {
  return std::ranges::any_of(elements(name),
                             [&](std::string_view each) { return equal_ignoring_case(each, element); });
}

std::string_view HttpRequest::raw_path() const {
  const std::string_view text = target;
  return text.substr(0, text.find('?'));
}

}  // namespace tidewire::wire
