#include <iostream>

#include "headrace/producer.h"

int main() {
  auto producer = headrace::Producer::Connect("127.0.0.1:9092", "hello");
  if (producer) static_cast<void>(producer->Send("greeting", "Hello, wheel!"));
  const headrace::Result<void> sent = producer ? producer->Close() : producer.error();
  std::cout << (sent ? "sent" : sent.error().message) << '\n';
}
