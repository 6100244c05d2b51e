#include "client/group_member.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"

namespace headrace {
namespace {

using std::chrono::milliseconds;
using Kind = GroupEvent::Kind;
using Partitions = std::vector<std::uint32_t>;

const std::string kTopicId = "0123456789abcdef";

Error ErrorOf(ErrorCode code, bool retriable = false) {
  return {static_cast<int>(code), "refused", retriable};
}

// A member, the broker's side of what it says, and the time.
class Member {
 public:
  explicit Member(GroupMemberOptions options = {}) : member(Filled(std::move(options)), now, MakeIds()) {}

  static GroupMemberOptions Filled(GroupMemberOptions options) {
    options.group = "billing";
    options.topic = "orders";
    options.topic_id = kTopicId;
    return options;
  }

  template <typename T>
  T Expect() {
    const std::optional<GroupMember::Request> request = member.NextRequest(now);
    if (!request || !std::holds_alternative<T>(*request)) FAIL("another request, or none, was due");
    return std::get<T>(*request);
  }
  native::GroupHeartbeatRequest ExpectHeartbeat() { return Expect<native::GroupHeartbeatRequest>(); }
  void ExpectNothing() { CHECK_FALSE(member.NextRequest(now).has_value()); }

  void Answer(std::int32_t epoch, std::optional<Partitions> assigned = {}) {
    native::GroupHeartbeatResponse response;
    response.set_member_epoch(epoch);
    response.set_heartbeat_interval_ms(5'000);
    if (assigned) response.mutable_assignment();
    for (const std::uint32_t partition : assigned.value_or(Partitions())) {
      auto& entry = *response.mutable_assignment()->add_partitions();
      entry.set_topic_id(kTopicId);
      entry.set_partition(partition);
    }
    member.OnAnswer(Result<native::GroupHeartbeatResponse>(response), now);
  }
  void Refuse(const Error& error) { member.OnAnswer(Result<native::GroupHeartbeatResponse>(error), now); }

  // Answers the look-up of positions; every partition ends at 100 and begins at 10.
  void AnswerLookup(const std::map<std::uint32_t, std::int64_t>& committed = {}) {
    const auto asked = Expect<native::FetchOffsetRequest>();
    CHECK(asked.consumer() == "billing");
    native::FetchOffsetResponse positions;
    for (const auto& entry : asked.partitions()) {
      auto& answer = *positions.add_partitions();
      answer.set_partition(entry.partition());
      const auto known = committed.find(entry.partition());
      answer.set_offset(known == committed.end() ? -1 : known->second);
    }
    member.OnAnswer(Result<native::FetchOffsetResponse>(positions), now);
    native::ListOffsetsResponse ranges;
    const auto sought = Expect<native::ListOffsetsRequest>();
    for (const auto& entry : sought.partitions()) {
      const bool start = entry.kind() == native::ListOffsetsRequest::START;
      const bool end = entry.kind() == native::ListOffsetsRequest::END;
      ranges.add_partitions()->set_offset(start ? 10 : end ? 100 : 42);
    }
    member.OnAnswer(Result<native::ListOffsetsResponse>(ranges), now);
  }

  void AnswerCommit(const Result<void>& outcome = {}) {
    native::CommitOffsetResponse response;
    response.add_errors();
    member.OnAnswer(outcome ? Result<native::CommitOffsetResponse>(response)
                            : Result<native::CommitOffsetResponse>(outcome.error()),
                    now);
  }

  GroupEvent Event() {
    const std::optional<GroupEvent> event = member.NextEvent(now);
    if (!event) FAIL("nothing was to be done");
    return *event;
  }
  bool Quiet() { return !member.HasEvent(now) && !member.NextEvent(now).has_value(); }

  // Joins, and holds these partitions.
  void Join(const Partitions& partitions, std::int32_t epoch = 1) {
    ExpectHeartbeat();
    Answer(epoch, partitions);
    if (partitions.empty()) return;
    AnswerLookup();
    CHECK(Event().partitions == partitions);
  }

  TimePoint now{std::chrono::hours(1)};
  GroupMember member;

 private:
  static GroupMember::IdSource MakeIds() {
    return [next = 0]() mutable { return "member-" + std::to_string(++next); };
  }
};

Partitions OwnedBy(const native::GroupHeartbeatRequest& request) {
  Partitions owned;
  for (const auto& entry : request.owned().partitions()) owned.push_back(entry.partition());
  return owned;
}

TEST_CASE("GroupMember: the first heartbeat tells everything, and owns nothing") {
  GroupMemberOptions options;
  options.instance_id = "i-1";
  options.assignor = "range";
  options.max_poll_interval = milliseconds(7'000);
  Member one(options);
  const auto join = one.ExpectHeartbeat();
  CHECK(join.group() == "billing");
  CHECK(join.member_id() == "member-1");
  CHECK(join.member_epoch() == 0);
  CHECK(join.instance_id() == "i-1");
  CHECK(join.assignor() == "range");
  CHECK(join.rebalance_timeout_ms() == 7'000);
  REQUIRE(join.subscription().topics_size() == 1);
  CHECK(join.subscription().topics(0) == "orders");
  CHECK(join.has_owned());
  CHECK(OwnedBy(join).empty());
  one.ExpectNothing();  // until the answer
  one.Answer(3, Partitions{});
  CHECK(one.member.settled());
  one.ExpectNothing();  // until the interval has passed
  CHECK(one.member.NextTime(one.now) == one.now + milliseconds(5'000));
  one.now += milliseconds(5'000);
  const auto next = one.ExpectHeartbeat();
  CHECK(next.member_epoch() == 3);
  CHECK_FALSE(next.has_subscription());
}

TEST_CASE("GroupMember: assigned partitions begin where the group committed, else where Start says") {
  GroupMemberOptions options;
  std::int64_t expected = 10;
  SECTION("the beginning") {}
  SECTION("the end") {
    options.start = Start::End(), expected = 100;
  }
  SECTION("a time") {
    options.start = Start::AtTime(5), expected = 42;
  }
  SECTION("an offset") {
    options.start = Start::At(7), expected = 7;
  }
  SECTION("committed, else the end") {
    options.start = Start::Committed(Start::Kind::kEnd), expected = 100;
  }
  Member one(options);
  one.ExpectHeartbeat();
  one.Answer(1, Partitions{0, 2});
  CHECK_FALSE(one.member.settled());
  CHECK(one.Quiet());  // nothing to do before the positions are known
  one.AnswerLookup({{2, 33}});
  const GroupEvent event = one.Event();
  CHECK(event.kind == Kind::kAssigned);
  REQUIRE(event.points.size() == 2);
  CHECK(event.points[0].offset == expected);
  CHECK(event.points[0].committed == -1);
  CHECK(event.points[1].offset == 33);
  CHECK(event.points[1].high_watermark == 100);
  CHECK(one.member.settled());
  CHECK(one.Quiet());
}

TEST_CASE("GroupMember: a revoked partition is given up by the caller, committed, and only then reported") {
  Member one;
  one.Join({0, 1, 2});
  one.now += milliseconds(5'000);
  CHECK(OwnedBy(one.ExpectHeartbeat()) == Partitions{0, 1, 2});
  one.Answer(1, Partitions{0});
  const GroupEvent event = one.Event();
  CHECK(event.kind == Kind::kRevoked);
  CHECK(event.partitions == Partitions{1, 2});
  one.ExpectNothing();  // the caller is not done
  REQUIRE(one.member.Commit({{1, 50}, {2, 60}}));
  one.member.Release(event.partitions);
  const auto commit = one.Expect<native::CommitOffsetRequest>();
  CHECK(commit.member_id() == "member-1");
  CHECK(commit.member_epoch() == 1);
  CHECK(commit.partitions_size() == 2);
  one.ExpectNothing();  // the commit is not answered
  one.AnswerCommit();
  CHECK(OwnedBy(one.ExpectHeartbeat()) == Partitions{0});
  one.Answer(2);
  CHECK(one.member.settled());
  CHECK(one.Quiet());
}

TEST_CASE(
    "GroupMember: a heartbeat that falls due before the commit is answered still owns what is given up") {
  Member one;
  one.Join({0, 1});
  one.now += milliseconds(5'000);
  one.ExpectHeartbeat();
  one.Answer(1, Partitions{0});
  REQUIRE(one.member.Commit({{1, 50}}));
  one.member.Release({1});
  one.Expect<native::CommitOffsetRequest>();
  one.now += milliseconds(5'000);
  CHECK(OwnedBy(one.ExpectHeartbeat()) == Partitions{0, 1});
  one.AnswerCommit();
  one.ExpectNothing();
  one.Answer(1);
  CHECK(OwnedBy(one.ExpectHeartbeat()) == Partitions{0});
}

TEST_CASE("GroupMember: what was never begun counts as owned, and is given up at once") {
  Member one;
  one.ExpectHeartbeat();
  one.Answer(1, Partitions{0, 1});
  one.AnswerLookup();
  one.now += milliseconds(5'000);
  // The caller may begin while this is under way.
  CHECK(OwnedBy(one.ExpectHeartbeat()) == Partitions{0, 1});
  one.Answer(1, Partitions{0});
  CHECK(OwnedBy(one.ExpectHeartbeat()) == Partitions{0});
  one.Answer(2);
  CHECK(one.Event().partitions == Partitions{0});
}

TEST_CASE("GroupMember: positions asked for a partition that came back meanwhile are asked for again") {
  Member one;
  one.ExpectHeartbeat();
  one.Answer(1, Partitions{0});
  one.Expect<native::FetchOffsetRequest>();
  one.now += milliseconds(5'000);
  one.ExpectHeartbeat();
  one.Answer(1, Partitions{});
  one.ExpectHeartbeat();
  one.Answer(2, Partitions{0});
  native::FetchOffsetResponse old;
  old.add_partitions()->set_offset(5);
  one.member.OnAnswer(Result<native::FetchOffsetResponse>(old), one.now);
  one.AnswerLookup({{0, 77}});
  CHECK(one.Event().points.at(0).offset == 77);
}

TEST_CASE("GroupMember: one the broker does not know loses everything, commits nothing, and joins again") {
  const ErrorCode code = GENERATE(ErrorCode::kUnknownMemberId, ErrorCode::kFencedMemberEpoch);
  Member one;
  one.Join({0, 1});
  one.now += milliseconds(5'000);
  one.ExpectHeartbeat();
  const auto ticket = one.member.Commit({{0, 20}});
  REQUIRE(ticket);
  one.Refuse(ErrorOf(code));
  REQUIRE(one.member.CommitOutcome(*ticket));
  CHECK_FALSE(one.member.CommitOutcome(*ticket)->ok());
  // What the caller still believes to hold, it may not commit, also once it has joined again.
  CHECK(one.member.Commit({{0, 20}}).error().code == error_number::kUnknownMemberId);
  const auto join = one.ExpectHeartbeat();
  CHECK(join.member_epoch() == 0);
  CHECK((join.member_id() == "member-1") == (code == ErrorCode::kFencedMemberEpoch));
  CHECK(join.has_subscription());
  CHECK(OwnedBy(join).empty());
  one.Answer(9, Partitions{0});
  CHECK_FALSE(one.member.Commit({{0, 20}}));
  const GroupEvent lost = one.Event();
  CHECK(lost.kind == Kind::kLost);
  CHECK(lost.partitions == Partitions{0, 1});
  one.AnswerLookup({{0, 15}});
  CHECK(one.Event().points.at(0).offset == 15);
  CHECK(one.member.Commit({{0, 16}}));
}

TEST_CASE("GroupMember: a refused commit makes it ask at once whether it is still known") {
  Member one;
  one.Join({0});
  const auto ticket = one.member.Commit({{0, 20}});
  one.Expect<native::CommitOffsetRequest>();
  one.AnswerCommit(ErrorOf(ErrorCode::kUnknownMemberId));
  CHECK_FALSE(one.member.CommitOutcome(*ticket)->ok());
  one.ExpectHeartbeat();
}

TEST_CASE(
    "GroupMember: a commit with an epoch that is no more waits for the next heartbeat, and is repeated") {
  Member one;
  one.Join({0});
  const auto ticket = one.member.Commit({{0, 20}});
  one.Expect<native::CommitOffsetRequest>();
  one.AnswerCommit(ErrorOf(ErrorCode::kStaleMemberEpoch));
  CHECK_FALSE(one.member.CommitOutcome(*ticket));
  one.ExpectHeartbeat();
  one.ExpectNothing();
  one.Answer(2);
  CHECK(one.Expect<native::CommitOffsetRequest>().member_epoch() == 2);
  one.AnswerCommit();
  CHECK(one.member.CommitOutcome(*ticket)->ok());
}

TEST_CASE(
    "GroupMember: after a lost connection the membership goes on, and an unanswered commit is repeated") {
  Member one;
  one.Join({0, 1}, 4);
  const auto ticket = one.member.Commit({{0, 20}, {1, 30}});
  one.Expect<native::CommitOffsetRequest>();
  REQUIRE(one.member.Commit({{1, 35}}));
  one.member.OnConnectionLost(one.now);
  const auto again = one.ExpectHeartbeat();
  CHECK(again.member_id() == "member-1");
  CHECK(again.member_epoch() == 4);
  CHECK(again.has_subscription());
  CHECK(OwnedBy(again) == Partitions{0, 1});
  one.Answer(4, Partitions{0, 1});
  const auto commit = one.Expect<native::CommitOffsetRequest>();
  REQUIRE(commit.partitions_size() == 2);
  CHECK(commit.partitions(0).offset() == 20);
  CHECK(commit.partitions(1).offset() == 35);
  one.AnswerCommit();
  CHECK(one.member.CommitOutcome(*ticket)->ok());
  CHECK(one.Quiet());
}

TEST_CASE("GroupMember: a lost connection repeats the join under the same id") {
  Member one;
  one.ExpectHeartbeat();
  one.member.OnConnectionLost(one.now);
  const auto join = one.ExpectHeartbeat();
  CHECK(join.member_id() == "member-1");
  CHECK(join.member_epoch() == 0);
}

TEST_CASE("GroupMember: leaves after its last commit is answered; a static member for a while") {
  GroupMemberOptions options;
  const bool is_static = GENERATE(false, true);
  if (is_static) options.instance_id = "i-1";
  Member one(options);
  one.Join({0});
  REQUIRE(one.member.Commit({{0, 20}}));
  one.member.Leave();
  one.Expect<native::CommitOffsetRequest>();
  one.ExpectNothing();
  one.AnswerCommit();
  CHECK(one.ExpectHeartbeat().member_epoch() == (is_static ? -2 : -1));
  CHECK_FALSE(one.member.left());
  one.Answer(-1);
  CHECK(one.member.left());
  one.ExpectNothing();
}

TEST_CASE("GroupMember: leaving ends with the connection, and with a broker that does not know it") {
  Member one;
  one.Join({0});
  one.member.Leave();
  SECTION("the connection is lost") {
    one.member.OnConnectionLost(one.now);
  }
  SECTION("the farewell is refused") {
    one.ExpectHeartbeat();
    one.Refuse(ErrorOf(ErrorCode::kUnknownMemberId));
  }
  CHECK(one.member.left());
}

TEST_CASE("GroupMember: leaving while a heartbeat is under way and the member is given up ends it") {
  Member one;
  one.Join({0});
  one.now += milliseconds(5'000);
  one.ExpectHeartbeat();
  one.member.Leave();
  one.Refuse(ErrorOf(ErrorCode::kFencedMemberEpoch));
  CHECK(one.member.left());
}

TEST_CASE("GroupMember: who does not poll leaves, loses everything, and joins again with the next poll") {
  GroupMemberOptions options;
  options.max_poll_interval = milliseconds(60'000);
  Member one(options);
  one.Join({0});
  one.now += milliseconds(30'000);
  one.ExpectHeartbeat();
  one.Answer(1);
  one.member.Touch(one.now);
  one.now += milliseconds(59'999);
  one.ExpectHeartbeat();
  one.Answer(1);
  one.now += milliseconds(1);
  CHECK(one.member.NextTime(one.now) <= one.now);
  CHECK(one.ExpectHeartbeat().member_epoch() == -1);
  one.Answer(-1);
  one.ExpectNothing();
  CHECK_FALSE(one.member.Commit({{0, 20}}));
  CHECK(one.Event().kind == Kind::kLost);
  one.member.Touch(one.now);
  CHECK(one.ExpectHeartbeat().member_epoch() == 0);
  one.Answer(3, Partitions{0});
  one.AnswerLookup();
  CHECK(one.Event().kind == Kind::kAssigned);
}

TEST_CASE("GroupMember: a refusal for good is told once, after what is lost") {
  Member one;
  one.Join({0});
  one.now += milliseconds(5'000);
  one.ExpectHeartbeat();
  one.Refuse(ErrorOf(ErrorCode::kFencedInstanceId));
  CHECK(one.Event().kind == Kind::kLost);
  const GroupEvent failed = one.Event();
  CHECK(failed.kind == Kind::kFailed);
  CHECK(failed.error.code == error_number::kFencedInstanceId);
  CHECK(one.Quiet());
  one.ExpectNothing();
  CHECK(one.member.left());
}

TEST_CASE("GroupMember: a passing refusal is tried again after a while, and costs nothing") {
  Member one;
  one.Join({0});
  one.now += milliseconds(5'000);
  one.ExpectHeartbeat();
  one.Refuse(ErrorOf(ErrorCode::kCoordinatorNotAvailable, true));
  one.ExpectNothing();
  CHECK(one.Quiet());
  one.now += milliseconds(1'000);
  CHECK(one.ExpectHeartbeat().member_epoch() == 1);
}

TEST_CASE("GroupMember: the interval asks for a commit, first when partitions have come") {
  GroupMemberOptions options;
  options.commit_interval = milliseconds(1'000);
  Member one(options);
  one.Join({0});
  CHECK(one.Event().kind == Kind::kCommit);
  CHECK(one.Quiet());
  CHECK(one.member.NextTime(one.now) == one.now + milliseconds(1'000));
  one.now += milliseconds(1'000);
  CHECK(one.Event().kind == Kind::kCommit);
  REQUIRE(one.member.Commit({{0, 20}}));
  one.Expect<native::CommitOffsetRequest>();
  one.AnswerCommit(ErrorOf(ErrorCode::kDiskFull, true));
  const GroupEvent trouble = one.Event();
  CHECK(trouble.kind == Kind::kTrouble);
  CHECK(trouble.error.retriable);
}

TEST_CASE("GroupMember: partitions of another topic under the name are trouble, and are not read") {
  Member one;
  one.ExpectHeartbeat();
  native::GroupHeartbeatResponse response;
  response.set_member_epoch(1);
  response.mutable_assignment()->add_partitions()->set_topic_id("fedcba9876543210");
  one.member.OnAnswer(Result<native::GroupHeartbeatResponse>(response), one.now);
  const GroupEvent event = one.Event();
  CHECK(event.kind == Kind::kTrouble);
  CHECK(event.error.code == error_number::kUnknownTopicId);
  one.ExpectNothing();
}

TEST_CASE("GroupMember: a failed look-up is tried again") {
  Member one;
  one.ExpectHeartbeat();
  one.Answer(1, Partitions{0});
  one.Expect<native::FetchOffsetRequest>();
  one.member.OnAnswer(Result<native::FetchOffsetResponse>(ErrorOf(ErrorCode::kCoordinatorNotAvailable, true)),
                      one.now);
  one.ExpectNothing();
  one.now += milliseconds(1'000);
  one.AnswerLookup();
  CHECK(one.Event().kind == Kind::kAssigned);
}

TEST_CASE("GroupMember: a heartbeat without an answer shows that the connection is of no use") {
  GroupMemberOptions options;
  options.request_timeout = milliseconds(3'000);
  Member one(options);
  one.ExpectHeartbeat();
  CHECK_FALSE(one.member.Overdue(one.now));
  CHECK(one.member.NextTime(one.now) == one.now + milliseconds(3'000));
  one.now += milliseconds(3'000);
  CHECK(one.member.Overdue(one.now));
}

}  // namespace
}  // namespace headrace
