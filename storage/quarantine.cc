#include "storage/quarantine.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kPieceSize = 256 << 10;

// "<topic id>-<partition>" of ".../<topic id>/<partition>".
std::string LabelOf(const std::string& directory) {
  const std::size_t last = directory.rfind('/');
  if (last == std::string::npos) return directory;
  const std::size_t before = last == 0 ? std::string::npos : directory.rfind('/', last - 1);
  std::string label = directory.substr(before == std::string::npos ? 0 : before + 1);
  std::replace(label.begin(), label.end(), '/', '-');
  return label;
}

}  // namespace

Quarantine::Quarantine(const LogEnvironment& environment, std::string directory)
    : environment_(environment),
      directory_(std::move(directory)),
      target_(environment.quarantine.empty() ? directory_ + "/quarantine" : environment.quarantine) {}

absl::StatusOr<std::string> Quarantine::FreePath(const std::string& name) {
  RETURN_IF_ERROR(environment_.files->CreateDirectory(target_));
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, environment_.files->List(target_));
  std::set<std::string> taken;
  for (const DirectoryEntry& entry : entries) taken.insert(entry.name);
  const std::string wanted = absl::StrCat(LabelOf(directory_), "-", name);
  std::string free = wanted;
  for (int copy = 1; taken.contains(free); ++copy) free = absl::StrCat(wanted, ".", copy);
  return absl::StrCat(target_, "/", free);
}

absl::StatusOr<std::string> Quarantine::CopyBytes(const File& file, std::uint64_t position,
                                                  std::uint64_t size, Offset offset) {
  ASSIGN_OR_RETURN(const std::string path, FreePath(absl::StrCat("offset-", offset, ".cut")));
  ASSIGN_OR_RETURN(const std::shared_ptr<File> copy, environment_.files->Open(path, OpenMode::kCreate));
  std::vector<std::byte> piece(std::min<std::uint64_t>(kPieceSize, size));
  for (std::uint64_t done = 0; done < size;) {
    const MutableByteSpan room =
        MutableByteSpan(piece).first(std::min<std::uint64_t>(piece.size(), size - done));
    ASSIGN_OR_RETURN(const std::size_t read, file.ReadAt(position + done, room));
    if (read == 0) break;
    const ByteSpan bytes = ByteSpan(room).first(read);
    RETURN_IF_ERROR(copy->WriteAt(done, {&bytes, 1}));
    done += read;
  }
  RETURN_IF_ERROR(copy->Sync());
  RETURN_IF_ERROR(environment_.files->SyncDirectory(target_));
  return path;
}

absl::StatusOr<std::string> Quarantine::MoveFile(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string path, FreePath(name));
  RETURN_IF_ERROR(environment_.files->Rename(absl::StrCat(directory_, "/", name), path));
  RETURN_IF_ERROR(environment_.files->SyncDirectory(target_));
  RETURN_IF_ERROR(environment_.files->SyncDirectory(directory_));
  return path;
}

}  // namespace headrace::storage
