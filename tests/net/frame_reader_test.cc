#include "broker/net/frame_reader.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "protocol/core/error_code.h"

using namespace headrace;
using net::FrameReader;
using net::ReceivedFrame;

namespace {

constexpr std::uint64_t kMax = 8 << 20;

std::string Frame(std::string_view body) {
  std::string frame(FrameReader::kLengthSize, '\0');
  StoreBigEndian(reinterpret_cast<std::byte*>(frame.data()), static_cast<std::uint32_t>(body.size()));
  return frame.append(body);
}

std::string Body(std::size_t size, char seed) {
  std::string body(size, seed);
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(static_cast<std::size_t>(seed) + i * 7);
  return body;
}

// Hands out every whole frame, and grows where the reader asks.
void Drain(FrameReader& reader, std::vector<std::string>& bodies,
           std::vector<ReceivedFrame>* kept = nullptr) {
  for (;;) {
    auto frame = reader.Next();
    REQUIRE(frame.ok());
    if (!*frame) break;
    bodies.emplace_back(AsText((*frame)->bytes));
    if (kept != nullptr) kept->push_back(**frame);
  }
  if (reader.WantsMemory() > 0) reader.Grow();
}

// Feeds at most `step` bytes at a time, as a socket would.
void Feed(FrameReader& reader, std::string_view bytes, std::size_t step, std::vector<std::string>& bodies,
          std::vector<ReceivedFrame>* kept = nullptr) {
  while (!bytes.empty()) {
    const MutableByteSpan room = reader.Room();
    REQUIRE_FALSE(room.empty());
    const std::size_t count = std::min({step, bytes.size(), room.size()});
    std::memcpy(room.data(), bytes.data(), count);
    reader.Received(count);
    bytes.remove_prefix(count);
    Drain(reader, bodies, kept);
  }
}

}  // namespace

TEST_CASE(
    "FrameReader: a large frame wants memory once the prefix is there that tells whether it is worth it") {
  FrameReader reader(kMax, 12);
  const std::string frame = Frame(Body(100'000, 'p'));
  std::vector<std::string> bodies;
  for (std::size_t size = 0; size < 16; ++size) {
    CAPTURE(size);
    CHECK(reader.Next()->has_value() == false);
    CHECK(reader.WantsMemory() == 0);
    reader.Room().front() = static_cast<std::byte>(frame[size]);
    reader.Received(1);
  }
  CHECK(reader.Next()->has_value() == false);
  CHECK(reader.WantsMemory() == frame.size());
  CHECK(AsText(reader.prefix()) == frame.substr(4, 12));
  reader.Grow();
  Feed(reader, std::string_view(frame).substr(16), 30'000, bodies);
  CHECK(bodies == std::vector<std::string>{frame.substr(4)});
}

TEST_CASE("FrameReader: frames cut at every byte") {
  const std::vector<std::string> sent = {Body(1, 'a'), Body(2, 'b'), Body(40, 'c'), Body(3, 'd')};
  std::string bytes;
  for (const std::string& body : sent) bytes += Frame(body);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    for (const bool rests : {false, true}) {
      FrameReader reader(kMax);
      std::vector<std::string> received;
      Feed(reader, std::string_view(bytes).substr(0, cut), bytes.size(), received);
      if (rests) reader.Rest();
      Feed(reader, std::string_view(bytes).substr(cut), bytes.size(), received);
      REQUIRE(received == sent);
      REQUIRE_FALSE(reader.partial());
    }
  }
}

TEST_CASE("FrameReader: one byte at a time") {
  std::string bytes;
  std::vector<std::string> sent;
  for (std::size_t i = 1; i < 60; ++i) {
    sent.push_back(Body(i * 3, static_cast<char>(i)));
    bytes += Frame(sent.back());
  }
  FrameReader reader(kMax);
  std::vector<std::string> received;
  for (const char byte : bytes) {
    Feed(reader, {&byte, 1}, 1, received);
    reader.Rest();
  }
  CHECK(received == sent);
}

TEST_CASE("FrameReader: many frames of one chunk share it") {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += Frame(Body(20, static_cast<char>(i)));
  FrameReader reader(kMax);
  std::vector<std::string> received;
  std::vector<ReceivedFrame> kept;
  Feed(reader, bytes, bytes.size(), received, &kept);
  REQUIRE(kept.size() == 1000);
  CHECK(kept.front().owner == kept.back().owner);
}

TEST_CASE("FrameReader: frames that are kept stay as they were while others arrive") {
  std::mt19937_64 random(7);
  FrameReader reader(kMax);
  std::string bytes;
  std::vector<std::string> sent;
  for (int i = 0; i < 300; ++i) {
    const std::size_t size = random() % 20 == 0 ? 60'000 + random() % 90'000 : 1 + random() % 3000;
    sent.push_back(Body(size, static_cast<char>(random())));
    bytes += Frame(sent.back());
  }
  std::vector<std::string> received;
  std::vector<ReceivedFrame> kept;
  std::string_view left = bytes;
  while (!left.empty()) {
    const std::size_t step = std::min<std::size_t>(left.size(), 1 + random() % 100'000);
    Feed(reader, left.substr(0, step), step, received, &kept);
    left.remove_prefix(step);
    if (random() % 3 == 0) reader.Rest();
  }
  REQUIRE(received == sent);
  bool same = true;
  for (std::size_t i = 0; i < kept.size(); ++i) same = same && AsText(kept[i].bytes) == sent[i];
  CHECK(same);
}

TEST_CASE("FrameReader: a frame larger than a chunk asks for its memory before it is given any") {
  // The largest that fits a chunk, the first that does not, and a large one.
  for (const std::size_t size : {std::size_t{65'532}, std::size_t{65'533}, std::size_t{3'000'000}}) {
    CAPTURE(size);
    FrameReader reader(kMax);
    const std::string body = Body(size, 'x');
    const std::string bytes = Frame(body) + Frame("next");
    MutableByteSpan room = reader.Room();
    CHECK(room.size() <= FrameReader::kChunkSize);
    std::memcpy(room.data(), bytes.data(), 100);
    reader.Received(100);
    auto frame = reader.Next();
    REQUIRE(frame.ok());
    REQUIRE_FALSE(frame->has_value());
    const std::size_t whole = size + FrameReader::kLengthSize;
    CHECK(reader.WantsMemory() == (whole > FrameReader::kChunkSize ? whole : 0));
    if (reader.WantsMemory() > 0) reader.Grow();
    CHECK(reader.WantsMemory() == 0);
    std::vector<std::string> received;
    Feed(reader, std::string_view(bytes).substr(100), bytes.size(), received);
    CHECK(received == std::vector<std::string>{body, "next"});
  }
}

TEST_CASE("FrameReader: empty frames and frames over the limit are refused with length and limit") {
  for (const std::uint32_t length : {0U, 101U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    CAPTURE(length);
    FrameReader reader(100);
    const MutableByteSpan room = reader.Room();
    StoreBigEndian(room.data(), length);
    reader.Received(4);
    const auto frame = reader.Next();
    REQUIRE_FALSE(frame.ok());
    CHECK(CodeOf(frame.status()) == ErrorCode::kInvalidRequest);
    const std::string message(MessageOf(frame.status()));
    CHECK(message.find(std::to_string(length)) != std::string::npos);
    CHECK(message.find("100") != std::string::npos);
    CHECK(reader.WantsMemory() == 0);
  }
  FrameReader reader(100);
  std::vector<std::string> received;
  Feed(reader, Frame(Body(100, 'z')), 1000, received);
  CHECK(received.size() == 1);
}

TEST_CASE("FrameReader: an idle reader holds no memory") {
  FrameReader reader(kMax);
  std::vector<std::string> received;
  std::vector<ReceivedFrame> kept;
  Feed(reader, Frame("hello"), 100, received, &kept);
  const std::weak_ptr<void> chunk = kept.front().owner;
  reader.Rest();
  CHECK_FALSE(chunk.expired());  // the frame keeps its bytes
  kept.clear();
  CHECK(chunk.expired());
}

TEST_CASE("FrameReader: a few bytes of a frame do not keep a chunk") {
  FrameReader reader(kMax);
  std::vector<std::string> received;
  std::vector<ReceivedFrame> kept;
  const std::string bytes = Frame("first") + Frame("second");
  Feed(reader, std::string_view(bytes).substr(0, bytes.size() - 3), 100, received, &kept);
  const std::weak_ptr<void> chunk = kept.front().owner;
  kept.clear();
  CHECK_FALSE(chunk.expired());
  reader.Rest();
  CHECK(chunk.expired());
  Feed(reader, std::string_view(bytes).substr(bytes.size() - 3), 100, received);
  CHECK(received == std::vector<std::string>{"first", "second"});
}

TEST_CASE("FrameReader: bytes put in front come first") {
  FrameReader reader(kMax);
  const std::string bytes = Frame("alpha") + Frame("beta");
  reader.Prepend(AsBytes(std::string_view(bytes).substr(0, 11)));
  std::vector<std::string> received;
  Drain(reader, received);
  Feed(reader, std::string_view(bytes).substr(11), 100, received);
  CHECK(received == std::vector<std::string>{"alpha", "beta"});
}
