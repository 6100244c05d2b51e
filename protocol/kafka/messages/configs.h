// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
#pragma once

#include "protocol/kafka/wire.h"

namespace headrace::kafka {

// What a configuration belongs to.
inline constexpr std::int8_t kTopicResource = 2;
inline constexpr std::int8_t kBrokerResource = 4;
inline constexpr std::int8_t kGroupResource = 32;

struct DescribeConfigsRequest {
  struct Resource {
    std::int8_t type = 0;
    std::string name;
    std::optional<std::vector<std::string>> keys;  // null: all

    static void Fields(auto& self, auto& wire) {
      wire(self.type, self.name, self.keys);
      wire.Tags();
    }
  };

  std::vector<Resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.resources);
    if (wire.version() >= 1) wire(self.include_synonyms);
    if (wire.version() >= 3) wire(self.include_documentation);
    wire.Tags();
  }
};

struct DescribeConfigsResponse {
  struct Synonym {
    std::string name;
    std::optional<std::string> value;
    std::int8_t source = 0;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.value, self.source);
      wire.Tags();
    }
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    std::int8_t source = -1;  // 1: the topic's own, 4: the broker's file, 5: the default
    bool is_sensitive = false;
    std::vector<Synonym> synonyms;
    std::int8_t type = 0;  // 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list
    std::optional<std::string> documentation;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.value, self.read_only);
      if (wire.version() >= 1) wire(self.source);
      wire(self.is_sensitive);
      if (wire.version() >= 1) wire(self.synonyms);
      if (wire.version() >= 3) wire(self.type, self.documentation);
      wire.Tags();
    }
  };
  struct Result {
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;
    std::int8_t type = 0;
    std::string name;
    std::vector<Config> configs;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.error_message, self.type, self.name, self.configs);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.results);
    wire.Tags();
  }
};

// Replaces a resource's configuration as a whole: what is not named returns to its default.
struct AlterConfigsRequest {
  struct Config {
    std::string name;
    std::optional<std::string> value;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.value);
      wire.Tags();
    }
  };
  struct Resource {
    std::int8_t type = 0;
    std::string name;
    std::vector<Config> configs;

    static void Fields(auto& self, auto& wire) {
      wire(self.type, self.name, self.configs);
      wire.Tags();
    }
  };

  std::vector<Resource> resources;
  bool validate_only = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.resources, self.validate_only);
    wire.Tags();
  }
};

struct IncrementalAlterConfigsRequest {
  struct Config {
    std::string name;
    std::int8_t operation = 0;  // 0 set, 1 delete, 2 append to a list, 3 subtract from a list
    std::optional<std::string> value;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.operation, self.value);
      wire.Tags();
    }
  };
  struct Resource {
    std::int8_t type = 0;
    std::string name;
    std::vector<Config> configs;

    static void Fields(auto& self, auto& wire) {
      wire(self.type, self.name, self.configs);
      wire.Tags();
    }
  };

  std::vector<Resource> resources;
  bool validate_only = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.resources, self.validate_only);
    wire.Tags();
  }
};

// Answers both.
struct AlterConfigsResponse {
  struct Result {
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;
    std::int8_t type = 0;
    std::string name;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.error_message, self.type, self.name);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.results);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
