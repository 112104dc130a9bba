#include "guard/user_records.h"

#include "guard/bounded_table.h"
#include "guard/striped.h"

namespace tidewire::guard {

class UserRecords::Stripes : public Striped<BoundedTable<UserRecord>> {
 public:
  using Striped::Striped;
};

UserRecords::UserRecords(std::size_t max_entries) : stripes_(std::make_unique<Stripes>(max_entries)) {}
UserRecords::~UserRecords() = default;

LimitFactor UserRecords::good(const LimitKey& user, std::int64_t now_ms) {
  if (!user) return {};
  return stripes_->with(user, [&](BoundedTable<UserRecord>& table) {
    UserRecord& record = table.insert(user, now_ms);
    record.good(now_ms);
    return record.factor(now_ms);
  });
}

LimitFactor UserRecords::bad(const LimitKey& user, Offence offence, std::int64_t now_ms) {
  if (!user) return {};
  return stripes_->with(user, [&](BoundedTable<UserRecord>& table) {
    UserRecord& record = table.insert(user, now_ms);
    record.bad(offence, now_ms);
    return record.factor(now_ms);
  });
}

LimitFactor UserRecords::factor(const LimitKey& user, std::int64_t now_ms) {
  if (!user) return {};
  return stripes_->with(user, [&](BoundedTable<UserRecord>& table) {
    const UserRecord* record = table.find(user);
    return record ? record->factor(now_ms) : LimitFactor();
  });
}

void UserRecords::prefetch(const LimitKey& user) const { stripes_->prefetch(user); }

std::size_t UserRecords::entries() { return stripes_->size(); }

void UserRecords::sweep(std::int64_t now_ms) {
  stripes_->with_next([&](BoundedTable<UserRecord>& table) { table.sweep(now_ms); });
}

}  // namespace tidewire::guard
