#include "broker/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <limits>
#include <variant>

#include <toml++/toml.h>

#include "absl/strings/str_cat.h"
#include "broker/group/offset_store.h"
#include "broker/group/settings.h"
#include "broker/net/net_options.h"
#include "broker/topic/produce_rules.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/producer_state.h"

namespace headrace::broker {
namespace {

using Number = std::uint64_t;

// A setting is text, an address, a number with bounds, or a default for topics (which checks itself).
struct Text {
  std::string Config::* field;
  std::string_view choices;  // separated by '|'; empty: anything
};
struct Address {
  std::string Config::* field;
  enum class Form { kIp, kHostPort } form;  // of a host and port: may be empty
};
template <typename T>
struct Bounded {
  T Config::* field;
  Number min;
  Number max;
};
struct TopicDefault {};
struct Switch {
  bool Config::* field;
};

struct Setting {
  std::string_view name;
  std::string_view help;
  std::variant<Text, Address, Switch, Bounded<std::uint16_t>, Bounded<std::uint32_t>, Bounded<std::uint64_t>,
               TopicDefault>
      kind;
};

constexpr Number kMebibyte = 1 << 20;
constexpr Number kRequestHeader = 64 << 10;  // what a request may have beside its batch, generously

const auto& Settings() {
  static const std::array<Setting, 25> settings = {{
      {"listen", "IP address to listen on; 0.0.0.0 and :: are all of this machine's",
       Address{&Config::listen, Address::Form::kIp}},
      {"port", "port to listen on; 0 takes a free one", Bounded<std::uint16_t>{&Config::port, 0, 65535}},
      {"advertised", "host:port told to clients that ask where the broker is; empty: the address they used",
       Address{&Config::advertised, Address::Form::kHostPort}},
      {"data", "data directory", Text{&Config::data, ""}},
      {"reactors", "network threads; 0: one for each core",
       Bounded<std::uint32_t>{&Config::reactors, 0, 1024}},
      {"file_threads", "threads for sync, cold reads and deletion",
       Bounded<std::uint32_t>{&Config::file_threads, 1, 256}},
      {"connections_max", "connections accepted at a time",
       Bounded<std::uint32_t>{&Config::connections_max, 1, 1'000'000}},
      {"requests_in_flight_max", "unanswered requests of one connection before it is not read any more",
       Bounded<std::uint32_t>{&Config::requests_in_flight_max, 1, 65'536}},
      {"request_memory_max",
       "bytes of all requests larger than 64 KiB together; and of all batches that wait for the disk",
       Bounded<std::uint64_t>{&Config::request_memory_max, kMebibyte, 1ULL << 40}},
      {"frame_size_max", "bytes of one request",
       Bounded<std::uint64_t>{&Config::frame_size_max, 64 << 10, 1ULL << 30}},
      {"transfer", "how file ranges go to sockets; auto chooses for each",
       Text{&Config::transfer, "auto|sendfile|mmap|read"}},
      {"residency", "how the page cache is asked before a file range is sent",
       Text{&Config::residency, "auto|cachestat|nowait|off"}},
      {"request_timeout_ms", "time a request may take to arrive, from its first byte",
       Bounded<std::uint32_t>{&Config::request_timeout_ms, 100, 3'600'000}},
      {"stall_timeout_ms", "time a peer may take no byte with data pending",
       Bounded<std::uint32_t>{&Config::stall_timeout_ms, 100, 3'600'000}},
      {"open_files_max", "segment files kept open",
       Bounded<std::uint32_t>{&Config::open_files_max, 16, 1'000'000}},
      {"retention_check_ms", "time between looks at retention",
       Bounded<std::uint32_t>{&Config::retention_check_ms, 10, 86'400'000}},
      {"partitions", "partitions of a new topic that states none",
       Bounded<std::uint32_t>{&Config::partitions, 1, 100'000}},
      {"auto_create_topics",
       "whether a topic that a Kafka producer asks for is created (native clients create theirs)",
       Switch{&Config::auto_create_topics}},
      {"log_level", "least severe log lines printed",
       Text{&Config::log_level, "trace|debug|info|warn|error"}},
      {"durability", "of topics that state none: durable (on disk before the reply) or written (page cache)",
       TopicDefault{}},
      {"max.message.bytes", "of topics that state none: bytes of one batch", TopicDefault{}},
      {"retention.bytes", "of topics that state none: bytes kept of a partition; -1: no limit",
       TopicDefault{}},
      {"retention.ms", "of topics that state none: time kept; -1: for ever", TopicDefault{}},
      {"segment.bytes", "of topics that state none: bytes of one segment file", TopicDefault{}},
      {"segment.ms", "of topics that state none: age at which a segment is closed", TopicDefault{}},
  }};
  return settings;
}

absl::Status Refuse(std::string_view name, std::string_view value, std::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("setting ", std::string(name), " is \"", std::string(value),
                                                 "\"; it must be ", std::string(allowed)));
}

bool IsChoice(std::string_view value, std::string_view choices) {
  while (!choices.empty()) {
    const std::size_t end = choices.find('|');
    if (choices.substr(0, end) == value) return true;
    choices = end == std::string_view::npos ? "" : choices.substr(end + 1);
  }
  return false;
}

bool IsIpAddress(std::string_view value) {
  const std::string text(value.substr(0, value.find('%')));  // behind it: the scope of a link-local one
  std::array<std::byte, sizeof(in6_addr)> parsed;
  return ::inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1 ||
         ::inet_pton(AF_INET, std::string(value).c_str(), parsed.data()) == 1;
}

struct Setter {
  Config& config;
  std::string_view name;
  std::string_view value;

  absl::Status operator()(const Text& text) const {
    if (!text.choices.empty() && !IsChoice(value, text.choices)) return Refuse(name, value, text.choices);
    config.*text.field = std::string(value);
    return absl::OkStatus();
  }
  absl::Status operator()(const Address& address) const {
    const bool ip = address.form == Address::Form::kIp;
    if (ip && !IsIpAddress(value)) return Refuse(name, value, "an IP address, as 127.0.0.1, 0.0.0.0 or ::1");
    if (!ip && !value.empty() && !ParseHostPort(value).ok())
      return Refuse(name, value, "host:port (of an IPv6 address: [address]:port), or empty");
    config.*address.field = std::string(value);
    return absl::OkStatus();
  }
  absl::Status operator()(const Switch& on) const {
    if (value != "true" && value != "false") return Refuse(name, value, "true or false");
    config.*on.field = value == "true";
    return absl::OkStatus();
  }
  template <typename T>
  absl::Status operator()(const Bounded<T>& bounded) const {
    Number number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < bounded.min ||
        number > bounded.max) {
      return Refuse(name, value, absl::StrCat("a number from ", bounded.min, " to ", bounded.max));
    }
    config.*bounded.field = static_cast<T>(number);
    return absl::OkStatus();
  }
  absl::Status operator()(const TopicDefault&) const {
    const absl::Status status = config.topic_defaults.SetDefault(name, value);
    return status.ok() ? status : absl::InvalidArgumentError(status.message());
  }
};

struct DefaultText {
  const Config& config;
  std::string_view name;

  std::string operator()(const Text& text) const { return OrEmpty(config.*text.field); }
  std::string operator()(const Address& address) const { return OrEmpty(config.*address.field); }
  std::string operator()(const Switch& on) const { return config.*on.field ? "true" : "false"; }
  template <typename T>
  std::string operator()(const Bounded<T>& bounded) const {
    return std::to_string(config.*bounded.field);
  }
  std::string operator()(const TopicDefault&) const {
    for (const topic::ConfigEntry& entry : config.topic_defaults.Entries()) {
      if (entry.key == name) return entry.value;
    }
    return "";
  }

 private:
  static std::string OrEmpty(const std::string& value) { return value.empty() ? "(empty)" : value; }
};

// The value as Set takes it; an error for arrays, dates and the like.
absl::StatusOr<std::string> TextOf(const std::string& name, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* boolean = node.as_boolean()) return std::string(boolean->get() ? "true" : "false");
  return absl::InvalidArgumentError(
      absl::StrCat("setting ", name, " is neither text in quotes, a whole number, true nor false"));
}

absl::StatusOr<const Setting*> Find(std::string_view name) {
  std::vector<std::string> names;
  for (const Setting& setting : Settings()) {
    if (setting.name == name) return &setting;
    names.emplace_back(setting.name);
  }
  const std::string nearest = topic::NearestName(name, names);
  return absl::InvalidArgumentError(absl::StrCat("there is no setting \"", std::string(name), "\"",
                                                 nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?",
                                                 " (--help-config lists them)"));
}

absl::Status SetNode(Config& config, const std::string& name, const toml::node& node) {
  RETURN_IF_ERROR(Find(name).status());
  ASSIGN_OR_RETURN(const std::string value, TextOf(name, node));
  return Set(config, name, value);
}

// Nested tables spell dotted names, so `retention.ms = 5` and `"retention.ms" = 5` are the same.
absl::Status SetTable(Config& config, const toml::table& table, const std::string& prefix,
                      const std::string& path) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const toml::table* nested = node.as_table();
    if (nested != nullptr && !nested->empty()) {
      RETURN_IF_ERROR(SetTable(config, *nested, name + ".", path));
      continue;
    }
    const absl::Status status = SetNode(config, name, node);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", node.source().begin.line, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Set(Config& config, std::string_view name, std::string_view value) {
  ASSIGN_OR_RETURN(const Setting* setting, Find(name));
  return std::visit(Setter{config, name, value}, setting->kind);
}

absl::Status CheckTogether(const Config& config) {
  const Number needed = config.topic_defaults.batch_size_max + kRequestHeader;
  if (config.frame_size_max >= needed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "setting frame_size_max is ", config.frame_size_max, "; it must be at least ", needed,
      ", for a request holds a batch of max.message.bytes (", config.topic_defaults.batch_size_max, ") and ",
      kRequestHeader, " bytes of its own: raise the one or lower the other"));
}

absl::Status ReadConfigFile(Config& config, const std::string& path) {
  try {
    return SetTable(config, toml::parse_file(path), "", path);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", error.source().begin.line, ": ", std::string(error.description())));
  }
}

std::string ConfigReference() {
  const Config defaults;
  std::string text = "Settings, with their defaults (in a TOML file, or by --set name=value):\n\n";
  for (const Setting& setting : Settings()) {
    text += absl::StrCat(std::string(setting.name), " = ",
                         std::visit(DefaultText{defaults, setting.name}, setting.kind), "\n    ",
                         std::string(setting.help));
    if (const auto* choice = std::get_if<Text>(&setting.kind);
        choice != nullptr && !choice->choices.empty()) {
      text += absl::StrCat(" (", std::string(choice->choices), ")");
    }
    text += "\n";
  }
  return text;
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::uint32_t port = 0;
  const std::string_view digits = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || host.empty() || (!bracketed && host.find(':') != std::string_view::npos) ||
      error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", std::string(text), "\" is no host:port (an IPv6 address is written [address]:port)"));
  }
  return HostPort{std::string(host), static_cast<std::uint16_t>(port)};
}

std::string ToString(const HostPort& address) {
  const bool bare = address.host.find(':') == std::string::npos;
  return bare ? absl::StrCat(address.host, ":", address.port)
              : absl::StrCat("[", address.host, "]:", address.port);
}

std::string MemoryFormula(const Config& config, std::size_t partitions) {
  constexpr Number kBase = 12 * kMebibyte;
  constexpr Number kConnection = 2 << 10;  // idle; a busy one has a read buffer, and answers on their way
  constexpr Number kBusyConnection = (64 << 10) + net::kAnswersMax;
  constexpr Number kPartition = 4 << 10;
  constexpr Number kProducer = 512;  // in each partition it writes to: what is staged, and what is in the log
  // A batch decompressed and one made of it; the janitor compacts beside the file threads.
  constexpr Number kCodecThread = 2 * topic::kProducedSizeMax;
  const Number kGroups = group::OffsetStore::kMemoryMax + group::Settings().members_memory_max;
  const Number idle = kBase + partitions * kPartition;
  return absl::StrCat("memory at most ", kBase / kMebibyte, " MiB + connections x ", kConnection / 1024,
                      " to ", kBusyConnection / 1024, " KiB + partitions x ", kPartition / 1024,
                      " KiB, and in each ", kProducer, " bytes for each producer of the last day, ",
                      storage::ProducerState::kProducersMax, " at most, + requests ",
                      config.request_memory_max / kMebibyte, " MiB, small ones ",
                      net::kSmallRequestsMax / kMebibyte, " MiB, batches that wait for the disk ",
                      config.request_memory_max / kMebibyte, " MiB + groups ", kGroups / kMebibyte,
                      " MiB + threads that recompress or compact, ",
                      config.file_threads + 1, " at most, x ", kCodecThread / kMebibyte, " MiB; ",
                      idle / kMebibyte, " MiB with ", partitions, " partitions and nobody connected");
}

}  // namespace headrace::broker
