#include "broker/group/member_bytes.h"

#include <optional>

#include "protocol/core/bytes.h"

namespace headrace::group {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(AsBytes(bytes)) {}

  template <typename Integer>
  std::optional<Integer> Take() {
    if (rest_.size() < sizeof(Integer)) return std::nullopt;
    const auto value = LoadBigEndian<Integer>(rest_.data());
    rest_ = rest_.subspan(sizeof(Integer));
    return value;
  }
  std::optional<std::string> TakeString() {
    const auto size = Take<std::int16_t>();
    if (!size || *size < 0 || static_cast<std::size_t>(*size) > rest_.size()) return std::nullopt;
    const auto text = AsText(rest_.first(static_cast<std::size_t>(*size)));
    rest_ = rest_.subspan(text.size());
    return std::string(text);
  }

 private:
  ByteSpan rest_;
};

}  // namespace

std::vector<std::string> DecodeSubscription(std::string_view metadata) {
  Reader reader(metadata);
  std::vector<std::string> topics;
  if (!reader.Take<std::int16_t>()) return topics;
  for (std::int32_t left = reader.Take<std::int32_t>().value_or(0); left > 0; --left) {
    std::optional<std::string> name = reader.TakeString();
    if (!name) break;
    topics.push_back(*std::move(name));
  }
  return topics;
}

std::map<std::string, std::vector<PartitionId>> DecodeAssignment(std::string_view assignment) {
  Reader reader(assignment);
  std::map<std::string, std::vector<PartitionId>> topics;
  if (!reader.Take<std::int16_t>()) return topics;
  for (std::int32_t left = reader.Take<std::int32_t>().value_or(0); left > 0; --left) {
    const std::optional<std::string> name = reader.TakeString();
    if (!name) break;
    std::vector<PartitionId>& partitions = topics[*name];
    for (std::int32_t more = reader.Take<std::int32_t>().value_or(0); more > 0; --more) {
      const std::optional<std::int32_t> partition = reader.Take<std::int32_t>();
      if (!partition) return topics;
      partitions.push_back(*partition);
    }
  }
  return topics;
}

}  // namespace headrace::group
