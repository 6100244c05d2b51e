// One native request on its way through a handler, and the ways to answer it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "broker/native/services.h"
#include "broker/net/session.h"
#include "broker/topic/long_poll.h"
#include "headrace.pb.h"
#include "protocol/native/frame.h"

namespace headrace::native {

// Copyable, so that handlers can carry it to another thread; the frame's spans live as long as `owner`.
struct Request {
  Services* services = nullptr;
  std::shared_ptr<net::Channel> channel;
  std::shared_ptr<void> owner;
  Frame frame;
  std::size_t size = 0;                          // bytes as received, to be given back with the answer
  std::shared_ptr<const std::string> client_id;  // as Hello said it
  topic::LongPolls* polls = nullptr;             // of the session: only until the handler returns
};

// A frame that answers `request`, without an attachment.
net::Response MakeResponse(const Request& request, const google::protobuf::MessageLite& header);
// An ErrorResponse. The error of a bad request, of a missing topic, ...: the connection goes on.
net::Response MakeErrorResponse(const Request& request, const absl::Status& error);

void FillError(const absl::Status& status, Error* error);

// Answers on the reactor thread.
void Answer(const Request& request, const google::protobuf::MessageLite& header);
void AnswerError(const Request& request, const absl::Status& error);
// Answers from any thread.
void PostAnswer(const Request& request,
                const absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>>& answer);

// Entries that one request may have: what each costs is many times its bytes.
inline constexpr std::size_t kRequestEntriesMax = 100'000;
// Parses the request's header. Errors: it is not that message, or has more than kRequestEntriesMax fields,
// which are not parsed first.
absl::Status ParseRequest(const Request& request, google::protobuf::MessageLite& message);
// For entries that stand deeper in a message.
absl::Status CheckEntries(std::size_t count);

absl::StatusOr<TopicId> ParseTopicId(const std::string& bytes);
// Finds a topic by id if there is one, else by name. Errors: kUnknownTopicId, kUnknownTopicOrPartition.
absl::StatusOr<topic::TopicPtr> FindTopic(const Services& services, const std::string& id,
                                          const std::string& name);
// The same, down to a partition.
absl::StatusOr<std::shared_ptr<topic::Partition>> FindPartition(const Services& services,
                                                                const std::string& id,
                                                                const std::string& name,
                                                                std::uint32_t partition);

// Why a partition that a request names a second time is refused.
absl::Status NamedTwice(const topic::Partition& partition);

// A request whose work may block: parses its header, then runs `work` on the file pool, and answers with what
// it returns.
template <typename Message>
void RunBlocking(
    const Request& request,
    std::function<absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>>(Services&, const Message&)>
        work) {
  auto message = std::make_shared<Message>();
  const absl::Status parsed = ParseRequest(request, *message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  request.services->pool->Post(
      [request, message, work = std::move(work)] { PostAnswer(request, work(*request.services, *message)); });
}

// The handlers, one file each kind. All are called on the reactor thread with a frame of their type.
void HandleCreateTopic(const Request& request);  // topic_handlers.cc
void HandleDeleteTopic(const Request& request);
void HandleAlterTopic(const Request& request);
void HandleDescribeTopics(const Request& request);
void HandleTrimTopic(const Request& request);
void HandleInitProducer(const Request& request);  // produce_handler.cc
void HandleProduce(const Request& request);
void HandleFetch(const Request& request);        // fetch_handler.cc
void HandleListOffsets(const Request& request);  // offset_handlers.cc
void HandleCommitOffset(const Request& request);
void HandleFetchOffset(const Request& request);
void HandleGroupHeartbeat(const Request& request);  // group_handlers.cc
void HandleListGroups(const Request& request);      // group_admin_handlers.cc
void HandleDescribeGroup(const Request& request);
void HandleDeleteGroup(const Request& request);
void HandleSeekGroup(const Request& request);
void HandleStats(const Request& request);  // stats_handler.cc

// Runs `store`, which only queues, if the group of this commit takes it from its sender: a member at its
// present epoch, or anybody while the group has no members. group_handlers.cc
absl::Status CommitAs(const Services& services, const CommitOffsetRequest& message,
                      const std::function<void()>& store);

}  // namespace headrace::native
