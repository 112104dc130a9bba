// The words that stand for enumerators in a configuration, and the nearest word to a misspelt one.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace tidewire::config {

// One word per enumerator, in their order.
template <class Enum>
inline constexpr std::array<std::string_view, 0> kWords{};
template <>
inline constexpr auto kWords<Kind> =
    std::to_array<std::string_view>({"stream", "document", "session", "inbox", "upload", "agent"});
template <>
inline constexpr auto kWords<Durability> = std::to_array<std::string_view>({"memory", "disk"});
template <>
inline constexpr auto kWords<Access> = std::to_array<std::string_view>(
    {"anyone", "authenticated", "server", "user", "creator", "member", "nobody"});
template <>
inline constexpr auto kWords<Priority> =
    std::to_array<std::string_view>({"critical", "high", "medium", "low"});
template <>
inline constexpr auto kWords<ContentPolicy> = std::to_array<std::string_view>({"off", "flag", "reject"});
template <>
inline constexpr auto kWords<JoinRule> = std::to_array<std::string_view>({"invite", "open"});
template <>
inline constexpr auto kWords<Compression> = std::to_array<std::string_view>({"shared", "dedicated", "off"});
template <>
inline constexpr auto kWords<RejectStyle> = std::to_array<std::string_view>({"close", "http"});
template <>
inline constexpr auto kWords<AuthPreset> = std::to_array<std::string_view>({"none", "supabase"});
template <>
inline constexpr auto kWords<ApiScope> = std::to_array<std::string_view>({"publish", "read", "admin"});
template <>
inline constexpr auto kWords<AnomalyAction> =
    std::to_array<std::string_view>({"off", "report", "slow", "refuse"});
template <>
inline constexpr auto kWords<AnomalyMethod> = std::to_array<std::string_view>({"robust", "two_sigma"});
template <>
inline constexpr auto kWords<LogLevel> =
    std::to_array<std::string_view>({"trace", "debug", "info", "warn", "error"});
template <>
inline constexpr auto kWords<LogFormat> = std::to_array<std::string_view>({"text", "json"});

template <class Enum>
constexpr std::string_view name_of(Enum value) {
  return kWords<Enum>[static_cast<std::size_t>(value)];
}

// The candidate that differs least from `word`; empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// " (did you mean X?)", or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> candidates);

// ASCII letters alone.
std::string lower_case(std::string_view text);

// "a, b or c"
std::string choices(std::span<const std::string_view> words);

}  // namespace tidewire::config
