#include "broker/group/assignors.h"

#include <algorithm>

namespace headrace::group {
namespace {

using Member = std::uint32_t;  // by its place in the order of ids
using Members = std::vector<Member>;
constexpr Member kNobody = ~Member{0};

// Who may have the partitions of a topic. Topics with the same members share a pool.
struct Readers {
  std::vector<Members> pools;
  std::map<TopicId, std::size_t> pool_of;  // topics that exist and that somebody reads
};

Readers FindReaders(const Subscriptions& subscriptions, const PartitionCounts& counts) {
  std::map<const std::set<TopicId>*, Members> members_of;
  Member next = 0;
  for (const auto& [id, topics] : subscriptions) members_of[topics].push_back(next++);
  std::map<TopicId, std::vector<const Members*>> by_topic;
  for (const auto& [topics, members] : members_of) {
    for (const TopicId& topic : *topics) {
      if (counts.contains(topic)) by_topic[topic].push_back(&members);
    }
  }
  Readers readers;
  std::map<std::vector<const Members*>, std::size_t> pools;
  for (const auto& [topic, parts] : by_topic) {
    const auto [pool, added] = pools.try_emplace(parts, readers.pools.size());
    readers.pool_of[topic] = pool->second;
    if (!added) continue;
    Members& all = readers.pools.emplace_back();
    for (const Members* part : parts) all.insert(all.end(), part->begin(), part->end());
    std::sort(all.begin(), all.end());
  }
  return readers;
}

// How many partitions each member has. Finding the least loaded of a pool takes no look at each member: from
// one answer to the next, loads mostly grow.
class Loads {
 public:
  Loads(std::size_t members, std::vector<Members> pools) : loads_(members) {
    for (Members& each : pools) pools_.push_back({std::move(each)});
  }

  std::size_t Of(Member member) const { return loads_[member]; }
  void Add(Member member) { ++loads_[member]; }
  void Take(Member member) {
    const std::size_t load = --loads_[member];
    for (Pool& pool : pools_) {
      if (load < pool.least) pool.least = load, pool.next = 0;
    }
  }
  Member Least(std::size_t which) {
    Pool& pool = pools_[which];
    const Members& members = pool.members;
    while (pool.next < members.size() && loads_[members[pool.next]] > pool.least) ++pool.next;
    if (pool.next == members.size()) {
      const auto least = std::min_element(members.begin(), members.end(),
                                          [&](Member a, Member b) { return loads_[a] < loads_[b]; });
      pool.least = loads_[*least];
      pool.next = static_cast<std::size_t>(least - members.begin());
    }
    return members[pool.next];
  }

 private:
  struct Pool {
    Members members;
    std::size_t least = 0;  // nobody has less
    std::size_t next = 0;   // where to look for who has no more
  };
  std::vector<std::size_t> loads_;
  std::vector<Pool> pools_;
};

struct Slot {
  TopicPartition partition;
  std::size_t pool = 0;
  Member owner = kNobody;
};

// Every partition that somebody may have, in order, with who had it before if that is a reader of it still.
std::vector<Slot> MakeSlots(const Subscriptions& subscriptions, const PartitionCounts& counts,
                            const Readers& readers, const Assignment& previous) {
  std::vector<Slot> slots;
  for (const auto& [topic, pool] : readers.pool_of) {
    for (std::int32_t i = 0; i < counts.at(topic); ++i) slots.push_back({{topic, i}, pool});
  }
  const auto before = [](const Slot& slot, const TopicPartition& partition) {
    return slot.partition < partition;
  };
  Member member = 0;
  for (const auto& [id, topics] : subscriptions) {
    if (const auto former = previous.find(id); former != previous.end()) {
      for (const TopicPartition& each : former->second) {
        const auto slot = std::lower_bound(slots.begin(), slots.end(), each, before);
        const bool exists = slot != slots.end() && slot->partition == each;
        if (exists && topics->contains(each.topic)) slot->owner = member;
      }
    }
    ++member;
  }
  return slots;
}

// Moves single partitions until no move evens anything out. Each move lowers the sum of the squares: it ends.
void Balance(std::vector<Slot>& slots, Loads& loads) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (Slot& slot : slots) {
      const Member least = loads.Least(slot.pool);
      if (loads.Of(slot.owner) <= loads.Of(least) + 1) continue;
      loads.Take(slot.owner);
      loads.Add(least);
      slot.owner = least;
      moved = true;
    }
  }
}

// The partitions of each member, empty as yet.
std::vector<Partitions*> Begin(const Subscriptions& subscriptions, Assignment& assignment) {
  std::vector<Partitions*> of;
  for (const auto& [id, topics] : subscriptions) of.push_back(&assignment[id]);
  return of;
}

}  // namespace

Assignment AssignRange(const Subscriptions& subscriptions, const PartitionCounts& counts) {
  Assignment assignment;
  const std::vector<Partitions*> of = Begin(subscriptions, assignment);
  const Readers readers = FindReaders(subscriptions, counts);
  for (const auto& [topic, pool] : readers.pool_of) {
    const auto partitions = counts.at(topic);
    const auto size = static_cast<std::int32_t>(readers.pools[pool].size());
    std::int32_t next = 0;
    for (std::int32_t i = 0; next < partitions; ++i) {
      const std::int32_t share = partitions / size + (i < partitions % size ? 1 : 0);
      Partitions& mine = *of[readers.pools[pool][static_cast<std::size_t>(i)]];
      for (const std::int32_t end = next + share; next < end; ++next) mine.insert(mine.end(), {topic, next});
    }
  }
  return assignment;
}

Assignment AssignUniform(const Subscriptions& subscriptions, const PartitionCounts& counts,
                         const Assignment& previous) {
  Assignment assignment;
  const std::vector<Partitions*> of = Begin(subscriptions, assignment);
  Readers readers = FindReaders(subscriptions, counts);
  std::vector<Slot> slots = MakeSlots(subscriptions, counts, readers, previous);
  Loads loads(of.size(), std::move(readers.pools));
  for (const Slot& slot : slots) {
    if (slot.owner != kNobody) loads.Add(slot.owner);
  }
  for (Slot& slot : slots) {
    if (slot.owner != kNobody) continue;
    slot.owner = loads.Least(slot.pool);
    loads.Add(slot.owner);
  }
  Balance(slots, loads);
  for (const Slot& slot : slots) {
    Partitions& mine = *of[slot.owner];
    mine.insert(mine.end(), slot.partition);
  }
  return assignment;
}

}  // namespace headrace::group
