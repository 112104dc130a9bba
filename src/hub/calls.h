// Requests that have no session: what the HTTP API asks of channels and of all shards.
//
// A call is answered exactly once, through its callback, on this shard; at once where it is refused.
// The same preparation and checks serve sessions and calls, so both doors obey one set of
// rules. Owned by the shard's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "guard/known_users.h"
#include "guard/limit_key.h"
#include "guard/shared_overload.h"
#include "hub/access.h"
#include "hub/messages.h"
#include "hub/namespaces.h"
#include "hub/tenant.h"

namespace tidewire::hub {

// Who calls: an API key's holder or a user.
struct CallOrigin {
  TenantId tenant = 0;
  Caller caller;
  std::shared_ptr<const Author> author;
};

class Calls {
 public:
  using Post = std::function<void(ShardId, Message&&)>;
  Calls(ShardId shards, std::uint64_t hash_seed, const Namespaces& namespaces, Post post)
      : shards_(shards), hash_seed_(hash_seed), namespaces_(namespaces), post_(std::move(post)) {}

  void publish(const CallOrigin& origin, protocol::PublishRequest&& request, const Time& now,
               std::function<void(Result<Published>)> done);
  void history(const CallOrigin& origin, protocol::HistoryRequest&& request,
               std::function<void(Result<HistoryPage>)> done);
  // The members as a JSON array.
  void presence(const CallOrigin& origin, std::string channel, std::function<void(Result<std::string>)> done);
  // not_found until the channel is first used.
  void channel_info(const CallOrigin& origin, std::string channel,
                    std::function<void(Result<ChannelInfo>)> done);

  // not_found for a stream.
  void snapshot(const CallOrigin& origin, std::string channel,
                std::function<void(Result<ChannelSnapshot>)> done);

  // From now on publishes are refused where the server is overloaded.
  void heed(guard::SharedOverload& overload) { overload_ = &overload; }

  // The user directory, where there is one: nobody publishes to the inbox of a user who does not exist.
  struct Directory {
    guard::KnownUsers& users;
    guard::LimitKeys keys;
    const Tenants& tenants;
    // user_answered() must follow; without it nothing is known of a user who is not in `users`.
    std::function<void(TenantId, const std::string& user_id)> ask;
  };
  void heed(Directory directory) { directory_.emplace(std::move(directory)); }
  // The directory has said this of the user: publishes that waited for it go on, or are refused.
  void user_answered(const guard::LimitKey& user, guard::UserState state, const Time& now);

  std::size_t waiting() const { return waiting_.size(); }
  // Publishes that wait for the directory; past either bound they are `unavailable`.
  static constexpr std::size_t kWaitingMax = 4096;
  static constexpr std::size_t kWaitingBytesMax = std::size_t{32} << 20;

  // Asks every shard and adds the answers up. Channels come sorted by name, at most the limit asked for;
  // where `looked_to` says so there may be more of them even when they are fewer.
  void ask_all(Question question, std::function<void(AnswerPart)> done);

  // An answer whose reply is of kind `call`.
  void handle(const ReplyTo& to, Message&& answer);

  std::size_t pending() const { return pending_.size(); }

 private:
  using Done = std::function<void(Message&&)>;
  struct Pending {
    Done done;
    int parts_left = 1;
    AnswerPart sum;
    std::size_t limit = 0;
  };

  struct WaitingPublish {
    guard::LimitKey user;
    PublishCommand command;
    std::function<void(Result<Published>)> done;
  };

  void send_publish(PublishCommand&& command, std::function<void(Result<Published>)>&& done);
  void wait_for_user(WaitingPublish&& waiting, const std::string& user, const Time& now);
  ReplyTo expect(Done done, int parts = 1);
  template <class Result, class Callback>
  Done unwrap(Callback done);
  void send_home(const ChannelKey& channel, Message&& command);

  ShardId shards_;
  std::uint64_t hash_seed_;
  const Namespaces& namespaces_;
  Post post_;
  guard::SharedOverload* overload_ = nullptr;
  guard::ShareGate gate_;
  std::optional<Directory> directory_;
  std::vector<WaitingPublish> waiting_;
  std::size_t waiting_bytes_ = 0;
  Slab<Pending> pending_;
};

}  // namespace tidewire::hub
