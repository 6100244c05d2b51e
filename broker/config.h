// The broker's configuration: one table of settings, filled from defaults, then a file, then the command
// line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/topic/topic_config.h"

namespace headrace::broker {

// All settings with their defaults. A value type.
struct Config {
  std::string listen = "127.0.0.1";
  std::uint16_t port = 9092;
  std::string advertised;
  std::string data = "./headrace-data";
  std::uint32_t reactors = 0;
  std::uint32_t file_threads = 4;
  std::uint32_t connections_max = 10'000;
  std::uint32_t requests_in_flight_max = 256;
  std::uint64_t request_memory_max = 256ULL << 20;
  std::uint64_t frame_size_max = 64ULL << 20;
  std::string transfer = "auto";
  std::string residency = "auto";
  std::uint32_t request_timeout_ms = 30'000;
  std::uint32_t stall_timeout_ms = 30'000;
  std::uint32_t open_files_max = 4096;
  std::uint32_t retention_check_ms = 10'000;
  std::uint32_t partitions = 1;
  bool auto_create_topics = true;
  std::string log_level = "info";
  // The defaults of topics, by their own names: durability, max.message.bytes, retention.bytes, ...
  topic::TopicConfig topic_defaults;
};

// Sets one setting by its name. Errors: INVALID_ARGUMENT naming the nearest name, or the value and its
// bounds.
absl::Status Set(Config& config, std::string_view name, std::string_view value);

// What no single setting can tell: whether they go together. INVALID_ARGUMENT naming both.
absl::Status CheckTogether(const Config& config);

// Reads a TOML file of top-level `name = value` lines (dots in names are quoted or nested tables). Errors
// name file and line.
absl::Status ReadConfigFile(Config& config, const std::string& path);

// The reference: every setting with its default and meaning, as printed by --help-config.
std::string ConfigReference();

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
// "host:port", or "[::1]:port". INVALID_ARGUMENT if it is neither.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
std::string ToString(const HostPort& address);

// What the broker's memory may come to, in words and numbers, for the start-up line.
std::string MemoryFormula(const Config& config, std::size_t partitions);

}  // namespace headrace::broker
