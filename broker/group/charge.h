// Bytes that groups hold, counted where they are held.
#pragma once

#include <cstddef>

namespace headrace::group {

// A share of a sum of bytes, given back when its holder goes. The sum outlives it; one lock guards both.
class Charge {
 public:
  explicit Charge(std::size_t& sum) : sum_(sum) {}
  ~Charge() { Set(0); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  std::size_t size() const { return size_; }
  void Set(std::size_t size) {
    sum_ -= size_;
    sum_ += size;
    size_ = size;
  }

 private:
  std::size_t& sum_;
  std::size_t size_ = 0;
};

}  // namespace headrace::group
