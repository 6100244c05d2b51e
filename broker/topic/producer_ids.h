// Hands out producer ids, never one twice.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "protocol/core/mutex.h"
#include "protocol/core/types.h"
#include "storage/io/file.h"

namespace headrace::topic {

struct ProducerIdentity {
  ProducerId id = kNoProducerId;
  std::int16_t epoch = 0;
};

// Ids come from blocks: the end of a block is on disk (file `producer_ids`) before any id of it is used, so a
// crash skips ids and repeats none. Thread: any; blocks for a sync once a block.
class ProducerIds {
 public:
  static constexpr ProducerId kBlockSize = 1000;

  static absl::StatusOr<std::unique_ptr<ProducerIds>> Open(storage::FileSystem& files,
                                                           const std::string& directory);

  // A new identity; or, for a `former` one, the same id with the next epoch (a new id when epochs run out).
  // Errors: kInvalidRequest for a former id that was never handed out; the disk's.
  absl::StatusOr<ProducerIdentity> Next(const ProducerIdentity& former) HEADRACE_EXCLUDES(mutex_);

 private:
  ProducerIds(storage::FileSystem& files, std::string path, ProducerId next);

  storage::FileSystem& files_;
  const std::string path_;
  core::Mutex mutex_;
  ProducerId next_ HEADRACE_GUARDED_BY(mutex_);
  ProducerId block_end_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::topic
