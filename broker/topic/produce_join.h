// One produce request over several partitions, until each of its batches has ended: both protocols.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "protocol/core/scheduler.h"

namespace headrace::topic {

// Counts the batches of one request and keeps the first error. A deadline ends the client's wait and nothing
// else: the batches, and the memory they hold, are there until they end. Lives as long as one of them does;
// on the scheduler's thread, but for Finish.
class ProduceJoin : public std::enable_shared_from_this<ProduceJoin> {
 public:
  // Called once, when every batch has ended: the first error, and whether `late` was called before.
  using Done = std::function<void(const absl::Status& first_error, bool late)>;

  // `late` is called at most once, at the deadline, while batches may still be ending on other threads.
  ProduceJoin(std::shared_ptr<core::Scheduler> scheduler, std::function<void()> late, Done done);

  // A batch is handed out: Finish will be called for it.
  void Add() { left_.fetch_add(1, std::memory_order_relaxed); }
  // One batch has ended. What is kept of its outcome is written before. Thread: any.
  void Finish(const absl::Status& status);
  // Every batch is handed out. nullopt: nobody waits for the answer.
  void Await(std::optional<std::chrono::steady_clock::time_point> deadline);

 private:
  // Whether this was the last.
  bool Leave() { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  void End();

  const std::shared_ptr<core::Scheduler> scheduler_;
  const std::function<void()> late_;
  const Done done_;
  std::atomic<int> left_{1};  // batches, and one until all are handed out
  std::atomic<bool> failed_{false};
  absl::Status first_error_;  // written by whoever sets failed_, read when nothing is left
  core::TimerId timer_ = 0;
  bool was_late_ = false;
};

}  // namespace headrace::topic
