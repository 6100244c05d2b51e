#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <thread>

#include "headrace/consumer.h"
#include "tests/support/fake_broker.h"

namespace headrace {
namespace {

using std::chrono::milliseconds;
using test::FakeBroker;
using Committed = std::map<std::pair<std::string, std::uint32_t>, std::int64_t>;
using Kind = GroupChange::Kind;

constexpr milliseconds kLong{20'000};

ClientOptions To(const FakeBroker& broker) {
  ClientOptions options(broker.address());
  options.backoff_min = milliseconds(1);
  options.backoff_max = milliseconds(10);
  return options;
}

// A member with a log of what its callback heard and of what it was handed. Not moved once connected.
struct Member {
  explicit Member(const FakeBroker& broker, ConsumerOptions options = {}) {
    options.group = "billing";
    options.on_change = [this, told = options.on_change](Consumer& at, const GroupChange& change) {
      const std::set<std::uint32_t> partitions(change.partitions.begin(), change.partitions.end());
      changes.emplace_back(change.kind, partitions);
      for (const std::uint32_t partition : partitions) {
        if (change.kind == Kind::kAssigned) owned.insert(partition);
        if (change.kind != Kind::kAssigned) owned.erase(partition);
      }
      if (told) told(at, change);
    };
    Result<Consumer> connected = Consumer::Connect(To(broker), "orders", options);
    if (!connected) FAIL(connected.error().message);
    consumer.emplace(std::move(*connected));
  }

  // Polls once for a short while; what came is in `seen`.
  void Poll(milliseconds wait = milliseconds(5)) {
    const Result<Records> records = consumer->Poll(wait);
    if (!records) FAIL(records.error().message);
    for (const Record& record : *records) {
      if (!owned.contains(record.partition)) stray = true;
      seen[record.partition].push_back(record.offset);
    }
  }
  std::size_t count() const {
    std::size_t records = 0;
    for (const auto& [partition, offsets] : seen) records += offsets.size();
    return records;
  }

  std::vector<std::pair<Kind, std::set<std::uint32_t>>> changes;
  std::set<std::uint32_t> owned;
  std::map<std::uint32_t, std::vector<std::int64_t>> seen;
  bool stray = false;  // a record of a partition that was not owned
  std::optional<Consumer> consumer;
};

// Lets the members poll until the condition holds.
template <typename Condition>
void PollUntil(std::initializer_list<Member*> members, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) FAIL("the condition did not come true");
    for (Member* member : members) member->Poll();
  }
}

ConsumerOptions Manual() {
  ConsumerOptions options;
  options.commit_interval = milliseconds(0);
  return options;
}

void Fill(FakeBroker& broker, std::uint32_t partitions, int count) {
  for (std::uint32_t p = 0; p < partitions; ++p) {
    for (int i = 0; i < count; ++i) broker.Append(p, {"v"});
  }
}

TEST_CASE("Group: a sole member reads every partition, commits with Close, and leaves") {
  FakeBroker broker(3);
  Fill(broker, 3, 4);
  Member one(broker);
  PollUntil({&one}, [&] { return one.count() == 12; });
  CHECK(one.owned == std::set<std::uint32_t>{0, 1, 2});
  CHECK(broker.groups().members("billing") == 1);
  one.consumer->Close();
  CHECK(broker.groups().members("billing") == 0);
  CHECK(broker.committed() == Committed{{{"billing", 0}, 4}, {{"billing", 1}, 4}, {{"billing", 2}, 4}});
  CHECK(one.changes.back() == std::pair(Kind::kRevoked, std::set<std::uint32_t>{0, 1, 2}));
}

TEST_CASE("Group: a start that no partition has is an error, and is never committed") {
  FakeBroker broker;
  broker.Append(0, {"a", "b"});
  ConsumerOptions options;
  options.start = Start::At(77);
  options.stop_at_end = GENERATE(false, true);
  Member one(broker, options);
  Result<Records> records = one.consumer->Poll(kLong);
  while (records && records->empty() && !records->ended) records = one.consumer->Poll(kLong);
  REQUIRE_FALSE(records);
  CHECK(records.error().code == error_number::kOffsetOutOfRange);
  CHECK_THAT(records.error().message, Catch::Contains("0 to 2"));
  REQUIRE(one.consumer->Commit());
  one.consumer->Close();
  CHECK(broker.committed().empty());
}

TEST_CASE("Group: to the end, then by another to the next end") {
  FakeBroker broker(2);
  Fill(broker, 2, 3);
  ConsumerOptions options;
  options.stop_at_end = true;
  for (const std::size_t expected : {6U, 0U, 2U}) {
    Member one(broker, options);
    std::size_t count = 0;
    for (const Record& record : *one.consumer) count += record.value == "v";
    CHECK_FALSE(one.consumer->error());
    CHECK(count == expected);
    one.consumer->Close();
    if (expected == 0) Fill(broker, 2, 1);
  }
}

TEST_CASE("Group: a second member gets its share, and neither skips nor strays") {
  FakeBroker broker(6);
  Fill(broker, 6, 10);
  Member one(broker);
  PollUntil({&one}, [&] { return one.count() >= 20; });
  Member two(broker);
  PollUntil({&one, &two}, [&] { return one.owned.size() == 3 && two.owned.size() == 3; });
  Fill(broker, 6, 10);
  const auto done = [&] {
    for (std::uint32_t p = 0; p < 6; ++p) {
      std::set<std::int64_t> offsets(one.seen[p].begin(), one.seen[p].end());
      offsets.insert(two.seen[p].begin(), two.seen[p].end());
      if (offsets.size() != 20) return false;
    }
    return true;
  };
  PollUntil({&one, &two}, done);
  CHECK_FALSE(one.stray);
  CHECK_FALSE(two.stray);
  // What the first gave up in order was committed before, so the second repeats nothing.
  CHECK(one.count() + two.count() == 120);
  two.consumer->Close();
  PollUntil({&one}, [&] { return one.owned.size() == 6; });
}

TEST_CASE("Group: auto-commit covers what earlier polls have handed out, and no more") {
  FakeBroker broker;
  broker.Append(0, {"a", "b"});
  broker.Append(0, {"c"});
  ConsumerOptions options;
  options.commit_interval = milliseconds(1);
  options.poll_records_max = 2;
  Member one(broker, options);
  PollUntil({&one}, [&] { return one.count() == 2; });
  const auto position = [&] { return broker.committed()[{"billing", 0}]; };
  SECTION("with the next poll the last one is processed") {
    CHECK(position() == 0);
    PollUntil({&one}, [&] { return position() == 3; });
    CHECK(one.count() == 3);
  }
  SECTION("the destructor does not know whether the last poll is processed") {
    one.consumer.reset();
    CHECK(broker.groups().members("billing") == 0);
    CHECK(position() == 0);
  }
  SECTION("Close says that it is") {
    one.consumer->Close();
    CHECK(position() == 2);
  }
}

TEST_CASE("Group: Next commits up to before the record that is being processed") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c"});
  Member one(broker);
  for (std::int64_t expected = 0; expected < 2; ++expected) {
    const Result<const Record*> record = one.consumer->Next(kLong);
    REQUIRE(record);
    REQUIRE(*record != nullptr);
    CHECK((*record)->offset == expected);
  }
  one.consumer.reset();
  CHECK(broker.committed() == Committed{{{"billing", 0}, 1}});
}

TEST_CASE("Group: without auto-commit, the callback is the last moment to commit, and nothing else does") {
  FakeBroker broker(2);
  Fill(broker, 2, 5);
  ConsumerOptions options = Manual();
  const bool commits = GENERATE(true, false);
  Result<void> committed;
  options.on_change = [&](Consumer& consumer, const GroupChange& change) {
    if (commits && change.kind == Kind::kRevoked) committed = consumer.Commit();
  };
  Member one(broker, options);
  PollUntil({&one}, [&] { return one.count() == 10; });
  Member two(broker, Manual());
  PollUntil({&one, &two}, [&] { return two.owned.size() == 1 && one.owned.size() == 1; });
  CHECK(committed.ok());
  CHECK(broker.committed().empty() != commits);
  const std::uint32_t passed = *two.owned.begin();
  if (!commits) PollUntil({&one, &two}, [&] { return two.seen[passed].size() == 5; });
  CHECK(two.seen[passed].size() == (commits ? 0 : 5));
}

TEST_CASE("Group: records that wait when their partition is revoked are not handed out") {
  FakeBroker broker(2);
  Fill(broker, 2, 50);
  ConsumerOptions options;
  options.poll_records_max = 1;
  Member one(broker, options);
  PollUntil({&one}, [&] { return one.count() == 1; });
  Member two(broker);
  // The second's share comes only once the first has polled; from then on it hands out nothing of it.
  PollUntil({&one, &two}, [&] { return two.owned.size() == 1; });
  PollUntil({&one, &two}, [&] { return one.count() + two.count() >= 100; });
  CHECK_FALSE(one.stray);
  CHECK(one.count() + two.count() == 100);
}

TEST_CASE("Group: a commit of what is another's by now is refused") {
  FakeBroker broker(2);
  Member one(broker, Manual());
  PollUntil({&one}, [&] { return one.owned.size() == 2; });
  REQUIRE(one.consumer->Commit(1, 0));
  Member two(broker);
  PollUntil({&one, &two}, [&] { return one.owned.size() == 1; });
  const std::uint32_t mine = *one.owned.begin();
  CHECK(one.consumer->Commit(mine, 0));
  CHECK(one.consumer->Commit(1 - mine, 0).error().code == error_number::kUnknownMemberId);
  CHECK(one.consumer->position(1 - mine) == -1);
}

TEST_CASE("Group: members removed by an administrator commit nothing, and begin where the group was moved") {
  FakeBroker broker(2);
  Fill(broker, 2, 10);
  ConsumerOptions options;
  options.commit_interval = milliseconds(1);
  Member one(broker, options);
  PollUntil({&one}, [&] { return one.count() == 20; });
  broker.SetCommitted("billing", 0, 7);
  broker.SetCommitted("billing", 1, 9);
  broker.groups().RemoveMembers("billing");
  PollUntil({&one}, [&] { return one.count() == 24; });
  CHECK(one.seen[0] == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9});
  CHECK(one.seen[1] == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9});
  REQUIRE(one.changes.size() >= 3);
  CHECK(one.changes[1] == std::pair(Kind::kLost, std::set<std::uint32_t>{0, 1}));
  CHECK(broker.groups().members("billing") == 1);
}

TEST_CASE("Group: a lost connection does not end the membership") {
  FakeBroker broker(2);
  Fill(broker, 2, 5);
  Member one(broker);
  PollUntil({&one}, [&] { return one.count() == 10; });
  for (int i = 0; i < 5; ++i) {
    broker.DropConnections();
    Fill(broker, 2, 1);
    const std::size_t expected = 10 + 2 * (static_cast<std::size_t>(i) + 1);
    PollUntil({&one}, [&] { return one.count() == expected; });
  }
  CHECK(one.changes.size() == 1);
  CHECK(broker.groups().members("billing") == 1);
}

TEST_CASE("Group: a broker that has forgotten its groups is joined again, and reading goes on") {
  FakeBroker broker(2);
  Fill(broker, 2, 5);
  Member one(broker);
  PollUntil({&one}, [&] { return one.count() == 10; });
  REQUIRE(one.consumer->Commit());
  broker.Stop();
  broker.groups().Forget();
  broker.Start();
  PollUntil({&one}, [&] { return one.changes.size() == 3; });
  Fill(broker, 2, 1);
  PollUntil({&one}, [&] { return one.count() == 12; });
  CHECK(one.changes[1] == std::pair(Kind::kLost, std::set<std::uint32_t>{0, 1}));
}

TEST_CASE("Group: a static member that comes back within the session disturbs nobody") {
  FakeBroker broker(4);
  ConsumerOptions options;
  options.instance_id = "one";
  Member one(broker, options);
  Member two(broker);
  PollUntil({&one, &two}, [&] { return one.owned.size() == 2 && two.owned.size() == 2; });
  ConsumerOptions taken = options;
  taken.group = "billing";
  CHECK(Consumer::Connect(To(broker), "orders", taken).error().code == error_number::kUnreleasedInstanceId);
  const std::set<std::uint32_t> before = one.owned;
  const std::size_t changes = two.changes.size();
  one.consumer->Close();
  Member again(broker, options);
  PollUntil({&again, &two}, [&] { return again.owned.size() == 2 && broker.groups().IsStable("billing"); });
  CHECK(again.owned == before);
  CHECK(two.changes.size() == changes);
}

TEST_CASE("Group: who does not poll leaves, and the next poll joins again") {
  FakeBroker broker(2);
  Fill(broker, 2, 3);
  ConsumerOptions options;
  options.max_poll_interval = milliseconds(50);
  Member one(broker, options);
  PollUntil({&one}, [&] { return one.count() == 6; });
  Member two(broker);
  PollUntil({&two}, [&] { return two.owned.size() == 2; });  // the first does not poll any more
  CHECK(broker.groups().members("billing") == 1);
  PollUntil({&one, &two}, [&] { return one.owned.size() == 1 && two.owned.size() == 1; });
  CHECK(one.changes[1].first == Kind::kLost);
}

TEST_CASE("Group: nothing committed and the end asked for: where it began is kept from the start") {
  FakeBroker broker;
  Fill(broker, 1, 5);
  ConsumerOptions options;
  options.start = Start::End();
  Member one(broker, options);
  PollUntil({&one}, [&] { return broker.committed().size() == 1; });
  CHECK(broker.committed() == Committed{{{"billing", 0}, 5}});
}

TEST_CASE("Group: Seek stays within what is assigned, and is what gets committed") {
  FakeBroker broker;
  Fill(broker, 1, 5);
  Member one(broker);
  PollUntil({&one}, [&] { return one.count() == 5; });
  REQUIRE(one.consumer->Seek(0, 2));
  PollUntil({&one}, [&] { return one.count() == 8; });
  REQUIRE(one.consumer->Seek(0, 1));
  one.consumer->Close();
  CHECK(broker.committed() == Committed{{{"billing", 0}, 1}});
}

TEST_CASE("Group: a callback may not poll, and may ask and commit") {
  FakeBroker broker;
  std::optional<Error> refused;
  ConsumerOptions options;
  options.on_change = [&](Consumer& consumer, const GroupChange&) {
    const Result<Records> polled = consumer.Poll(milliseconds(0));
    if (!polled) refused = polled.error();
    CHECK(consumer.position(0) == 0);
    CHECK(consumer.Commit());
  };
  Member one(broker, options);
  PollUntil({&one}, [&] { return one.owned.size() == 1; });
  REQUIRE(refused);
  CHECK(refused->code == error_number::kInvalidRequest);
}

TEST_CASE("Group: options that a member cannot have are refused") {
  FakeBroker broker;
  ConsumerOptions options;
  options.group = "billing";
  SECTION("a name") {
    options.name = "other";
  }
  SECTION("partitions") {
    options.partitions = {0};
  }
  SECTION("offsets") {
    options.offsets = {{0, 1}};
  }
  SECTION("no time to poll") {
    options.max_poll_interval = milliseconds(0);
  }
  CHECK(Consumer::Connect(To(broker), "orders", options).error().code == error_number::kInvalidRequest);
}

TEST_CASE("Group: Close does not wait for a broker that is gone") {
  FakeBroker broker;
  Member one(broker);
  PollUntil({&one}, [&] { return one.owned.size() == 1; });
  broker.Stop();
  const auto begun = std::chrono::steady_clock::now();
  one.consumer->Close(kLong);
  CHECK(std::chrono::steady_clock::now() - begun < kLong / 2);
}

}  // namespace
}  // namespace headrace
