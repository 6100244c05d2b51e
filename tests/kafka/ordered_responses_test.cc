#include "broker/kafka/ordered_responses.h"

#include <catch2/catch.hpp>

using namespace headrace;
using kafka::OrderedResponses;

namespace {

// Writes down what a session does with its connection.
class RecordingChannel final : public net::Channel {
 public:
  void Send(net::Response response) override {
    events.push_back("sent " + std::get<std::string>(response.pieces.at(0)));
  }
  void FinishRequest(std::size_t size) override { events.push_back("silent " + std::to_string(size)); }
  std::size_t WaitingBytes() const override { return 0; }
  void Close(std::string_view) override {}
  void Post(std::function<void()>) override {}
  core::TimerId StartTimer(std::chrono::steady_clock::time_point, std::function<void()>) override {
    return 0;
  }
  void CancelTimer(core::TimerId) override {}
  std::uint64_t id() const override { return 0; }
  const std::string& peer() const override { return text_; }
  const std::string& local_host() const override { return text_; }
  std::uint16_t local_port() const override { return 0; }
  void SetClientId(std::string) override {}

  std::vector<std::string> events;

 private:
  std::string text_;
};

net::Response Saying(const std::string& text) {
  net::Response response;
  response.pieces.emplace_back(text);
  return response;
}

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("OrderedResponses: answers wait for those before them, in whatever order they come") {
  const auto channel = std::make_shared<RecordingChannel>();
  OrderedResponses responses(channel);
  const auto first = responses.Open();
  const auto second = responses.Open();
  const auto third = responses.Open();
  responses.Complete(third, Saying("3"));
  responses.CompleteSilently(second, 20);
  CHECK(channel->events.empty());
  CHECK(responses.held_bytes() == 1);
  responses.Complete(first, Saying("1"));
  CHECK(channel->events == Events{"sent 1", "silent 20", "sent 3"});
  CHECK(responses.held_bytes() == 0);
  const auto fourth = responses.Open();
  responses.Complete(fourth, Saying("4"));
  CHECK(channel->events.back() == "sent 4");
}
