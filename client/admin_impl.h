// The inside of Admin.
#pragma once

#include <memory>
#include <utility>

#include "client/connection.h"
#include "headrace/admin.h"
#include "protocol/core/mutex.h"

namespace headrace {

// The connection, opened again when a call finds it lost. Calls take turns under the mutex, each with its own
// deadline once it has the turn; no thread of its own.
class Admin::Impl {
 public:
  Impl(ClientOptions options, std::unique_ptr<Connection> connection)
      : options_(std::move(options)), connection_(std::move(connection)) {}

  template <typename Response>
  Result<Response> Ask(native::FrameType type, const google::protobuf::MessageLite& request) {
    core::MutexLock lock(mutex_);
    if (Result<void> usable = MakeUsable(); !usable) return usable.error();
    Response response;
    Result<void> called =
        Call(*connection_, type, request, response, DeadlineAfter(options_.request_timeout));
    if (called) return response;
    // After a network error an answer may still come, and would be taken for that of another request.
    if (called.error().code == error_number::kNetwork) connection_.reset();
    return called.error();
  }

  BrokerInfo broker() {
    core::MutexLock lock(mutex_);
    if (connection_) hello_ = connection_->hello();
    return {hello_.broker_software(), hello_.cluster_id(), hello_.version(), hello_.frame_size_max(),
            hello_.batch_size_max()};
  }

 private:
  Result<void> MakeUsable() HEADRACE_REQUIRES(mutex_) {
    // A broker that closed the connection since the last call is seen here, before a request is lost to it.
    if (connection_ && !connection_->Read()) connection_.reset();
    if (connection_) return {};
    Result<std::unique_ptr<Connection>> opened = Connection::Open(
        options_, std::make_shared<BufferPool>(0), DeadlineAfter(options_.connect_timeout), nullptr);
    if (!opened) return opened.error();
    connection_ = std::move(*opened);
    hello_ = connection_->hello();
    return {};
  }

  const ClientOptions options_;
  core::Mutex mutex_;
  std::unique_ptr<Connection> connection_ HEADRACE_GUARDED_BY(mutex_);
  native::HelloResponse hello_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace
