#include "kinds/json_patch.h"

#include <fmt/format.h>

#include <array>

#include "base/json_text.h"
#include "kinds/patch_edit.h"

namespace tidewire::kinds {

namespace {

constexpr std::size_t kShiftBytes = 4;
constexpr std::size_t kNameBytesMax = 64;  // of what the patch says, in a message

std::string shown(std::string_view text) {
  if (text.size() <= kNameBytesMax) return json_string(text);
  std::size_t end = kNameBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not within a character
  return json_string(std::string(text.substr(0, end)) + "...");
}

std::unexpected<Error> invalid(std::string why) { return fail(ErrorCode::invalid_event, std::move(why)); }

std::unexpected<Error> nothing_at(const std::string& pointer) {
  return invalid(fmt::format("there is no such place as {}", shown(pointer)));
}

// One operation's members. Unknown ones are ignored (RFC 6902 §4).
class Members {
 public:
  explicit Members(Json& operation) : operation_(operation) {}

  Result<const std::string*> text(const char* name) {
    const auto found = operation_.find(name);
    if (found == operation_.end()) return invalid(fmt::format("`{}` is missing", name));
    if (!found->is_string()) return invalid(fmt::format("`{}` must be a string", name));
    return &found->get_ref<const std::string&>();
  }

  Result<Path> path(const char* name) {
    const auto pointer = text(name);
    if (!pointer) return std::unexpected(pointer.error());
    auto path = path_of(**pointer);
    if (!path) return invalid(fmt::format("`{}` is no JSON pointer: {}", name, shown(**pointer)));
    return std::move(*path);
  }

  const std::string& spelled(const char* name) { return operation_[name].get_ref<const std::string&>(); }

  Result<Json*> value() {
    const auto found = operation_.find("value");
    if (found == operation_.end()) return invalid("`value` is missing");
    return &*found;
  }

 private:
  Json& operation_;
};

class Patching {
 public:
  Patching(Json& document, std::size_t bytes, const PatchLimits& limits)
      : edit_(document, bytes), limits_(limits) {}

  Result<void> run(Json& operation) {
    if (!operation.is_object()) return invalid("it is no object");
    Members members(operation);
    const auto name = members.text("op");
    if (!name) return std::unexpected(name.error());
    using Operation = Result<void> (Patching::*)(Members&, const Path&);
    static constexpr std::array<std::pair<std::string_view, Operation>, 6> kOperations{
        {{"add", &Patching::add},
         {"remove", &Patching::remove},
         {"replace", &Patching::replace},
         {"move", &Patching::move},
         {"copy", &Patching::copy},
         {"test", &Patching::test}}};
    const auto found = std::ranges::find(kOperations, std::string_view(**name),
                                         &std::pair<std::string_view, Operation>::first);
    if (found == kOperations.end()) return invalid(fmt::format("there is no operation {}", shown(**name)));
    const auto path = members.path("path");
    if (!path) return std::unexpected(path.error());
    if (auto done = (this->*found->second)(members, *path); !done) return done;
    if (looked_at_ + edit_.shifted() * kShiftBytes <= limits_.work_max) return {};
    return fail(
        ErrorCode::too_large,
        "the patch moves too much of the document about; send it in parts, or the document as `data`");
  }

  PatchEdit& edit() { return edit_; }

 private:
  static Result<void> check_depth(const Path& path, const Measure& value) {
    if (path.size() + value.depth <= kTreeDepthMax) return {};
    return invalid(fmt::format("the document would nest deeper than {}", kTreeDepthMax));
  }

  Result<void> add(Members& members, const Path& path) { return put(members, path, &PatchEdit::add); }
  Result<void> replace(Members& members, const Path& path) { return put(members, path, &PatchEdit::replace); }

  Result<void> put(Members& members, const Path& path,
                   bool (PatchEdit::*how)(const Path&, Json&&, std::size_t)) {
    const auto value = members.value();
    if (!value) return std::unexpected(value.error());
    const Measure size = measure(**value);
    if (auto fits = check_depth(path, size); !fits) return fits;
    if (!(edit_.*how)(path, std::move(**value), size.bytes)) return nothing_at(members.spelled("path"));
    return {};
  }

  Result<void> remove(Members& members, const Path& path) {
    if (path.empty()) return invalid("the whole document can't be removed, only replaced");
    if (!edit_.remove(path)) return nothing_at(members.spelled("path"));
    return {};
  }

  Result<void> move(Members& members, const Path& to) {
    const auto from = members.path("from");
    if (!from) return std::unexpected(from.error());
    // A value that does not get deeper need not be looked at.
    if (to.size() > from->size())
      if (const auto size = look_at(members, *from, to); !size) return std::unexpected(size.error());
    if (find_at(edit_.tree(), *from) == nullptr) return nothing_at(members.spelled("from"));
    if (*from == to) return {};
    if (from->size() < to.size() && std::equal(from->begin(), from->end(), to.begin()))
      return invalid("a value can't be moved into itself");
    if (!edit_.move(*from, to)) return nothing_at(members.spelled("path"));
    return {};
  }

  Result<void> copy(Members& members, const Path& to) {
    const auto from = members.path("from");
    if (!from) return std::unexpected(from.error());
    const auto size = look_at(members, *from, to);
    if (!size) return std::unexpected(size.error());
    copied_ += size->bytes;
    if (copied_ > limits_.copied_max)
      return fail(ErrorCode::too_large,
                  fmt::format("the patch copies more than {} bytes", limits_.copied_max));
    if (!edit_.add(to, Json(*find_at(edit_.tree(), *from)), size->bytes))
      return nothing_at(members.spelled("path"));
    return {};
  }

  Result<void> test(Members& members, const Path& path) {
    const auto value = members.value();
    if (!value) return std::unexpected(value.error());
    const Json* place = find_at(edit_.tree(), path);
    if (place == nullptr) return nothing_at(members.spelled("path"));
    // Comparing ends at the first difference, so it costs no more than the value in the patch is long.
    if (!same_value(*place, **value))
      return invalid(fmt::format("the value at {} is another one", shown(members.spelled("path"))));
    return {};
  }

  // What a move or copy is about.
  Result<Measure> look_at(Members& members, const Path& from, const Path& to) {
    const Json* place = find_at(edit_.tree(), from);
    if (place == nullptr) return nothing_at(members.spelled("from"));
    const Measure size = measure(*place);
    looked_at_ += size.bytes;
    if (auto fits = check_depth(to, size); !fits) return std::unexpected(fits.error());
    return size;
  }

  PatchEdit edit_;
  const PatchLimits& limits_;
  std::size_t copied_ = 0;
  std::size_t looked_at_ = 0;
};

}  // namespace

Result<void> apply_patch(Json& document, std::size_t& bytes, Json&& patch, const PatchLimits& limits) {
  if (!patch.is_array()) return invalid("a patch is an array of operations (RFC 6902)");
  Patching patching(document, bytes, limits);
  std::size_t number = 0;
  for (Json& operation : patch) {
    ++number;
    if (auto done = patching.run(operation); !done) {
      patching.edit().undo();
      done.error().message = fmt::format("operation {} of the patch: {}", number, done.error().message);
      return done;
    }
  }
  if (patching.edit().bytes() > limits.bytes_max) {
    patching.edit().undo();
    return fail(ErrorCode::too_large,
                fmt::format("the document would be longer than {} bytes", limits.bytes_max));
  }
  bytes = patching.edit().bytes();
  return {};
}

}  // namespace tidewire::kinds
