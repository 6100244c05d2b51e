#include "broker/kafka/fetch_session.h"

#include <catch2/catch.hpp>

#include "tests/support/fake_clock.h"

using namespace headrace;
using namespace headrace::kafka;
using testing::FakeClock;

namespace {

FetchRequest Request(std::int32_t session, std::int32_t epoch, const std::vector<std::string>& topics = {},
                     PartitionId partitions = 1) {
  FetchRequest request;
  request.session_id = session;
  request.session_epoch = epoch;
  for (const std::string& name : topics) {
    FetchRequest::Topic& topic = request.topics.emplace_back();
    topic.name = name;
    for (PartitionId i = 0; i < partitions; ++i) topic.partitions.emplace_back().index = i;
  }
  return request;
}

std::vector<std::string> TopicsOf(const FetchSession& session) {
  std::vector<std::string> topics;
  for (const FetchEntry& entry : session.entries) topics.push_back(entry.topic);
  return topics;
}

// The id of the session that a full fetch was given, or 0.
std::int32_t OpenOne(FetchSessions& sessions, const FetchRequest& request) {
  auto session = sessions.Take(request, false);
  REQUIRE(session.ok());
  const std::int32_t id = (*session)->id;
  sessions.Return(*std::move(session));
  return id;
}

using Topics = std::vector<std::string>;

}  // namespace

TEST_CASE("FetchSessions: a full fetch is kept only if the client asks for it") {
  FakeClock clock;
  FetchSessions sessions(clock);
  auto once = sessions.Take(Request(0, -1, {"a"}), false);
  REQUIRE(once.ok());
  CHECK_FALSE((*once)->is_kept());
  sessions.Return(*std::move(once));
  CHECK(sessions.size() == 0);
  auto kept = sessions.Take(Request(0, 0, {"a"}), false);
  REQUIRE(kept.ok());
  CHECK((*kept)->is_kept());
  CHECK_FALSE((*kept)->incremental);
  CHECK(sessions.size() == 1);
}

TEST_CASE("FetchSessions: later requests add, replace and forget partitions, in the order of turns") {
  FakeClock clock;
  FetchSessions sessions(clock);
  auto session = sessions.Take(Request(0, 0, {"a", "b", "c"}), false);
  const std::int32_t id = (*session)->id;
  (*session)->MoveToEnd((*session)->entries.begin());
  sessions.Return(*std::move(session));
  FetchRequest next = Request(id, 1, {"d", "b"});
  next.topics[1].partitions[0].fetch_offset = 42;
  next.forgotten_topics.push_back({"c", {}, {0}});
  session = sessions.Take(next, false);
  REQUIRE(session.ok());
  CHECK((*session)->incremental);
  CHECK(TopicsOf(**session) == Topics{"b", "a", "d"});
  CHECK((*session)->entries.front().asked.fetch_offset == 42);
}

TEST_CASE("FetchSessions: a wrong epoch, a strange id and another way of naming are refused") {
  FakeClock clock;
  FetchSessions sessions(clock);
  auto session = sessions.Take(Request(0, 0, {"a"}), false);
  const std::int32_t id = (*session)->id;
  // A second request while the first is in progress.
  CHECK(CodeOf(sessions.Take(Request(id, 1), false).status()) == ErrorCode::kInvalidFetchSessionEpoch);
  sessions.Return(*std::move(session));
  CHECK(CodeOf(sessions.Take(Request(id, 2), false).status()) == ErrorCode::kInvalidFetchSessionEpoch);
  CHECK(CodeOf(sessions.Take(Request(id ^ 1, 1), false).status()) == ErrorCode::kFetchSessionIdNotFound);
  CHECK(CodeOf(sessions.Take(Request(id, 1), true).status()) == ErrorCode::kFetchSessionTopicIdError);
  CHECK(sessions.Take(Request(id, 1), false).ok());
}

TEST_CASE("FetchSessions: closing one, and forgetting its last partition, ends it") {
  FakeClock clock;
  FetchSessions sessions(clock);
  auto session = sessions.Take(Request(0, 0, {"a"}), false);
  const std::int32_t id = (*session)->id;
  sessions.Return(*std::move(session));
  FetchRequest last = Request(id, 1);
  last.forgotten_topics.push_back({"a", {}, {0}});
  session = sessions.Take(last, false);
  REQUIRE(session.ok());
  CHECK_FALSE((*session)->is_kept());
  CHECK(sessions.size() == 0);
  session = sessions.Take(Request(0, 0, {"a"}), false);
  const std::int32_t second = (*session)->id;
  sessions.Return(*std::move(session));
  CHECK(sessions.Take(Request(second, -1, {"a"}), false).ok());
  CHECK(sessions.size() == 0);
}

TEST_CASE("FetchSessions: when they are full, only one that was idle gives way") {
  FakeClock clock;
  FetchSessions sessions(clock);
  const auto open = [&] {
    auto session = sessions.Take(Request(0, 0, {"a"}), false);
    const bool kept = (*session)->is_kept();
    sessions.Return(*std::move(session));
    return kept;
  };
  for (std::size_t i = 0; i < FetchSessions::kSessionsMax; ++i) REQUIRE(open());
  CHECK_FALSE(open());
  clock.Advance(FetchSessions::kIdleTime + std::chrono::seconds(1));
  CHECK(open());
  CHECK(sessions.size() == FetchSessions::kSessionsMax);
  auto large = sessions.Take(
      Request(0, 0, {"large"}, static_cast<PartitionId>(FetchSessions::kEntriesMax + 1)), false);
  REQUIRE(large.ok());
  CHECK_FALSE((*large)->is_kept());
}

TEST_CASE(
    "FetchSessions: one that grows beyond the room for all is closed, and its client told to start anew") {
  FakeClock clock;
  FetchSessions sessions(clock);
  const auto rest = static_cast<PartitionId>(FetchSessions::kEntriesMax - 10);
  const std::int32_t large = OpenOne(sessions, Request(0, 0, {"large"}, rest));
  const std::int32_t small = OpenOne(sessions, Request(0, 0, {"a"}, 5));
  REQUIRE((large != 0 && small != 0));
  // Up to the last place, and not beyond it.
  auto session = sessions.Take(Request(small, 1, {"b"}, 5), false);
  REQUIRE(session.ok());
  sessions.Return(*std::move(session));
  const auto beyond = sessions.Take(Request(small, 2, {"c"}), false);
  CHECK(CodeOf(beyond.status()) == ErrorCode::kFetchSessionIdNotFound);
  CHECK(sessions.size() == 1);
  // Its places are free again.
  CHECK(OpenOne(sessions, Request(0, 0, {"a"}, 10)) != 0);
  CHECK(OpenOne(sessions, Request(0, 0, {"a"})) == 0);
}

TEST_CASE("FetchSessions: names that no topic can have are not kept") {
  FakeClock clock;
  FetchSessions sessions(clock);
  const std::string name(250, 'x');
  CHECK(OpenOne(sessions, Request(0, 0, {name})) == 0);
  const std::int32_t id = OpenOne(sessions, Request(0, 0, {"a"}));
  CHECK(CodeOf(sessions.Take(Request(id, 1, {name}), false).status()) == ErrorCode::kFetchSessionIdNotFound);
}
