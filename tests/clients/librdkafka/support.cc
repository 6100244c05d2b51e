#include <fstream>
#include <sstream>

#include "tests/clients/librdkafka/checks.h"

namespace checks {
namespace {

int Nibble(char digit) {
  return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

std::optional<std::string> FromHex(const std::string& text) {
  if (text == "-") return std::nullopt;
  std::string bytes;
  for (std::size_t n = 0; n + 1 < text.size(); n += 2) {
    bytes += static_cast<char>(Nibble(text[n]) * 16 + Nibble(text[n + 1]));
  }
  return bytes;
}

Record ParseLine(const std::string& line) {
  std::istringstream fields(line);
  std::string timestamp, key, value, packed, header;
  std::getline(fields, timestamp, '\t');
  std::getline(fields, key, '\t');
  std::getline(fields, value, '\t');
  std::getline(fields, packed, '\t');
  Record record{std::stoll(timestamp), FromHex(key), FromHex(value), {}};
  std::istringstream headers(packed);
  while (std::getline(headers, header, ',')) {
    const std::size_t equals = header.find('=');
    record.headers.emplace_back(header.substr(0, equals), FromHex(header.substr(equals + 1)));
  }
  return record;
}

std::optional<std::string> Bytes(const void* data, std::size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string(static_cast<const char*>(data), size);
}

Record FromMessage(RdKafka::Message& message) {
  // An empty key is a pointer with length 0, a null key is no pointer.
  Record record{message.timestamp().timestamp,
                Bytes(message.key_pointer(), message.key_len()),
                Bytes(message.payload(), message.len()),
                {}};
  if (RdKafka::Headers* headers = message.headers(); headers != nullptr) {
    for (const RdKafka::Headers::Header& each : headers->get_all()) {
      record.headers.emplace_back(each.key(), Bytes(each.value(), each.value_size()));
    }
  }
  return record;
}

// The deliveries of one producer; it lives as long as the program, as a producer may call it until it is
// gone.
class Deliveries : public RdKafka::DeliveryReportCb {
 public:
  void dr_cb(RdKafka::Message& message) override {
    if (message.err() != RdKafka::ERR_NO_ERROR && first_error_.empty()) first_error_ = message.errstr();
  }
  std::string TakeError() { return std::exchange(first_error_, ""); }

 private:
  std::string first_error_;
};

Deliveries deliveries;

}  // namespace

std::vector<Record> ReadRecords(const std::string& path) {
  std::ifstream file(path);
  std::vector<Record> records;
  for (std::string line; std::getline(file, line);) records.push_back(ParseLine(line));
  Expect(!records.empty(), "no records in " + path);
  return records;
}

void Expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

void Until(const std::string& what, const std::function<bool()>& step, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!step()) {
    Expect(std::chrono::steady_clock::now() < deadline,
           "not within " + std::to_string(seconds) + " s: " + what);
  }
}

std::unique_ptr<RdKafka::Conf> MakeConf(const Context& context, const Settings& settings) {
  std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string error;
  Settings all = {{"bootstrap.servers", context.broker}};
  all.insert(all.end(), settings.begin(), settings.end());
  for (const auto& [name, value] : all) {
    Expect(conf->set(name, value, error) == RdKafka::Conf::CONF_OK, error);
  }
  return conf;
}

std::unique_ptr<RdKafka::Producer> MakeProducer(const Context& context, const Settings& settings) {
  std::string error;
  const std::unique_ptr<RdKafka::Conf> conf = MakeConf(context, settings);
  Expect(conf->set("dr_cb", &deliveries, error) == RdKafka::Conf::CONF_OK, error);
  std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), error));
  Expect(producer != nullptr, error);
  return producer;
}

std::unique_ptr<RdKafka::KafkaConsumer> MakeConsumer(const Context& context, const Settings& settings) {
  std::string error;
  Settings all = {{"auto.offset.reset", "earliest"},
                  {"enable.auto.commit", "false"},
                  {"group.id", "none"},
                  {"heartbeat.interval.ms", "300"},
                  {"session.timeout.ms", "6000"},
                  {"fetch.wait.max.ms", "100"},
                  {"topic.metadata.refresh.interval.ms", "1000"}};
  all.insert(all.end(), settings.begin(), settings.end());
  const std::unique_ptr<RdKafka::Conf> conf = MakeConf(context, all);
  std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), error));
  Expect(consumer != nullptr, error);
  return consumer;
}

void Produce(RdKafka::Producer& producer, const std::string& topic, int partition, const Record& record) {
  std::unique_ptr<RdKafka::Headers> headers(RdKafka::Headers::create());
  for (const auto& [name, value] : record.headers) {
    headers->add(name, value ? value->data() : nullptr, value ? value->size() : 0);
  }
  void* value = record.value ? const_cast<char*>(record.value->data()) : nullptr;
  const char* key = record.key ? record.key->data() : nullptr;
  const RdKafka::ErrorCode error = producer.produce(
      topic, partition, RdKafka::Producer::RK_MSG_COPY, value, record.value ? record.value->size() : 0, key,
      record.key ? record.key->size() : 0, record.timestamp_ms, headers.get(), nullptr);
  Expect(error == RdKafka::ERR_NO_ERROR, "produce: " + RdKafka::err2str(error));
  static_cast<void>(headers.release());  // taken by what is now queued
  producer.poll(0);
}

void Flush(RdKafka::Producer& producer) {
  const RdKafka::ErrorCode error = producer.flush(20'000);
  Expect(error == RdKafka::ERR_NO_ERROR, "flush: " + RdKafka::err2str(error));
  const std::string refused = deliveries.TakeError();
  Expect(refused.empty(), "delivery: " + refused);
}

std::vector<Record> Read(const Context& context, const std::string& topic, int partition, std::int64_t offset,
                         std::size_t count) {
  const auto consumer = MakeConsumer(context, {});
  const std::unique_ptr<RdKafka::TopicPartition> where(
      RdKafka::TopicPartition::create(topic, partition, offset));
  consumer->assign({where.get()});
  std::vector<Record> found;
  Until(std::to_string(count) + " records of " + topic, [&] {
    const std::unique_ptr<RdKafka::Message> message(consumer->consume(100));
    if (message->err() == RdKafka::ERR_NO_ERROR) found.push_back(FromMessage(*message));
    return found.size() >= count;
  });
  consumer->close();
  return found;
}

}  // namespace checks
