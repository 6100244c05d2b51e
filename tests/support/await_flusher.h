// Lets a test wait for the flusher instead of for what it answers, which comes a moment before it is done.
#pragma once

#include <future>

#include "storage/flusher.h"

namespace headrace::testing {

// Returns when the flusher has ended all that it was given before.
inline void AwaitFlusher(storage::Flusher& flusher) {
  std::promise<void> ended;
  storage::FlushJob job;
  job.write = [] { return absl::StatusOr<storage::SyncPoint>(storage::SyncPoint()); };
  job.done = [&ended](const absl::StatusOr<storage::SyncPoint>&, const absl::Status&) { ended.set_value(); };
  flusher.Submit(std::move(job));
  ended.get_future().wait();
}

}  // namespace headrace::testing
