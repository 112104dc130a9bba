// Which channels there are: those in memory here, and those that the log has of any shard (protocol §8).

#include <algorithm>

#include "hub/home.h"
#include "protocol/channel_name.h"

namespace tidewire::hub {

namespace {

// What a page of stored channels may look at: where most of them are inboxes in which nothing waits, say,
// it is short, and the reader's thread is not kept longer.
constexpr std::size_t kLooksMax = 4096;
constexpr std::size_t kRunsPerTick = 50;

// To have been asked for is no use; nor is it one that an empty inbox was followed.
bool is_used(const Channel& channel) {
  return channel.seq > 0 || !channel.followers.empty() || (channel.used && channel.kind != Kind::inbox);
}

ChannelInfo info_of(const Channel& channel) {
  return {.name = std::string(channel.key.name),
          .kind = channel.kind,
          .epoch = channel.epoch,
          .seq = channel.seq,
          .subscribers = channel.subscribers()};
}

bool is_run(Kind kind) { return kind == Kind::upload || kind == Kind::agent; }

// The namespaces of disk as they are now, for the log's thread.
class StoredKinds {
 public:
  explicit StoredKinds(const Namespaces& namespaces) {
    namespaces.for_each([&](const Namespace& ns) {
      if (ns.durability == Durability::disk) kinds_.emplace_back(ns.name, ns.kind);
    });
  }
  bool empty() const { return kinds_.empty(); }
  bool have_runs() const {
    return std::ranges::any_of(kinds_, is_run, &std::pair<std::string, Kind>::second);
  }
  // Nothing where the channel's namespace is not configured, or in memory.
  std::optional<Kind> of(std::string_view channel) const {
    const auto found =
        std::ranges::find(kinds_, protocol::namespace_of(channel), &std::pair<std::string, Kind>::first);
    return found == kinds_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::vector<std::pair<std::string, Kind>> kinds_;
};

// Without its tenant.
std::string_view name_in(std::string_view stored) { return stored.substr(stored.find('/') + 1); }

// Nothing where the tenant is not configured.
std::optional<ChannelKey> key_of(std::string_view stored, const std::vector<std::string>& tenants) {
  const auto tenant = std::ranges::find(tenants, stored.substr(0, stored.find('/')));
  if (tenant == tenants.end()) return std::nullopt;
  return ChannelKey{static_cast<TenantId>(tenant - tenants.begin()), std::string(name_in(stored))};
}

bool is_listed(Kind kind, const log::StoredChannel& channel) {
  return kind != Kind::inbox || channel.keep_from <= channel.last_seq;
}

}  // namespace

void Home::handle(ShardId from, ChannelInfoCommand&& command, const Time& now) {
  ChannelInfoResult answer{.reply = command.reply,
                           .result = fail(ErrorCode::not_found, "the channel has not been used yet")};
  const Namespace* ns = namespaces_.find(protocol::namespace_of(command.channel.name));
  const bool stored = ns != nullptr && ns->durability == Durability::disk;
  Handle handle;
  Channel* channel = stored ? &open(command.channel, now, &handle) : find(command.channel);
  if (channel != nullptr && wait_for_log(handle, *channel, from, command, now)) return;
  if (channel != nullptr && is_used(*channel)) answer.result = info_of(*channel);
  post_(from, std::move(answer));
}

std::vector<ChannelInfo> Home::list(const ListChannels& query) {
  std::vector<const Channel*> listed;
  channels_.for_each([&](Handle, const Channel& channel) {
    const std::string_view name = channel.key.name;
    if (channel.key.tenant == query.tenant && is_used(channel) && name.starts_with(query.prefix) &&
        name > query.after && namespaces_.find(protocol::namespace_of(name)) != nullptr)
      listed.push_back(&channel);
  });
  const auto kept = std::min(query.limit, listed.size());
  std::ranges::partial_sort(listed, listed.begin() + static_cast<std::ptrdiff_t>(kept), {},
                            [](const Channel* channel) { return channel->key.name.view(); });
  listed.resize(kept);
  std::vector<ChannelInfo> out;
  for (const Channel* channel : listed) out.push_back(info_of(*channel));
  return out;
}

void Home::answer_list(ShardId from, const ReplyTo& reply, ListChannels&& query) {
  const StoredKinds kinds(namespaces_);
  if (from != options_.self || kinds.empty()) {
    AnswerPart part;
    part.channels = list(query);
    return post_(from, Answer{.reply = reply, .part = std::move(part)});
  }
  const std::string tenant = options_.tenants[query.tenant] + '/';
  submit_(log::List{.number = next_listing_,
                    .prefix = tenant + query.prefix,
                    .after = tenant + query.after,
                    .channels_max = query.limit,
                    .looks_max = kLooksMax,
                    .wanted = [kinds](const log::StoredChannel& channel) {
                      const auto kind = kinds.of(name_in(channel.name));
                      return kind && is_listed(*kind, channel);
                    }});
  listings_.emplace(next_listing_++, Listing{.reply = reply, .query = std::move(query)});
}

void Home::find_runs() {
  if (runs_found_ || runs_listing_ != 0) return;
  const StoredKinds kinds(namespaces_);
  runs_found_ = !kinds.have_runs();
  if (runs_found_) return;
  runs_listing_ = next_listing_++;
  submit_(log::List{.number = runs_listing_,
                    .of = log::List::Of::under_way,
                    .prefix = {},
                    .after = runs_after_,
                    .channels_max = kRunsPerTick,
                    .looks_max = kLooksMax,
                    .wanted = [kinds, options = options_](const log::StoredChannel& channel) {
                      const auto key = key_of(channel.name, options.tenants);
                      const auto kind = key ? kinds.of(key->name) : std::nullopt;
                      return kind && is_run(*kind) &&
                             home_of(*key, options.hash_seed, options.shards) == options.self;
                    }});
}

void Home::on(log::Listed&& listed, const Time& now) {
  if (listed.number == runs_listing_) {
    for (const log::StoredChannel& channel : listed.channels)
      open(*key_of(channel.name, options_.tenants), now);
    runs_listing_ = 0;
    runs_found_ = listed.looked_to.empty();
    runs_after_ = std::move(listed.looked_to);
    return;
  }
  const Listing listing = std::move(listings_.extract(listed.number).mapped());
  AnswerPart part;
  part.channels = list(listing.query);
  for (log::StoredChannel& channel : listed.channels) {
    const std::string_view name = name_in(channel.name);
    const Namespace* ns = namespaces_.find(protocol::namespace_of(name));
    if (ns == nullptr) continue;  // a reload has taken it away meanwhile
    part.channels.push_back({.name = std::string(name),
                             .kind = ns->kind,
                             .epoch = std::move(channel.epoch),
                             .seq = channel.last_seq,
                             .subscribers = 0,
                             .stored = true});
  }
  part.looked_to = name_in(listed.looked_to);
  post_(options_.self, Answer{.reply = listing.reply, .part = std::move(part)});
}

void Home::fail_list(std::uint64_t number, const Error& error) {
  if (number == runs_listing_) {
    runs_listing_ = 0;  // the next tick tries again
    return;
  }
  AnswerPart part;
  part.error = error;
  post_(options_.self, Answer{.reply = listings_.extract(number).mapped().reply, .part = std::move(part)});
}

}  // namespace tidewire::hub
