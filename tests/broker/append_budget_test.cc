#include "broker/topic/append_budget.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <thread>

#include "protocol/core/error_code.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using Catch::Contains;
using headrace::testing::FaultyTopics;
using headrace::testing::MakeBatch;
using topic::AppendBudget;

namespace {

const std::string kValue(50'000, 'v');
constexpr std::size_t kFitting = (1 << 20) / 50'000;  // into the budget of FaultyTopics

FaultyTopics::Outcome Produce(topic::Partition& partition, std::vector<std::byte> batch) {
  auto promise = std::make_shared<std::promise<FaultyTopics::Result>>();
  FaultyTopics::Outcome outcome = promise->get_future();
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(batch));
  topic::AppendRequest request;
  request.bytes = *owner;
  request.owner = std::move(owner);
  request.done = [promise](const FaultyTopics::Result& result) {
    promise->set_value(headrace::testing::OfItsOwn(result));
  };
  partition.Produce(std::move(request));
  return outcome;
}

// Waits until `condition` holds; false if it does not in time.
template <typename Condition>
bool Eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return condition();
}

}  // namespace

TEST_CASE("AppendBudget: what does not fit is refused, until what was taken is given back") {
  AppendBudget budget(100'000);
  {
    const auto first = budget.Take(60'000);
    REQUIRE(first.ok());
    CHECK(budget.taken() >= 60'000);
    const auto second = budget.Take(60'000);
    CHECK(CodeOf(second.status()) == ErrorCode::kThrottlingQuotaExceeded);
    CHECK(IsRetriable(CodeOf(second.status())));
    CHECK_THAT(std::string(MessageOf(second.status())), Contains(std::to_string(budget.taken())) &&
                                                            Contains("100000") &&
                                                            Contains("request_memory_max"));
    CHECK(budget.Take(10'000).ok());
  }
  CHECK(budget.taken() == 0);
  CHECK(budget.Take(60'000).ok());
}

TEST_CASE("AppendBudget: the smallest batches cost something, and one may always have room") {
  AppendBudget budget(1);
  const auto alone = budget.Take(1 << 20);
  CHECK(alone.ok());
  CHECK_FALSE(budget.Take(0).ok());
}

TEST_CASE("Partition: batches that wait for a disk that stands still are bounded, whoever has sent them") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  auto& gate = topics.HoldSyncs();
  std::vector<FaultyTopics::Outcome> waiting;
  std::optional<FaultyTopics::Result> refused;
  while (!refused && waiting.size() <= kFitting) {
    auto outcome = Produce(*partition, MakeBatch({kValue}));
    if (FaultyTopics::IsReady(outcome)) {
      refused = outcome.get();
    } else {
      waiting.push_back(std::move(outcome));
    }
  }
  REQUIRE(refused.has_value());
  CHECK(CodeOf(refused->status()) == ErrorCode::kThrottlingQuotaExceeded);
  CHECK_THAT(std::string(MessageOf(refused->status())), Contains("t-0: "));
  gate.Open();
  for (auto& outcome : waiting) CHECK(outcome.get().ok());
  CHECK(Eventually([&] { return topics.budget.taken() == 0; }));  // a moment after the outcomes are told
  CHECK(Produce(*partition, MakeBatch({kValue})).get().ok());
}

TEST_CASE("Partition: what is small as sent and large as it waits counts as it waits") {
  FaultyTopics topics;
  const auto partition = topics.Create({{"compression.type", "uncompressed"}});
  auto& gate = topics.HoldSyncs();
  testing::BatchOptions options;
  options.compression = Compression::kLz4;
  std::vector<FaultyTopics::Outcome> outcomes;
  for (std::size_t i = 0; i < 3 * kFitting; ++i) {
    outcomes.push_back(Produce(*partition, MakeBatch({kValue}, options)));
  }
  const auto ready = [](const FaultyTopics::Outcome& outcome) { return FaultyTopics::IsReady(outcome); };
  const auto refused = [&] { return std::count_if(outcomes.begin(), outcomes.end(), ready); };
  CHECK(Eventually([&] { return static_cast<std::size_t>(refused()) >= 2 * kFitting; }));
  gate.Open();
}
