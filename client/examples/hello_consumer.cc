#include <iostream>

#include "headrace/consumer.h"

int main(int argc, char** argv) {
  auto consumer = headrace::Consumer::Connect(argc > 1 ? argv[1] : "127.0.0.1:9092", "hello");
  if (!consumer) return std::cerr << consumer.error().message << '\n', 1;
  for (const headrace::Record& record : *consumer) {
    std::cout << record.offset << ": " << record.value.value_or("(null)") << std::endl;
  }
  if (consumer->error()) return std::cerr << consumer->error()->message << '\n', 1;
}
