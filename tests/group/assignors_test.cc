// Who gets which partition, with members that want the same and members that do not.
#include "broker/group/assignors.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <random>

namespace headrace::group {
namespace {

using Topics = std::set<TopicId>;

TopicId Id(std::uint8_t number) {
  TopicId id;
  id.bytes[15] = number;
  return id;
}

bool Includes(const Partitions& all, const Partitions& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

std::map<TopicPartition, std::string> OwnersIn(const Assignment& assignment) {
  std::map<TopicPartition, std::string> owners;
  for (const auto& [id, partitions] : assignment) {
    for (const TopicPartition& each : partitions) {
      CHECK(owners.emplace(each, id).second);  // nobody else has it
    }
  }
  return owners;
}

// Whether no partition could go to a reader with two or more fewer.
bool IsEven(const Assignment& assignment, const Subscriptions& subscriptions) {
  const std::map<TopicPartition, std::string> owners = OwnersIn(assignment);
  return std::all_of(owners.begin(), owners.end(), [&](const auto& owned) {
    return std::all_of(subscriptions.begin(), subscriptions.end(), [&](const auto& reader) {
      return !reader.second->contains(owned.first.topic) ||
             assignment.at(owned.second).size() <= assignment.at(reader.first).size() + 1;
    });
  });
}

}  // namespace

TEST_CASE("Assignors: range gives neighbours, uniform moves no more than it must") {
  const Topics one{Id(1)};
  const Subscriptions three{{"a", &one}, {"b", &one}, {"c", &one}};
  const Assignment range = AssignRange(three, {{Id(1), 7}});
  CHECK(range.at("a") == Partitions{{Id(1), 0}, {Id(1), 1}, {Id(1), 2}});
  CHECK(range.at("c") == Partitions{{Id(1), 5}, {Id(1), 6}});
  CHECK(AssignRange(three, {{Id(1), 2}}).at("c").empty());
  const Assignment before = AssignUniform({{"a", &one}, {"b", &one}}, {{Id(1), 6}}, {});
  const Assignment after = AssignUniform(three, {{Id(1), 6}}, before);
  CHECK(after.at("c").size() == 2);
  for (const std::string id : {"a", "b"}) CHECK(Includes(before.at(id), after.at(id)));
}

TEST_CASE("Assignors: every partition has one reader of its topic, and uniform is even, whoever wants what") {
  const unsigned seed = GENERATE(range(1u, 50u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::vector<Topics> wishes(1 + random() % 4);
  PartitionCounts counts;
  for (std::uint8_t topic = 1; topic <= 6; ++topic) {
    counts[Id(topic)] = static_cast<std::int32_t>(random() % 12);
    for (Topics& each : wishes) {
      if (random() % 2 == 0) each.insert(Id(topic));
    }
  }
  Assignment former;
  for (int round = 0; round < 10; ++round) {
    Subscriptions subscriptions;  // members come and go, and change their minds
    for (char name = 'a'; name < 'h'; ++name) {
      if (random() % 3 > 0) subscriptions[std::string(1, name)] = &wishes[random() % wishes.size()];
    }
    std::size_t wanted = 0;
    for (const auto& [topic, count] : counts) {
      const bool read = std::any_of(subscriptions.begin(), subscriptions.end(),
                                    [&](const auto& each) { return each.second->contains(topic); });
      if (read) wanted += static_cast<std::size_t>(count);
    }
    former = AssignUniform(subscriptions, counts, former);
    CHECK(IsEven(former, subscriptions));
    CHECK(AssignUniform(subscriptions, counts, former) == former);
    for (const Assignment& each : {former, AssignRange(subscriptions, counts)}) {
      CHECK(each.size() == subscriptions.size());
      const auto owners = OwnersIn(each);
      CHECK(owners.size() == wanted);
      for (const auto& [partition, id] : owners) CHECK(subscriptions.at(id)->contains(partition.topic));
    }
  }
}

// Some tens of milliseconds; in steps of partitions times members it would be minutes.
TEST_CASE("Assignors: a crowd that reads a hundred thousand partitions is assigned in no time") {
  const Topics one{Id(1)};
  const PartitionCounts counts{{Id(1), 100'000}};
  Subscriptions subscriptions;
  for (int i = 0; i < 2'000; ++i) subscriptions["member-" + std::to_string(i)] = &one;
  const auto begun = std::chrono::steady_clock::now();
  const Assignment before = AssignUniform(subscriptions, counts, {});
  subscriptions.erase("member-7");
  subscriptions["newcomer"] = &one;
  const Assignment after = AssignUniform(subscriptions, counts, before);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(10));
  CHECK(after.at("newcomer").size() == 50);
  CHECK(after.at("member-8") == before.at("member-8"));
}

}  // namespace headrace::group
