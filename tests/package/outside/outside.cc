// Sends a message to a broker and reads it back, with nothing but the installed library.
#include <headrace/admin.h>
#include <headrace/client.h>
#include <headrace/consumer.h>
#include <headrace/producer.h>
#include <headrace/result.h>

#include <chrono>
#include <iostream>
#include <string>

namespace {

int Fail(const std::string& what, const headrace::Error& error) {
  std::cerr << what << ": " << error.message << " (" << error.code << ")\n";
  return 1;
}

int Send(const std::string& broker, const std::string& topic) {
  auto producer = headrace::Producer::Connect(broker, topic);
  if (!producer) return Fail("connecting the producer", producer.error());
  if (auto sent = producer->Send("key", "value"); !sent) return Fail("sending", sent.error());
  if (auto closed = producer->Close(); !closed) return Fail("closing the producer", closed.error());
  return 0;
}

int Receive(const std::string& broker, const std::string& topic) {
  headrace::ConsumerOptions options;
  options.stop_at_end = true;
  auto consumer = headrace::Consumer::Connect(broker, topic, options);
  if (!consumer) return Fail("connecting the consumer", consumer.error());
  int received = 0;
  for (const headrace::Record& record : *consumer) {
    if (record.key != "key" || record.value != "value") {
      std::cerr << "a record that was not sent at offset " << record.offset << "\n";
      return 1;
    }
    ++received;
  }
  if (consumer->error()) return Fail("receiving", *consumer->error());
  std::cout << "received " << received << " of 1\n";
  return received == 1 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: outside HOST:PORT TOPIC\n";
    return 2;
  }
  const std::string broker = argv[1];
  const std::string topic = argv[2];
  auto admin = headrace::Admin::Connect(broker);
  if (!admin) return Fail("connecting", admin.error());
  if (auto created = admin->CreateTopic(topic); !created) return Fail("creating the topic", created.error());
  const int sent = Send(broker, topic);
  return sent != 0 ? sent : Receive(broker, topic);
}
