#include "broker/topic/topic_registry.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/small_file.h"

namespace headrace::topic {
namespace {

absl::Status NoTopic(std::string_view name, const std::string& nearest) {
  return MakeError(ErrorCode::kUnknownTopicOrPartition,
                   absl::StrCat("there is no topic \"", std::string(name), "\"",
                                nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

}  // namespace

absl::Status CheckTopicName(std::string_view name, bool internal) {
  const auto refuse = [](std::string_view why) {
    return MakeError(ErrorCode::kInvalidTopic, absl::StrCat("topic name ", std::string(why)));
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > TopicRegistry::kNameSizeMax) {
    return refuse(
        absl::StrCat("has ", name.size(), " characters; the limit is ", TopicRegistry::kNameSizeMax));
  }
  if (name == "." || name == "..") return refuse("is \".\" or \"..\"");
  const bool allowed = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!allowed) return refuse("holds a character other than letters, digits, '.', '_' and '-'");
  if (!internal && name.starts_with("__")) return refuse("begins with \"__\", which is kept for the broker");
  return absl::OkStatus();
}

TopicRegistry::TopicRegistry(storage::FileSystem& files, storage::DataDirectory& directory,
                             const PartitionServices& services, const TopicConfig& defaults)
    : files_(files), directory_(directory), services_(services), defaults_(defaults) {}

TopicPtr TopicRegistry::Find(std::string_view name) const {
  const core::MutexLock lock(mutex_);
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

TopicPtr TopicRegistry::Find(const TopicId& id) const {
  const core::MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::vector<TopicPtr> TopicRegistry::All() const {
  const core::MutexLock lock(mutex_);
  std::vector<TopicPtr> topics;
  topics.reserve(by_name_.size());
  for (const auto& [name, topic] : by_name_) topics.push_back(topic);
  return topics;
}

TopicRegistry::TopicMap TopicRegistry::ByName() const {
  const core::MutexLock lock(mutex_);
  return by_name_;
}

std::size_t TopicRegistry::partition_count() const {
  const core::MutexLock lock(mutex_);
  std::size_t count = 0;
  for (const auto& [name, topic] : by_name_) count += topic->partitions.size();
  return count;
}

void TopicRegistry::AwaitAppends() const {
  for (const TopicPtr& topic : All()) {
    for (const auto& partition : topic->partitions) partition->AwaitAppends();
  }
}

absl::StatusOr<std::shared_ptr<Partition>> TopicRegistry::FindPartition(const TopicId& id,
                                                                        std::string_view name,
                                                                        std::int64_t partition) const {
  const TopicPtr topic = id.IsNone() ? Find(name) : Find(id);
  if (topic == nullptr && id.IsNone()) return NoTopic(name, "");
  if (topic == nullptr) return UnknownTopic(id);
  if (partition < 0 || partition >= static_cast<std::int64_t>(topic->partitions.size())) {
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat("topic \"", topic->name, "\" has no partition ", partition,
                                  "; it has partitions 0 to ", topic->partitions.size() - 1));
  }
  return topic->partitions[static_cast<std::size_t>(partition)];
}

absl::Status TopicRegistry::UnknownTopic(std::string_view name) const {
  std::vector<std::string> names;
  for (const TopicPtr& topic : All()) names.push_back(topic->name);
  return NoTopic(name, NearestName(name, names));
}

absl::Status TopicRegistry::UnknownTopic(const TopicId& id) {
  return MakeError(ErrorCode::kUnknownTopicId,
                   absl::StrCat("there is no topic with id ", id.ToString(), " (any more)"));
}

void TopicRegistry::Publish(TopicMap topics) {
  std::unordered_map<TopicId, TopicPtr> by_id;
  for (const auto& [name, topic] : topics) by_id.emplace(topic->id, topic);
  const core::MutexLock lock(mutex_);
  by_name_.swap(topics);
  by_id_.swap(by_id);
}

absl::StatusOr<TopicPtr> TopicRegistry::Create(const CreateTopicOptions& options) {
  RETURN_IF_ERROR(CheckTopicName(options.name, options.internal));
  if (options.partitions == 0 || options.partitions > kPartitionsMax) {
    return MakeError(ErrorCode::kInvalidPartitions, absl::StrCat(options.name, ": ", options.partitions,
                                                                 " partitions; from 1 to ", kPartitionsMax));
  }
  const core::MutexLock change(change_mutex_);
  if (TopicPtr existing = Find(options.name)) {
    if (options.if_not_exists) return existing;
    return MakeError(ErrorCode::kTopicAlreadyExists,
                     absl::StrCat("topic \"", options.name, "\" exists already"));
  }
  auto topic = std::make_shared<Topic>();
  topic->id = TopicId::Random();
  topic->name = options.name;
  topic->config = defaults_;
  for (const auto& [key, value] : options.configs) RETURN_IF_ERROR(topic->config.Set(key, value));
  RETURN_IF_ERROR(topic->config.CheckTogether());
  for (std::uint32_t number = 0; number < options.partitions; ++number) {
    topic->partitions.push_back(OpenPartition(*topic, static_cast<PartitionId>(number), true, nullptr));
  }
  if (options.validate_only) return topic;
  TopicMap topics = ByName();
  topics.emplace(topic->name, topic);
  RETURN_IF_ERROR(Save(topics));
  Publish(std::move(topics));
  return topic;
}

absl::StatusOr<TopicPtr> TopicRegistry::Alter(const TopicId& id, const AlterTopicOptions& options) {
  const core::MutexLock change(change_mutex_);
  const TopicPtr old = Find(id);
  if (!old) return UnknownTopic(id);
  auto topic = std::make_shared<Topic>(*old);
  for (const auto& [key, value] : options.configs) {
    RETURN_IF_ERROR(value.empty() ? topic->config.Unset(key, defaults_) : topic->config.Set(key, value));
  }
  RETURN_IF_ERROR(topic->config.CheckTogether());
  const std::size_t wanted = options.partitions == 0 ? topic->partitions.size() : options.partitions;
  if (wanted < topic->partitions.size() || wanted > kPartitionsMax) {
    return MakeError(
        ErrorCode::kInvalidPartitions,
        absl::StrCat(topic->name, " has ", topic->partitions.size(), " partitions and can have up to ",
                     kPartitionsMax, "; ", wanted, " were asked for (partitions are never removed)"));
  }
  while (topic->partitions.size() < wanted) {
    const auto number = static_cast<PartitionId>(topic->partitions.size());
    topic->partitions.push_back(OpenPartition(*topic, number, true, nullptr));
  }
  if (options.validate_only) return topic;
  TopicMap topics = ByName();
  topics[topic->name] = topic;
  RETURN_IF_ERROR(Save(topics));
  Publish(std::move(topics));
  for (const auto& partition : topic->partitions) partition->SetConfig(topic->config);
  return topic;
}

absl::Status TopicRegistry::Delete(const TopicId& id) {
  const core::MutexLock change(change_mutex_);
  const TopicPtr topic = Find(id);
  if (!topic) return UnknownTopic(id);
  TopicMap topics = ByName();
  topics.erase(topic->name);
  RETURN_IF_ERROR(Save(topics));
  Publish(std::move(topics));
  for (const auto& partition : topic->partitions) partition->MarkDeleted();
  if (deleted_) deleted_();
  for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
    const std::string path = directory_.LogPath({id, static_cast<PartitionId>(i)});
    RETURN_IF_ERROR(RemoveTree(path));
  }
  return RemoveTree(directory_.path() + "/topics/" + id.ToString());
}

// Slices on their way keep the inodes; the names go at once. A directory of ours is two levels deep at most.
absl::Status TopicRegistry::RemoveTree(const std::string& path) {
  const auto entries = files_.List(path);
  if (absl::IsNotFound(entries.status())) return absl::OkStatus();
  RETURN_IF_ERROR(entries.status());
  for (const storage::DirectoryEntry& entry : *entries) {
    const std::string name = path + "/" + entry.name;
    directory_.cache().Drop(name);
    RETURN_IF_ERROR(files_.Remove(name));
  }
  return files_.Remove(path);
}

}  // namespace headrace::topic
