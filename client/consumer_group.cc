// What a consumer does as a member of a group.
#include <algorithm>
#include <utility>

#include "client/consumer_impl.h"

namespace headrace {

Result<void> Consumer::Impl::FollowGroup(Consumer& consumer) {
  while (std::optional<GroupEvent> event = receiver.NextGroupEvent()) {
    if (event->kind == GroupEvent::Kind::kTrouble) {
      for (Partition& each : partitions_) each.committed = -1;  // it may have been a commit
      return event->error;
    }
    Apply(consumer, *event);
  }
  return {};
}

void Consumer::Impl::Apply(Consumer& consumer, const GroupEvent& event) {
  switch (event.kind) {
    case GroupEvent::Kind::kLost:
      Take(event.partitions);
      Tell(consumer, GroupChange::Kind::kLost, event.partitions);
      break;
    case GroupEvent::Kind::kRevoked:
      Tell(consumer, GroupChange::Kind::kRevoked, event.partitions);
      receiver.Release(event.partitions, Uncommitted(event.partitions));
      Take(event.partitions);
      break;
    case GroupEvent::Kind::kAssigned:
      Give(event.points);
      Tell(consumer, GroupChange::Kind::kAssigned, event.partitions);
      break;
    case GroupEvent::Kind::kCommit:
      if (const Positions due = Uncommitted(); !due.empty()) receiver.StartCommit(due);
      break;
    case GroupEvent::Kind::kFailed:
      group_failure_ = event.error;
      break;
    case GroupEvent::Kind::kTrouble:
      break;
  }
}

void Consumer::Impl::Give(const std::vector<StartingPoint>& points) {
  for (const StartingPoint& point : points) Add(point);
  ReplaceStream();
}

void Consumer::Impl::Take(const std::vector<std::uint32_t>& partitions) {
  std::erase_if(partitions_, [&](const Partition& each) {
    return std::find(partitions.begin(), partitions.end(), each.number) != partitions.end();
  });
  ReplaceStream();
}

void Consumer::Impl::ReplaceStream() {
  // What is decoded and not handed out comes again, if its partition is still read.
  if (decoder_.active()) StopDecoding();
  handed_out_ = false;
  std::vector<StartingPoint> points;
  for (const Partition& each : partitions_) {
    const std::optional<Receiver::Slot> known = receiver.Find(each.number);
    points.push_back({each.number, each.position, known ? known->start_offset : each.start_at_connect,
                      known ? known->high_watermark : each.end_at_connect, -1});
  }
  receiver.Replace(points);
}

void Consumer::Impl::Tell(Consumer& consumer, GroupChange::Kind kind,
                          const std::vector<std::uint32_t>& partitions) {
  if (!options.on_change || partitions.empty()) return;
  in_callback_ = true;
  options.on_change(consumer, {kind, partitions});
  in_callback_ = false;
}

Positions Consumer::Impl::Uncommitted(const std::vector<std::uint32_t>& partitions) {
  Positions due;
  if (options.commit_interval.count() <= 0) return due;
  for (Partition& each : partitions_) {
    const bool named = partitions.empty() ||
                       std::find(partitions.begin(), partitions.end(), each.number) != partitions.end();
    if (!named || !MayCommit(each) || each.processed == each.committed) continue;
    due[each.number] = each.committed = each.processed;
  }
  return due;
}

void Consumer::Impl::LeaveGroup(Consumer* consumer, TimePoint deadline) {
  if (consumer != nullptr) {
    for (Partition& each : partitions_) each.processed = each.position;
    // First what has changed already: of lost partitions nothing may be committed.
    static_cast<void>(FollowGroup(*consumer));
    std::vector<std::uint32_t> all;
    for (const Partition& each : partitions_) all.push_back(each.number);
    Tell(*consumer, GroupChange::Kind::kRevoked, all);
  }
  if (const Positions due = Uncommitted(); !due.empty()) receiver.StartCommit(due);
  receiver.Leave(deadline);
}

}  // namespace headrace
