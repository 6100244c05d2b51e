// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "broker/kafka/config_source.h"
#include "broker/kafka/handlers.h"
#include "broker/topic/config_keys.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

enum class Operation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

using Configs = std::vector<DescribeConfigsResponse::Config>;

std::int8_t TypeOf(topic::ConfigType type) {
  return static_cast<std::int8_t>(type);
}

absl::StatusOr<topic::TopicPtr> FindTopic(const Services& services, const std::string& name) {
  RETURN_IF_ERROR(topic::CheckTopicName(name, true));
  topic::TopicPtr topic = services.topics->Find(name);
  if (topic == nullptr) return services.topics->UnknownTopic(name);
  return topic;
}

absl::StatusOr<Configs> DescribeTopic(const Services& services, const std::string& name) {
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindTopic(services, name));
  Configs configs;
  for (const topic::ConfigEntry& entry : topic->config.Entries()) {
    const auto synonyms = topic->config.Synonyms(entry.key, services.topics->defaults());
    DescribeConfigsResponse::Config& config = configs.emplace_back();
    config.name = entry.key;
    config.value = entry.value;
    config.source = SourceOf(synonyms);
    config.type = TypeOf(entry.type);
    config.documentation = std::string(entry.help);
    for (const topic::ConfigSynonym& synonym : synonyms) {
      config.synonyms.push_back({synonym.name, synonym.value, static_cast<std::int8_t>(synonym.source)});
    }
  }
  return configs;
}

DescribeConfigsResponse::Config BrokerConfig(std::string_view name, std::string value,
                                             topic::ConfigType type) {
  DescribeConfigsResponse::Config config;
  config.name = name;
  config.value = std::move(value);
  config.read_only = true;
  config.source = static_cast<std::int8_t>(topic::ConfigSource::kBroker);
  config.type = TypeOf(type);
  return config;
}

// The broker's settings that Kafka has too, by Kafka's names.
absl::StatusOr<Configs> DescribeBroker(const Services& services, const std::string& name) {
  if (!name.empty() && name != std::to_string(services.broker_id)) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("there is no broker \"", name, "\"; the only one is ", services.broker_id));
  }
  Configs configs;
  configs.push_back(BrokerConfig("auto.create.topics.enable", services.auto_create_topics ? "true" : "false",
                                 topic::ConfigType::kBoolean));
  configs.push_back(BrokerConfig("broker.id", std::to_string(services.broker_id), topic::ConfigType::kInt));
  configs.push_back(BrokerConfig("log.dirs", services.data_path, topic::ConfigType::kString));
  configs.push_back(
      BrokerConfig("num.partitions", std::to_string(services.partitions_default), topic::ConfigType::kInt));
  for (const topic::ConfigKey& key : topic::ConfigKeys()) {
    if (key.broker_name.empty() || !key.has_effect()) continue;
    configs.push_back(
        BrokerConfig(key.broker_name, topic::ValueOf(key, services.topics->defaults()), key.type));
  }
  return configs;
}

absl::Status UnknownResource(std::int8_t type) {
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("resource type ", type, " has no configuration here; topics (2) and brokers (4) do"));
}

absl::StatusOr<Configs> DescribeResource(const Services& services,
                                         const DescribeConfigsRequest::Resource& resource) {
  if (resource.type == kTopicResource) return DescribeTopic(services, resource.name);
  if (resource.type == kBrokerResource) return DescribeBroker(services, resource.name);
  if (resource.type == kGroupResource) return Configs();
  return UnknownResource(resource.type);
}

// A list's value with some words more, or some less.
std::string EditList(const std::string& value, const std::string& words, Operation operation) {
  std::vector<std::string> list = absl::StrSplit(value, ',', absl::SkipEmpty());
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(words, ',', absl::SkipEmpty()))) {
    const auto place = std::find(list.begin(), list.end(), word);
    if (operation == Operation::kAppend && place == list.end()) list.push_back(word);
    if (operation == Operation::kSubtract && place != list.end()) list.erase(place);
  }
  return absl::StrJoin(list, ",");
}

absl::StatusOr<std::string> NewValue(const topic::Topic& topic,
                                     const IncrementalAlterConfigsRequest::Config& config) {
  const auto operation = static_cast<Operation>(config.operation);
  if (operation == Operation::kDelete) return std::string();
  if (!config.value || config.value->empty()) {
    return MakeError(ErrorCode::kInvalidConfig, absl::StrCat("configuration ", config.name, " has no value"));
  }
  if (operation == Operation::kSet) return *config.value;
  ASSIGN_OR_RETURN(const topic::ConfigKey* key, topic::FindConfigKey(config.name));
  if ((operation != Operation::kAppend && operation != Operation::kSubtract) ||
      key->type != topic::ConfigType::kList) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("operation ", config.operation, " cannot be done to ", config.name));
  }
  return EditList(topic::ValueOf(*key, topic.config), *config.value, operation);
}

absl::Status CheckTopicResource(std::int8_t type) {
  if (type == kTopicResource) return absl::OkStatus();
  if (type != kBrokerResource) return UnknownResource(type);
  return MakeError(ErrorCode::kInvalidRequest,
                   "the broker's settings are in its configuration file and are read at its start");
}

absl::Status AlterTopic(const Services& services, const topic::Topic& topic,
                        std::vector<std::pair<std::string, std::string>> configs, bool validate_only) {
  topic::AlterTopicOptions options;
  options.configs = std::move(configs);
  options.validate_only = validate_only;
  RETURN_IF_ERROR(services.topics->Alter(topic.id, options).status());
  if (!validate_only) LogWithoutEffect(services, topic.name, options.configs);
  return absl::OkStatus();
}

absl::Status Increment(const Services& services, const IncrementalAlterConfigsRequest::Resource& resource,
                       bool validate_only) {
  RETURN_IF_ERROR(CheckTopicResource(resource.type));
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindTopic(services, resource.name));
  std::vector<std::pair<std::string, std::string>> configs;
  std::set<std::string> names;
  for (const IncrementalAlterConfigsRequest::Config& config : resource.configs) {
    if (!names.insert(config.name).second) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("configuration ", config.name, " is named twice"));
    }
    ASSIGN_OR_RETURN(std::string value, NewValue(*topic, config));
    configs.emplace_back(config.name, std::move(value));
  }
  return AlterTopic(services, *topic, std::move(configs), validate_only);
}

absl::Status Replace(const Services& services, const AlterConfigsRequest::Resource& resource,
                     bool validate_only) {
  RETURN_IF_ERROR(CheckTopicResource(resource.type));
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindTopic(services, resource.name));
  std::vector<std::pair<std::string, std::string>> configs;
  std::set<std::string> names;
  for (const AlterConfigsRequest::Config& config : resource.configs) {
    if (!config.value || config.value->empty()) {
      return MakeError(ErrorCode::kInvalidConfig,
                       absl::StrCat("configuration ", config.name, " has no value"));
    }
    names.insert(config.name);
    configs.emplace_back(config.name, *config.value);
  }
  for (const auto& [name, value] : topic->config.own()) {
    if (!names.contains(name)) configs.emplace_back(name, "");
  }
  return AlterTopic(services, *topic, std::move(configs), validate_only);
}

DescribeConfigsResponse::Result DescribeOne(const Services& services,
                                            const DescribeConfigsRequest::Resource& resource,
                                            const DescribeConfigsRequest& message) {
  DescribeConfigsResponse::Result result;
  result.type = resource.type;
  result.name = resource.name;
  absl::StatusOr<Configs> configs = DescribeResource(services, resource);
  result.error = WireCode(configs.status());
  result.error_message = WireMessage(configs.status());
  if (!configs.ok()) return result;
  for (DescribeConfigsResponse::Config& config : *configs) {
    const bool asked = !resource.keys || std::find(resource.keys->begin(), resource.keys->end(),
                                                   config.name) != resource.keys->end();
    if (!asked) continue;
    if (!message.include_synonyms) config.synonyms.clear();
    if (!message.include_documentation) config.documentation.reset();
    result.configs.push_back(std::move(config));
  }
  return result;
}

template <typename Message, typename Alter>
void AlterAll(const Request& request, Message message, Alter alter) {
  RunBlocking(request, [request, message = std::move(message), alter] {
    AlterConfigsResponse response;
    for (const auto& resource : message.resources) {
      const absl::Status status = alter(*request.services, resource, message.validate_only);
      response.results.push_back({WireCode(status), WireMessage(status), resource.type, resource.name});
    }
    return response;
  });
}

}  // namespace

void LogWithoutEffect(const Services& services, const std::string& topic,
                      const std::vector<std::pair<std::string, std::string>>& configs) {
  std::vector<std::string> keys;
  for (const auto& [name, value] : configs) {
    const auto key = topic::FindConfigKey(name);
    if (key.ok() && !(*key)->has_effect() && !value.empty()) keys.push_back(name);
  }
  if (keys.empty()) return;
  services.log_info(absl::StrCat("topic \"", topic,
                                 "\": kept, and without effect on this broker: ", absl::StrJoin(keys, ", ")));
}

void HandleDescribeConfigs(const Request& request, DescribeConfigsRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    DescribeConfigsResponse response;
    for (const DescribeConfigsRequest::Resource& resource : message.resources) {
      response.results.push_back(DescribeOne(*request.services, resource, message));
    }
    return response;
  });
}

void HandleAlterConfigs(const Request& request, AlterConfigsRequest message) {
  AlterAll(request, std::move(message), Replace);
}

void HandleIncrementalAlterConfigs(const Request& request, IncrementalAlterConfigsRequest message) {
  AlterAll(request, std::move(message), Increment);
}

}  // namespace headrace::kafka
