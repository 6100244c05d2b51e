// librdkafka's administration has a C interface only: requests on a queue, answers as events.

#include <librdkafka/rdkafka.h>

#include <map>

#include "tests/clients/librdkafka/checks.h"

namespace checks {
namespace {

constexpr int kTimeoutMs = 10'000;

using Event = std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)>;
using List =
    std::unique_ptr<rd_kafka_topic_partition_list_t, decltype(&rd_kafka_topic_partition_list_destroy)>;

// A client for one request: sends it and holds its answer.
class Admin {
 public:
  explicit Admin(const Context& context)
      : producer_(MakeProducer(context, {})),
        queue_(rd_kafka_queue_new(handle()), rd_kafka_queue_destroy),
        event_(nullptr, rd_kafka_event_destroy) {}

  rd_kafka_t* handle() const { return producer_->c_ptr(); }
  rd_kafka_queue_t* queue() const { return queue_.get(); }

  // The answer to the request just sent; an error that concerns all of it is thrown.
  rd_kafka_event_t* Await() {
    event_.reset(rd_kafka_queue_poll(queue(), kTimeoutMs));
    Expect(event_ != nullptr, "no answer");
    const rd_kafka_resp_err_t error = rd_kafka_event_error(event_.get());
    Expect(error == RD_KAFKA_RESP_ERR_NO_ERROR,
           std::string("answer: ") + rd_kafka_event_error_string(event_.get()));
    return event_.get();
  }

 private:
  std::unique_ptr<RdKafka::Producer> producer_;
  std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)> queue_;
  Event event_;
};

rd_kafka_resp_err_t CreateError(const Context& context, const std::string& topic, int partitions) {
  Admin admin(context);
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
  rd_kafka_CreateTopics(admin.handle(), &wanted, 1, nullptr, admin.queue());
  rd_kafka_NewTopic_destroy(wanted);
  std::size_t count = 0;
  const auto* answers =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(admin.Await()), &count);
  Expect(count == 1, "not one answer");
  return rd_kafka_topic_result_error(answers[0]);
}

rd_kafka_resp_err_t DeleteError(const Context& context, const std::string& topic) {
  Admin admin(context);
  rd_kafka_DeleteTopic_t* wanted = rd_kafka_DeleteTopic_new(topic.c_str());
  rd_kafka_DeleteTopics(admin.handle(), &wanted, 1, nullptr, admin.queue());
  rd_kafka_DeleteTopic_destroy(wanted);
  std::size_t count = 0;
  const auto* answers =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(admin.Await()), &count);
  Expect(count == 1, "not one answer");
  return rd_kafka_topic_result_error(answers[0]);
}

rd_kafka_resp_err_t GrowError(const Context& context, const std::string& topic, std::size_t partitions) {
  Admin admin(context);
  char reason[256];
  rd_kafka_NewPartitions_t* wanted =
      rd_kafka_NewPartitions_new(topic.c_str(), partitions, reason, sizeof reason);
  rd_kafka_CreatePartitions(admin.handle(), &wanted, 1, nullptr, admin.queue());
  rd_kafka_NewPartitions_destroy(wanted);
  std::size_t count = 0;
  const auto* answers =
      rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(admin.Await()), &count);
  Expect(count == 1, "not one answer");
  return rd_kafka_topic_result_error(answers[0]);
}

std::map<std::string, std::string> Describe(const Context& context, const std::string& topic) {
  Admin admin(context);
  rd_kafka_ConfigResource_t* asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
  rd_kafka_DescribeConfigs(admin.handle(), &asked, 1, nullptr, admin.queue());
  rd_kafka_ConfigResource_destroy(asked);
  std::size_t count = 0;
  const auto* answers =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(admin.Await()), &count);
  Expect(count == 1, "not one answer");
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(answers[0], &count);
  std::map<std::string, std::string> found;
  for (std::size_t n = 0; n < count; ++n) {
    const char* value = rd_kafka_ConfigEntry_value(entries[n]);
    found[rd_kafka_ConfigEntry_name(entries[n])] = value == nullptr ? "" : value;
  }
  return found;
}

std::int64_t CommittedOffset(const Context& context, const std::string& group, const std::string& topic) {
  const auto consumer = MakeConsumer(context, {{"group.id", group}});
  const std::unique_ptr<RdKafka::TopicPartition> where(RdKafka::TopicPartition::create(topic, 0));
  std::vector<RdKafka::TopicPartition*> asked = {where.get()};
  Expect(consumer->committed(asked, kTimeoutMs) == RdKafka::ERR_NO_ERROR, "committed failed");
  return where->offset();
}

List OneOffset(const std::string& topic, std::int64_t offset) {
  List list(rd_kafka_topic_partition_list_new(1), rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = offset;
  return list;
}

bool GroupIsListed(const Context& context, const std::string& group) {
  Admin admin(context);
  rd_kafka_ListConsumerGroups(admin.handle(), nullptr, admin.queue());
  std::size_t count = 0;
  const auto* groups = rd_kafka_ListConsumerGroups_result_valid(
      rd_kafka_event_ListConsumerGroups_result(admin.Await()), &count);
  for (std::size_t n = 0; n < count; ++n) {
    if (rd_kafka_ConsumerGroupListing_group_id(groups[n]) == group) return true;
  }
  return false;
}

}  // namespace

void CreateTopic(const Context& context, const std::string& topic, int partitions) {
  const rd_kafka_resp_err_t error = CreateError(context, topic, partitions);
  Expect(error == RD_KAFKA_RESP_ERR_NO_ERROR, topic + " is not created: " + rd_kafka_err2str(error));
}

void CheckTopics(const Context& context) {
  const std::string topic = context.prefix + "-topics";
  CreateTopic(context, topic, 1);
  Expect(CreateError(context, topic, 1) == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "created twice");
  Expect(CreateError(context, "no/name", 1) == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "a name with a slash");
  Expect(GrowError(context, topic, 5) == RD_KAFKA_RESP_ERR_NO_ERROR, "partitions are not added");
  Expect(GrowError(context, topic, 2) == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, "partitions taken away");
  Expect(DeleteError(context, topic) == RD_KAFKA_RESP_ERR_NO_ERROR, "not deleted");
  Until("the topic is gone",
        [&] { return DeleteError(context, topic) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART; });
}

void CheckConfigs(const Context& context) {
  const std::string topic = context.prefix + "-configs";
  CreateTopic(context, topic, 1);
  Admin admin(context);
  rd_kafka_ConfigResource_t* wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
  rd_kafka_ConfigResource_set_config(wanted, "retention.ms", "123456789");
  rd_kafka_AlterConfigs(admin.handle(), &wanted, 1, nullptr, admin.queue());
  rd_kafka_ConfigResource_destroy(wanted);
  std::size_t count = 0;
  const auto* answers =
      rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(admin.Await()), &count);
  Expect(count == 1 && rd_kafka_ConfigResource_error(answers[0]) == RD_KAFKA_RESP_ERR_NO_ERROR,
         "not altered");
  Until("the change is described", [&] { return Describe(context, topic)["retention.ms"] == "123456789"; });
  Expect(Describe(context, topic)["cleanup.policy"] == "delete", "cleanup.policy is not delete");
}

void CheckDeleteRecords(const Context& context) {
  const std::string topic = context.prefix + "-lz4";  // which the check of that codec wrote
  Admin admin(context);
  const List before = OneOffset(topic, 7);
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(before.get());
  rd_kafka_DeleteRecords(admin.handle(), &request, 1, nullptr, admin.queue());
  rd_kafka_DeleteRecords_destroy(request);
  const auto* offsets =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(admin.Await()));
  Expect(offsets->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR && offsets->elems[0].offset == 7,
         "wrong low mark");
  const std::vector<Record> found = Read(context, topic, 0, RdKafka::Topic::OFFSET_BEGINNING, 1);
  Expect(found.front() == context.records[7], "the first record left is not the eighth");
}

void CheckOffsetsAdmin(const Context& context) {
  const std::string topic = context.prefix + "-none", group = context.prefix + "-resume";
  Admin altering(context);
  const List wanted = OneOffset(topic, 3);
  auto* alter = rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), wanted.get());
  rd_kafka_AlterConsumerGroupOffsets(altering.handle(), &alter, 1, nullptr, altering.queue());
  rd_kafka_AlterConsumerGroupOffsets_destroy(alter);
  altering.Await();
  Expect(CommittedOffset(context, group, topic) == 3, "the offset is not altered");
  Admin deleting(context);
  auto* remove = rd_kafka_DeleteConsumerGroupOffsets_new(group.c_str(), wanted.get());
  rd_kafka_DeleteConsumerGroupOffsets(deleting.handle(), &remove, 1, nullptr, deleting.queue());
  rd_kafka_DeleteConsumerGroupOffsets_destroy(remove);
  deleting.Await();
  Expect(CommittedOffset(context, group, topic) == RdKafka::Topic::OFFSET_INVALID,
         "the offset is not deleted");
}

void CheckGroupsAdmin(const Context& context) {
  const std::string group = context.prefix + "-group-range";
  Expect(GroupIsListed(context, group), group + " is not listed");
  Admin describing(context);
  const char* name = group.c_str();
  rd_kafka_DescribeConsumerGroups(describing.handle(), &name, 1, nullptr, describing.queue());
  std::size_t count = 0;
  const auto* groups = rd_kafka_DescribeConsumerGroups_result_groups(
      rd_kafka_event_DescribeConsumerGroups_result(describing.Await()), &count);
  Expect(count == 1 && rd_kafka_ConsumerGroupDescription_error(groups[0]) == nullptr, "not described");
  const rd_kafka_consumer_group_state_t state = rd_kafka_ConsumerGroupDescription_state(groups[0]);
  Expect(state == RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY,
         std::string("state ") + rd_kafka_consumer_group_state_name(state));
  Admin deleting(context);
  rd_kafka_DeleteGroup_t* request = rd_kafka_DeleteGroup_new(name);
  rd_kafka_DeleteGroups(deleting.handle(), &request, 1, nullptr, deleting.queue());
  rd_kafka_DeleteGroup_destroy(request);
  const auto* answers =
      rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(deleting.Await()), &count);
  Expect(count == 1 && rd_kafka_group_result_error(answers[0]) == nullptr, "not deleted");
  Expect(!GroupIsListed(context, group), group + " is still listed");
}

}  // namespace checks
