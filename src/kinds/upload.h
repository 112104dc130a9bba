// The progress of one upload (protocol §7, kind `upload`): `progress` {"bytes","total"}, then one of
// `complete`, `fail`, `cancel`.
//
// bytes and total are integers from 0 to 2^53. A total that is absent or null leaves the one known before;
// bytes never decrease nor pass the total. The rate is bytes per second, an exponentially weighted mean over
// the time between progress events (time constant 5 s), null before two of them lie a millisecond apart;
// it and the ETA are those of the last event, whatever the time is. The percentage is cut to one decimal,
// so that 100 means all. Owned by the channel's home shard.
#pragma once

#include <optional>

#include "kinds/owned_run.h"

namespace tidewire::kinds {

class Upload final : public OwnedRun {
 public:
  Result<Taken> take(const Event& event, const Asker& asker) override;
  Result<Taken> judge(const Event& event, const Asker& asker) const override;
  void replay(const Event& event) override;

  // {"status","bytes","total","percent","rate_bps","eta_ms"}; what is not known is null.
  std::string snapshot(std::int64_t now_ms) const override;
  std::string save() const override;
  bool restore(std::string_view saved) override;

  // Progress becomes the last one, and an end event stays. A total that only an earlier progress named is
  // put into the last.
  std::optional<std::vector<Run>> conflate(std::vector<Run>&& runs) const override;

 private:
  struct Progress {
    std::int64_t bytes = 0;
    std::optional<std::int64_t> total = {};
  };
  // What the data of a `progress` says.
  static Result<Progress> progress_of(const Event& event);
  static std::optional<Progress> progress_in(const Event& event);
  Result<Progress> checked(const Event& event) const;
  void fold(const Event& event, const Progress& progress);
  std::optional<double> rate_bps() const;

  Progress progress_;
  // The measured bytes and time, the older ones weighing less.
  double weighted_bytes_ = 0;
  double weighted_ms_ = 0;
  std::int64_t last_progress_ms_ = 0;  // 0: none yet
};

}  // namespace tidewire::kinds
