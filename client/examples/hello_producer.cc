#include <iostream>

#include "headrace/producer.h"

int main(int argc, char** argv) {
  auto producer = headrace::Producer::Connect(argc > 1 ? argv[1] : "127.0.0.1:9092", "hello");
  const auto sent = producer ? producer->Send("greeting", "Hello, wheel!") : producer.error();
  const auto closed = sent ? producer->Close() : sent;
  return std::cout << (closed ? "sent" : closed.error().message) << '\n', closed ? 0 : 1;
}
