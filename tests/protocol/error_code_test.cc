#include "protocol/core/error_code.h"

#include <catch2/catch.hpp>

using namespace headrace;

TEST_CASE("ErrorCode: every code survives the way through a status") {
  int known = 0;
  for (int number = -1; number <= 1100; ++number) {
    const auto code = static_cast<ErrorCode>(number);
    if (code == ErrorCode::kNone) continue;
    if (NameOf(code) == "UNKNOWN_SERVER_ERROR" && number != -1) continue;
    ++known;
    const absl::Status status = MakeError(code, "what, where");
    CAPTURE(number);
    CHECK_FALSE(status.ok());
    CHECK(CodeOf(status) == code);
    CHECK(MessageOf(status) == "what, where");
  }
  CHECK(known >= 60);
}

TEST_CASE("ErrorCode: a status that nobody gave a code gets the nearest") {
  CHECK(CodeOf(absl::OkStatus()) == ErrorCode::kNone);
  CHECK(CodeOf(absl::InvalidArgumentError("x")) == ErrorCode::kInvalidRequest);
  CHECK(CodeOf(absl::ResourceExhaustedError("x")) == ErrorCode::kDiskFull);
  CHECK(CodeOf(absl::DataLossError("x")) == ErrorCode::kCorruptMessage);
  CHECK(CodeOf(absl::UnknownError("x")) == ErrorCode::kUnknownServerError);
}

TEST_CASE("ErrorCode: what was prefixed keeps its code") {
  const absl::Status status = Prefixed(MakeError(ErrorCode::kDiskFull, "what"), "where");
  CHECK(CodeOf(status) == ErrorCode::kDiskFull);
  CHECK(MessageOf(status) == "where: what");
  CHECK(Prefixed(absl::OkStatus(), "where").ok());
}

TEST_CASE("ErrorCode: what is worth another try") {
  CHECK(IsRetriable(ErrorCode::kDiskFull));
  CHECK(IsRetriable(ErrorCode::kShuttingDown));
  CHECK(IsRetriable(ErrorCode::kRequestTimedOut));
  CHECK_FALSE(IsRetriable(ErrorCode::kStorageError));
  CHECK_FALSE(IsRetriable(ErrorCode::kCorruptMessage));
  CHECK_FALSE(IsRetriable(ErrorCode::kOffsetOutOfRange));
  CHECK_FALSE(IsRetriable(ErrorCode::kNone));
}
