// librdkafka against a broker: checks BROKER RECORDS_FILE PREFIX. Prints one line per check; exit 1 if one
// failed.

#include "tests/clients/librdkafka/checks.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <set>

namespace checks {
namespace {

constexpr int kOrderCount = 10'000;
constexpr int kGroupPartitions = 4;

void CheckMetadata(const Context& context) {
  const std::string topic = context.prefix + "-metadata";
  CreateTopic(context, topic, 3);
  const auto producer = MakeProducer(context, {});
  RdKafka::Metadata* raw = nullptr;
  Expect(producer->metadata(true, nullptr, &raw, 10'000) == RdKafka::ERR_NO_ERROR, "metadata failed");
  const std::unique_ptr<RdKafka::Metadata> metadata(raw);
  Expect(metadata->brokers()->size() == 1, "not one broker");
  const auto found = std::find_if(metadata->topics()->begin(), metadata->topics()->end(),
                                  [&](const RdKafka::TopicMetadata* each) { return each->topic() == topic; });
  Expect(found != metadata->topics()->end(), topic + " is not listed");
  Expect((*found)->partitions()->size() == 3, "not three partitions");
  Expect(!producer->clusterid(1000).empty(), "no cluster id");
}

void CheckCodec(const Context& context, const std::string& codec) {
  const std::string topic = context.prefix + "-" + codec;
  CreateTopic(context, topic, 1);
  const auto producer = MakeProducer(context, {{"compression.codec", codec}, {"linger.ms", "50"}});
  for (const Record& record : context.records) Produce(*producer, topic, 0, record);
  Flush(*producer);
  const std::vector<Record> found = Read(context, topic, 0, 0, context.records.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    Expect(found[n] == context.records[n], "record " + std::to_string(n) + " came back different");
  }
}

void CheckOrder(const Context& context, const std::string& name, const Settings& settings) {
  const std::string topic = context.prefix + "-" + name;
  CreateTopic(context, topic, 2);
  const auto producer = MakeProducer(context, settings);
  for (int number = 0; number < kOrderCount; ++number) {
    Produce(*producer, topic, number % 2, {0, std::nullopt, std::to_string(number), {}});
  }
  Flush(*producer);
  for (int partition = 0; partition < 2; ++partition) {
    const std::vector<Record> found = Read(context, topic, partition, 0, kOrderCount / 2);
    for (std::size_t n = 0; n < found.size(); ++n) {
      const std::string wanted = std::to_string(2 * n + static_cast<std::size_t>(partition));
      Expect(found[n].value == wanted,
             "record " + std::to_string(n) + " is " + found[n].value.value_or("null"));
    }
    const auto consumer = MakeConsumer(context, {});
    std::int64_t low = -1, high = -1;
    consumer->query_watermark_offsets(topic, partition, &low, &high, 5000);
    Expect(low == 0 && high == kOrderCount / 2, "doubled or missing: the end is " + std::to_string(high));
  }
}

void CheckAcks(const Context& context) {
  const std::string topic = context.prefix + "-acks";
  CreateTopic(context, topic, 1);
  for (const char* acks : {"0", "1", "-1"}) {
    const auto producer = MakeProducer(context, {{"acks", acks}});
    for (int n = 0; n < 100; ++n) Produce(*producer, topic, 0, {0, std::nullopt, acks, {}});
    Flush(*producer);
  }
  const std::vector<Record> found = Read(context, topic, 0, 0, 300);
  Expect(found.front().value == "0" && found.back().value == "-1",
         "not in the order in which they were sent");
}

void CheckByTime(const Context& context) {
  const std::string topic = context.prefix + "-zstd";  // which the check of that codec wrote
  const auto consumer = MakeConsumer(context, {});
  const auto offset_at = [&](std::int64_t time_ms) {
    const std::unique_ptr<RdKafka::TopicPartition> where(RdKafka::TopicPartition::create(topic, 0, time_ms));
    std::vector<RdKafka::TopicPartition*> asked = {where.get()};
    Expect(consumer->offsetsForTimes(asked, 5000) == RdKafka::ERR_NO_ERROR, "offsetsForTimes failed");
    return where->offset();
  };
  Expect(offset_at(context.records[0].timestamp_ms - 1) == 0, "before the first");
  Expect(offset_at(context.records[7].timestamp_ms) == 7, "exactly the eighth");
  Expect(offset_at(context.records[7].timestamp_ms + 1) == 8, "after the eighth");
  Expect(offset_at(context.records.back().timestamp_ms + 1) == RdKafka::Topic::OFFSET_END, "after the last");
}

std::set<int> Assigned(RdKafka::KafkaConsumer& consumer) {
  std::vector<RdKafka::TopicPartition*> partitions;
  consumer.assignment(partitions);
  std::set<int> numbers;
  for (RdKafka::TopicPartition* each : partitions) numbers.insert(each->partition());
  RdKafka::TopicPartition::destroy(partitions);
  return numbers;
}

void PollInto(RdKafka::KafkaConsumer& consumer, std::vector<std::string>& values) {
  const std::unique_ptr<RdKafka::Message> message(consumer.consume(20));
  if (message->err() == RdKafka::ERR_NO_ERROR) {
    values.emplace_back(static_cast<const char*>(message->payload()), message->len());
  }
}

// Two members of a group: the second joins and leaves while records arrive, and every record is read once.
void CheckGroup(const Context& context, const std::string& assignor) {
  const std::string topic = context.prefix + "-group-" + assignor;
  CreateTopic(context, topic, kGroupPartitions);
  const Settings settings = {
      {"group.id", topic}, {"partition.assignment.strategy", assignor}, {"enable.auto.commit", "true"}};
  const auto first = MakeConsumer(context, settings);
  const auto second = MakeConsumer(context, settings);
  std::vector<std::string> values;
  const auto poll_until = [&](const std::string& what, const std::function<bool()>& reached) {
    Until(what, [&] {
      PollInto(*first, values);
      PollInto(*second, values);
      return reached();
    });
  };
  first->subscribe({topic});
  poll_until("the first has all", [&] { return Assigned(*first).size() == kGroupPartitions; });
  second->subscribe({topic});
  poll_until("each has half", [&] {
    return Assigned(*first).size() == kGroupPartitions / 2 &&
           Assigned(*second).size() == kGroupPartitions / 2;
  });
  std::set<int> both = Assigned(*first);
  both.merge(Assigned(*second));
  Expect(both.size() == kGroupPartitions, "a partition is assigned twice");
  const auto producer = MakeProducer(context, {});
  const auto produce_and_read = [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      Produce(*producer, topic, static_cast<int>(n % kGroupPartitions),
              {0, std::nullopt, std::to_string(n), {}});
    }
    Flush(*producer);
    poll_until("all are read", [&] { return values.size() >= end; });
    const std::set<std::string> distinct(values.begin(), values.end());
    Expect(values.size() == end && distinct.size() == end, "a record was read twice");
  };
  produce_and_read(0, 400);
  second->unsubscribe();
  poll_until("the first has all again", [&] { return Assigned(*first).size() == kGroupPartitions; });
  // Anything that the second had read and is read again comes before these. A cooperative member of
  // librdkafka 2.0 begins where it had been itself before it gave a partition up, whatever was committed.
  if (assignor != "cooperative-sticky") produce_and_read(400, 800);
  second->close();
  first->close();
}

void CheckResume(const Context& context) {
  const std::string topic = context.prefix + "-none";
  const Settings settings = {{"group.id", context.prefix + "-resume"}};
  const auto next_offset = [&](RdKafka::KafkaConsumer& consumer) {
    std::int64_t offset = -1;
    Until("a record", [&] {
      const std::unique_ptr<RdKafka::Message> message(consumer.consume(100));
      if (message->err() == RdKafka::ERR_NO_ERROR) offset = message->offset();
      return offset >= 0;
    });
    return offset;
  };
  const auto before = MakeConsumer(context, settings);
  before->subscribe({topic});
  for (int n = 0; n < 5; ++n) Expect(next_offset(*before) == n, "not from the beginning");
  Expect(before->commitSync() == RdKafka::ERR_NO_ERROR, "commit failed");
  before->close();
  const auto after = MakeConsumer(context, settings);
  after->subscribe({topic});
  Expect(next_offset(*after) == 5, "does not go on where it was");
  after->close();
}

void CheckTransactions(const Context& context) {
  const char* kind = std::getenv("HEADRACE_BROKER_KIND");
  if (kind == nullptr || kind != std::string("headrace")) throw Skipped("this broker has transactions");
  const auto producer = MakeProducer(context, {{"transactional.id", context.prefix}});
  const auto start = std::chrono::steady_clock::now();
  const std::unique_ptr<RdKafka::Error> error(producer->init_transactions(15'000));
  Expect(error != nullptr, "not refused");
  Expect(error->code() == RdKafka::ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
         "refused with " + error->name());
  Expect(std::chrono::steady_clock::now() - start < std::chrono::seconds(5),
         "refused, but only after a wait");
}

struct Check {
  std::string name;
  std::function<void(const Context&)> run;
};

std::vector<Check> AllChecks() {
  std::vector<Check> all = {{"metadata", CheckMetadata}};
  for (const char* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    all.push_back({codec, [codec](const Context& context) { CheckCodec(context, codec); }});
  }
  const Settings idempotent = {{"enable.idempotence", "true"}, {"max.in.flight", "5"}, {"linger.ms", "1"}};
  all.push_back(
      {"order", [](const Context& context) { CheckOrder(context, "order", {{"max.in.flight", "1"}}); }});
  all.push_back(
      {"idempotent", [=](const Context& context) { CheckOrder(context, "idempotent", idempotent); }});
  all.push_back({"acks", CheckAcks});
  all.push_back({"by_time", CheckByTime});
  for (const char* assignor : {"range", "roundrobin", "cooperative-sticky"}) {
    all.push_back({std::string("group_") + assignor,
                   [assignor](const Context& context) { CheckGroup(context, assignor); }});
  }
  all.push_back({"resume", CheckResume});
  all.push_back({"topics", CheckTopics});
  all.push_back({"configs", CheckConfigs});
  all.push_back({"delete_records", CheckDeleteRecords});
  all.push_back({"offsets_admin", CheckOffsetsAdmin});
  all.push_back({"groups_admin", CheckGroupsAdmin});
  all.push_back({"transactions", CheckTransactions});
  return all;
}

bool Run(const Check& check, const Context& context) {
  try {
    check.run(context);
    std::cout << "ok " << check.name << std::endl;
  } catch (const Skipped& reason) {
    std::cout << "skipped " << check.name << " " << reason.what() << std::endl;
  } catch (const std::exception& error) {
    std::cout << "failed " << check.name << " " << error.what() << std::endl;
    return false;
  }
  return true;
}

}  // namespace
}  // namespace checks

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: checks BROKER RECORDS_FILE PREFIX\n";
    return 2;
  }
  const checks::Context context{argv[1], checks::ReadRecords(argv[2]), argv[3]};
  bool good = true;
  for (const checks::Check& check : checks::AllChecks()) good = checks::Run(check, context) && good;
  return good ? 0 : 1;
}
