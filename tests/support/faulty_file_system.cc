#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <vector>

#include "protocol/core/status_macros.h"

namespace headrace::testing {
namespace {

using Kind = FileOperation::Kind;

class FaultyFile final : public storage::File {
 public:
  FaultyFile(FaultyFileSystem& faults, std::shared_ptr<storage::File> inner)
      : faults_(faults), inner_(std::move(inner)) {}

  absl::Status WriteAt(std::uint64_t position, std::span<const ByteSpan> pieces) override {
    std::uint64_t size = 0;
    for (const ByteSpan piece : pieces) size += piece.size();
    const Fault fault = faults_.Next(Kind::kWrite, path(), size);
    if (fault.status.ok()) return inner_->WriteAt(position, pieces);
    std::uint64_t left = fault.bytes_first;
    for (const ByteSpan piece : pieces) {
      const ByteSpan part = piece.first(std::min<std::uint64_t>(left, piece.size()));
      if (part.empty()) break;
      RETURN_IF_ERROR(inner_->WriteAt(position, {&part, 1}));
      position += part.size();
      left -= part.size();
    }
    return fault.status;
  }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, MutableByteSpan out) const override {
    RETURN_IF_ERROR(faults_.Next(Kind::kRead, path()).status);
    return inner_->ReadAt(position, out);
  }
  absl::Status Sync() override {
    RETURN_IF_ERROR(faults_.Next(Kind::kSync, path()).status);
    return inner_->Sync();
  }
  absl::Status Truncate(std::uint64_t size) override {
    RETURN_IF_ERROR(faults_.Next(Kind::kTruncate, path()).status);
    return inner_->Truncate(size);
  }
  absl::StatusOr<std::uint64_t> Size() const override {
    RETURN_IF_ERROR(faults_.Next(Kind::kLook, path()).status);
    return inner_->Size();
  }
  int descriptor() const override { return inner_->descriptor(); }
  const std::string& path() const override { return inner_->path(); }

 private:
  FaultyFileSystem& faults_;
  const std::shared_ptr<storage::File> inner_;
};

}  // namespace

namespace {

bool Changes(Kind kind) {
  return kind != Kind::kRead && kind != Kind::kLook;
}

}  // namespace

Fault FaultyFileSystem::Next(Kind kind, const std::string& path, std::uint64_t size) {
  const std::uint64_t number = Changes(kind) ? operations_.fetch_add(1) + 1 : operations_.load();
  return decide_ ? decide_({kind, path, number, size}) : Fault{};
}

void FaultyFileSystem::DieAt(std::uint64_t number) {
  decide_ = [number](const FileOperation& operation) {
    return operation.number >= number ? Fault{absl::AbortedError("the process has died"), 0} : Fault{};
  };
}

void FaultyFileSystem::FailAt(std::uint64_t number, absl::Status status, std::uint64_t bytes_first) {
  decide_ = [=](const FileOperation& operation) {
    const bool hit = operation.number == number && Changes(operation.kind);
    return hit ? Fault{status, bytes_first} : Fault{};
  };
}

void FaultyFileSystem::FillAfter(std::uint64_t bytes) {
  decide_ = [left = std::make_shared<std::atomic<std::uint64_t>>(bytes)](const FileOperation& operation) {
    if (operation.kind != Kind::kWrite) return Fault{};
    std::uint64_t room = left->load();
    while (!left->compare_exchange_weak(room, room - std::min(room, operation.size))) {
    }
    if (operation.size <= room) return Fault{};
    return Fault{absl::ResourceExhaustedError("write " + operation.path + ": No space left on device"), room};
  };
}

void FaultyFileSystem::Heal() {
  decide_ = nullptr;
  operations_.store(0);
}

absl::StatusOr<std::shared_ptr<storage::File>> FaultyFileSystem::Open(const std::string& path,
                                                                      storage::OpenMode mode) {
  const Kind kind = mode == storage::OpenMode::kCreate ? Kind::kCreate : Kind::kLook;
  RETURN_IF_ERROR(Next(kind, path).status);
  ASSIGN_OR_RETURN(auto file, inner_.Open(path, mode));
  return std::make_shared<FaultyFile>(*this, std::move(file));
}

absl::StatusOr<std::vector<storage::DirectoryEntry>> FaultyFileSystem::List(const std::string& directory) {
  RETURN_IF_ERROR(Next(Kind::kLook, directory).status);
  return inner_.List(directory);
}

absl::Status FaultyFileSystem::CreateDirectory(const std::string& path) {
  RETURN_IF_ERROR(Next(Kind::kCreateDirectory, path).status);
  return inner_.CreateDirectory(path);
}

absl::Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Next(Kind::kRename, from).status);
  return inner_.Rename(from, to);
}

absl::Status FaultyFileSystem::Remove(const std::string& path) {
  RETURN_IF_ERROR(Next(Kind::kRemove, path).status);
  return inner_.Remove(path);
}

absl::Status FaultyFileSystem::SyncDirectory(const std::string& path) {
  RETURN_IF_ERROR(Next(Kind::kSyncDirectory, path).status);
  return inner_.SyncDirectory(path);
}

absl::StatusOr<TimestampMs> FaultyFileSystem::ModificationTime(const std::string& path) {
  RETURN_IF_ERROR(Next(Kind::kLook, path).status);
  return inner_.ModificationTime(path);
}

absl::StatusOr<storage::DiskSpace> FaultyFileSystem::Space(const std::string& path) {
  RETURN_IF_ERROR(Next(Kind::kLook, path).status);
  return inner_.Space(path);
}

absl::StatusOr<std::unique_ptr<storage::FileLock>> FaultyFileSystem::Lock(const std::string& path) {
  RETURN_IF_ERROR(Next(Kind::kLook, path).status);
  return inner_.Lock(path);
}

}  // namespace headrace::testing
