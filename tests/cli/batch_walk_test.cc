#include "client/cli/offline/batch_walk.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "protocol/core/record_batch_builder.h"
#include "tests/cli/segment_bytes.h"

namespace headrace::cli::offline {
namespace {

using Kind = Stretch::Kind;

// Bytes as a file.
class BytesFile final : public storage::File {
 public:
  explicit BytesFile(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  absl::Status WriteAt(std::uint64_t, std::span<const ByteSpan>) override {
    return absl::InternalError("read only");
  }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, MutableByteSpan out) const override {
    const auto from = static_cast<std::size_t>(std::min<std::uint64_t>(position, bytes_.size()));
    const std::size_t size = std::min(out.size(), bytes_.size() - from);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(from), size, out.begin());
    return size;
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(std::uint64_t) override { return absl::InternalError("read only"); }
  absl::StatusOr<std::uint64_t> Size() const override { return bytes_.size(); }
  int descriptor() const override { return -1; }
  const std::string& path() const override { return path_; }

 private:
  std::vector<std::byte> bytes_;
  std::string path_ = "segment";
};

// "B0@0+80 D@80+20 T@100+3": kind with base offset if it can be read, position, size.
std::string Picture(std::vector<std::byte> bytes, Offset first = 0) {
  const std::uint64_t size = bytes.size();
  const BytesFile file(std::move(bytes));
  BatchWalk walk(file, size, first);
  std::string picture;
  while (true) {
    auto stretch = walk.Next();
    REQUIRE(stretch.ok());
    if (!*stretch) return picture;
    const Stretch& s = **stretch;
    CHECK((s.kind == Kind::kBatch) == s.problem.empty());
    picture += picture.empty() ? "" : " ";
    picture += s.kind == Kind::kBatch ? "B" : s.kind == Kind::kDamaged ? "D" : "T";
    if (s.batch) picture += std::to_string(s.batch->base_offset());
    picture += "@" + std::to_string(s.position) + "+" + std::to_string(s.size);
  }
}

std::string At(std::string_view kind, std::size_t position, std::size_t size) {
  return std::string(kind) + "@" + std::to_string(position) + "+" + std::to_string(size);
}

TEST_CASE("Batch walk: a sound file is its batches") {
  const auto a = Batch(0, {"one", "two"});
  const auto b = Batch(2, {"three"});
  CHECK(Picture({}).empty());
  CHECK(Picture(Join({a, b})) == At("B0", 0, a.size()) + " " + At("B2", a.size(), b.size()));
}

TEST_CASE("Batch walk: a batch cut anywhere is a torn tail, and the ones before are sound") {
  const auto a = Batch(0, {"one", "two"});
  const auto b = Batch(2, {"three"});
  for (std::size_t cut = 1; cut < b.size(); ++cut) {
    auto bytes = Join({a, b});
    bytes.resize(a.size() + cut);
    CAPTURE(cut);
    CHECK(Picture(bytes) == At("B0", 0, a.size()) + " " + At("T", a.size(), cut));
  }
}

TEST_CASE("Batch walk: one flipped bit anywhere costs one batch and none of its neighbours") {
  const auto a = Batch(0, {"one", "two"});
  const auto b = Batch(2, {"three"});
  const auto c = Batch(3, {"four", "five"});
  // The leader epoch, bytes 12-15, is outside the CRC: a flip there is not found.
  const std::string behind = " " + At("B3", a.size() + b.size(), c.size());
  for (std::size_t at = 0; at < b.size(); at = at == 11 ? 16 : at + 1) {
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = Join({a, b, c});
      bytes[a.size() + at] ^= std::byte{1} << bit;
      CAPTURE(at, bit);
      const std::string picture = Picture(bytes);
      CHECK_THAT(picture, Catch::StartsWith(At("B0", 0, a.size()) + " D"));
      CHECK_THAT(picture, Catch::EndsWith(behind));
      CHECK(std::count(picture.begin(), picture.end(), '@') == 3);
    }
  }
}

TEST_CASE("Batch walk: zeros are never a batch") {
  const auto a = Batch(0, {"one"});
  const auto b = Batch(2, {"three"});  // and the one at offset 1 is lost
  const std::vector<std::byte> zeros(5000);
  CHECK(Picture(Join({a, zeros})) == At("B0", 0, a.size()) + " " + At("T", a.size(), zeros.size()));
  CHECK(Picture(Join({a, zeros, b})) == At("B0", 0, a.size()) + " " + At("D", a.size(), zeros.size()) + " " +
                                            At("B2", a.size() + zeros.size(), b.size()));
}

TEST_CASE("Batch walk: a batch behind garbage is found across the edge of what is read at once") {
  const auto a = Batch(7, {std::string(500, 'x')});
  const std::size_t garbage =
      GENERATE((1U << 20) - 61U, (1U << 20) - 17U, (1U << 20) - 1U, 1U << 20, (1U << 20) + 1U);
  const std::vector<std::byte> noise(garbage, std::byte{2});
  CHECK(Picture(Join({noise, a})) == At("D", 0, garbage) + " " + At("B7", garbage, a.size()));
}

TEST_CASE("Batch walk: a batch inside a damaged batch's record is not taken for one of the log") {
  const auto inner = Batch(9, {"inner"});
  auto outer = Batch(0, {std::string(AsText(inner))});
  const auto next = Batch(1, {"next"});
  const std::size_t at = GENERATE(std::size_t{30}, std::size_t{11});  // in the timestamp, or the length
  outer[at] ^= std::byte{1};
  CHECK(Picture(Join({outer, next})) ==
        At(at == 30 ? "D0" : "D", 0, outer.size()) + " " + At("B1", outer.size(), next.size()));
  CHECK(Picture(outer) == At(at == 30 ? "T0" : "T", 0, outer.size()));
}

}  // namespace
}  // namespace headrace::cli::offline
