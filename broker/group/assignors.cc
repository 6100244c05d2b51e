#include "broker/group/assignors.h"

#include <algorithm>

namespace headrace::group {
namespace {

using Members = std::vector<std::string>;

std::map<TopicId, Members> MembersByTopic(const Subscriptions& subscriptions, const PartitionCounts& counts) {
  std::map<TopicId, Members> members;
  for (const auto& [id, topics] : subscriptions) {
    for (const TopicId& topic : topics) {
      if (counts.count(topic) > 0) members[topic].push_back(id);
    }
  }
  return members;
}

const std::string& LeastLoaded(const Members& members, const Assignment& assignment) {
  return *std::min_element(members.begin(), members.end(), [&](const std::string& a, const std::string& b) {
    return assignment.at(a).size() < assignment.at(b).size();
  });
}

// Who of the subscribed had it before; empty: nobody.
std::map<TopicPartition, std::string> FormerOwners(const Subscriptions& subscriptions,
                                                   const PartitionCounts& counts,
                                                   const Assignment& previous) {
  std::map<TopicPartition, std::string> owners;
  for (const auto& [id, partitions] : previous) {
    const auto member = subscriptions.find(id);
    if (member == subscriptions.end()) continue;
    for (const TopicPartition& each : partitions) {
      const auto count = counts.find(each.topic);
      const bool exists = count != counts.end() && each.partition < count->second;
      if (exists && member->second.count(each.topic) > 0) owners[each] = id;
    }
  }
  return owners;
}

// Moves single partitions until no move evens anything out. Each move lowers the sum of the squares: it ends.
void Balance(const std::map<TopicId, Members>& members, std::map<TopicPartition, std::string>& owners,
             Assignment& assignment) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (auto& [partition, owner] : owners) {
      const std::string& least = LeastLoaded(members.at(partition.topic), assignment);
      if (assignment.at(owner).size() <= assignment.at(least).size() + 1) continue;
      assignment.at(owner).erase(partition);
      assignment.at(least).insert(partition);
      owner = least;
      moved = true;
    }
  }
}

}  // namespace

Assignment AssignRange(const Subscriptions& subscriptions, const PartitionCounts& counts) {
  Assignment assignment;
  for (const auto& [id, topics] : subscriptions) assignment[id];
  for (const auto& [topic, members] : MembersByTopic(subscriptions, counts)) {
    const auto partitions = counts.at(topic);
    const auto size = static_cast<std::int32_t>(members.size());
    std::int32_t next = 0;
    for (std::int32_t i = 0; i < size; ++i) {
      const std::int32_t share = partitions / size + (i < partitions % size ? 1 : 0);
      for (const std::int32_t end = next + share; next < end; ++next) {
        assignment[members[static_cast<std::size_t>(i)]].insert({topic, next});
      }
    }
  }
  return assignment;
}

Assignment AssignUniform(const Subscriptions& subscriptions, const PartitionCounts& counts,
                         const Assignment& previous) {
  Assignment assignment;
  for (const auto& [id, topics] : subscriptions) assignment[id];
  const std::map<TopicId, Members> members = MembersByTopic(subscriptions, counts);
  std::map<TopicPartition, std::string> owners = FormerOwners(subscriptions, counts, previous);
  for (const auto& [partition, owner] : owners) assignment[owner].insert(partition);
  for (const auto& [topic, subscribed] : members) {
    for (std::int32_t i = 0; i < counts.at(topic); ++i) {
      const TopicPartition partition{topic, i};
      if (owners.count(partition) > 0) continue;
      const std::string& owner = LeastLoaded(subscribed, assignment);
      owners[partition] = owner;
      assignment[owner].insert(partition);
    }
  }
  Balance(members, owners, assignment);
  return assignment;
}

}  // namespace headrace::group
