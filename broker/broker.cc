#include "broker/broker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include <spdlog/spdlog.h>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "broker/kafka/fetch_session.h"
#include "broker/kafka/kafka_session.h"
#include "broker/native/native_session.h"
#include "broker/net/server.h"
#include "broker/version.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "protocol/native/frame.h"

namespace headrace::broker {
namespace {

// Of the 5 seconds that Stop may take; the rest is for the disk.
constexpr std::chrono::seconds kDrainTime{3};
// Kafka waits 3 s; a group whose members start together gathers within less, and a lone one waits for nobody.
constexpr std::chrono::milliseconds kInitialRebalanceDelay{500};
// Of a Kafka frame's size, which is below 128 MiB; what the other protocols begin with is larger.
constexpr std::uint8_t kKafkaFirstByteMax = 0x06;

std::uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

net::NetOptions MakeNetOptions(const Config& config) {
  net::NetOptions options;
  options.address = config.listen;
  options.port = config.port;
  options.reactors = config.reactors;
  options.connections_max = config.connections_max;
  options.requests_in_flight_max = config.requests_in_flight_max;
  options.request_memory_max = config.request_memory_max;
  options.request_timeout = std::chrono::milliseconds(config.request_timeout_ms);
  options.stall_timeout = std::chrono::milliseconds(config.stall_timeout_ms);
  options.transfer = *net::ParseTransfer(config.transfer);  // the settings' table allows no other names
  options.residency = *net::ParseResidency(config.residency);
  return options;
}

}  // namespace

Broker::Broker(const Config& config) : config_(config), append_budget_(config.request_memory_max) {}

Broker::~Broker() {
  if (opened_) static_cast<void>(Stop());
}

absl::StatusOr<std::unique_ptr<Broker>> Broker::Start(const Config& config,
                                                      const std::function<bool()>& stop_asked) {
  auto broker = absl::WrapUnique(new Broker(config));
  RETURN_IF_ERROR(broker->TakeAddress());
  RETURN_IF_ERROR(broker->OpenStorage(stop_asked));
  broker->opened_ = true;
  broker->FillNativeServices();
  broker->FillKafkaServices();
  RETURN_IF_ERROR(broker->server_->Start());
  broker->LogStart();
  return broker;
}

absl::Status Broker::OpenStorage(const std::function<bool()>& stop_asked) {
  const auto log = spdlog::default_logger()->clone("storage");
  ASSIGN_OR_RETURN(directory_,
                   storage::DataDirectory::Open(
                       files_, clock_, config_.data, config_.open_files_max, storage::ReadBootId(),
                       [log](const std::string& finding) { log->warn("{}", finding); }));
  if (!directory_->was_clean()) log->warn("{} was not closed cleanly: recovering", config_.data);
  disk_ = std::make_unique<topic::DiskGuard>(files_, config_.data, directory_->environment().ballast,
                                             [log](const std::string& line) { log->warn("{}", line); });
  flusher_ = std::make_unique<storage::Flusher>(files_, *pool_);
  topic::PartitionServices services;
  services.flusher = flusher_.get();
  services.pool = pool_.get();
  services.clock = &clock_;
  services.disk = disk_.get();
  services.budget = &append_budget_;
  services.stopping = &stopping_;
  services.leader_epoch = directory_->meta().leader_epoch;
  registry_ = std::make_unique<topic::TopicRegistry>(files_, *directory_, services, config_.topic_defaults);
  const auto recovered = [log](const std::string& name, const storage::RecoveryReport& report) {
    log->info("{} recovered: {} bytes scanned, {} cut, {} damaged ranges", name, report.bytes_scanned,
              report.bytes_cut, report.damaged_ranges);
  };
  RETURN_IF_ERROR(registry_->Load(*pool_, recovered, stop_asked));
  offsets_ = std::make_unique<group::OffsetStore>(*registry_, clock_);
  RETURN_IF_ERROR(offsets_->Load());
  registry_->OnDeleted([this] { offsets_->ForgetDeletedTopics(); });
  group::Settings groups;
  groups.initial_rebalance_delay = kInitialRebalanceDelay;
  groups_ = std::make_unique<group::Coordinator>(groups, clock_, [this] { return AssignableTopics(); });
  groups_->Start();
  ASSIGN_OR_RETURN(producer_ids_, topic::ProducerIds::Open(files_, config_.data));
  topic::JanitorOptions janitor;
  janitor.retention_interval = std::chrono::milliseconds(config_.retention_check_ms);
  topic::JanitorLog lines;
  const auto topics = spdlog::default_logger()->clone("topic");
  lines.error = [topics](const std::string& line) { topics->error("{}", line); };
  lines.info = [topics](const std::string& line) { topics->info("{}", line); };
  janitor_ = std::make_unique<topic::Janitor>(*registry_, *disk_, janitor, std::move(lines));
  return absl::OkStatus();
}

std::vector<group::TopicInfo> Broker::AssignableTopics() const {
  std::vector<group::TopicInfo> topics;
  for (const topic::TopicPtr& topic : registry_->All()) {
    topics.push_back({topic->id, topic->name, static_cast<std::int32_t>(topic->partitions.size())});
  }
  return topics;
}

void Broker::CountProduced(std::uint32_t records, std::size_t bytes) {
  produced_batches_.fetch_add(1, std::memory_order_relaxed);
  produced_records_.fetch_add(records, std::memory_order_relaxed);
  produced_bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void Broker::FillNativeServices() {
  native::SilenceProtobuf();
  native::Services& services = native_services_;
  services.topics = registry_.get();
  services.groups = groups_.get();
  services.offsets = offsets_.get();
  services.producer_ids = producer_ids_.get();
  services.pool = pool_.get();
  services.clock = &clock_;
  services.limits.frame_size_max = config_.frame_size_max;
  services.limits.batch_size_max = static_cast<std::uint32_t>(config_.topic_defaults.batch_size_max);
  services.limits.requests_in_flight_max = config_.requests_in_flight_max;
  services.limits.partitions_default = config_.partitions;
  services.cluster_id = directory_->meta().cluster_id;
  services.version = kVersion;
  services.count_produced = [this](std::uint32_t records, std::size_t bytes) {
    CountProduced(records, bytes);
  };
  services.status = [this](bool with_connections) { return Status(with_connections); };
}

void Broker::FillKafkaServices() {
  fetch_sessions_ = std::make_unique<kafka::FetchSessions>(clock_);
  kafka::Services& services = kafka_services_;
  services.topics = registry_.get();
  services.producer_ids = producer_ids_.get();
  services.pool = pool_.get();
  services.clock = &clock_;
  services.fetch_sessions = fetch_sessions_.get();
  services.groups = groups_.get();
  services.offsets = offsets_.get();
  services.cluster_id = directory_->meta().cluster_id;
  services.data_path = directory_->path();
  services.auto_create_topics = config_.auto_create_topics;
  services.partitions_default = config_.partitions;
  const auto log = spdlog::default_logger()->clone("kafka");
  services.log_info = [log](const std::string& line) { log->info("{}", line); };
  services.count_produced = [this](std::uint32_t records, std::size_t bytes) {
    CountProduced(records, bytes);
  };
  if (config_.advertised.empty()) return;
  const HostPort advertised = *ParseHostPort(config_.advertised);  // the settings' table allows nothing else
  services.advertised_host = advertised.host;
  services.advertised_port = advertised.port;
}

// Before anything is done to the data directory: what fails here leaves it as it was.
absl::Status Broker::TakeAddress() {
  pool_ = std::make_unique<storage::FilePool>(config_.file_threads);
  net::Protocol native;
  native.name = "native";
  native.preface = native::kPreface;
  native.frame_size_max = config_.frame_size_max;
  native.prefix_size = native::kFrameFixedSize;
  native.make_session = [this](std::shared_ptr<net::Channel> channel) -> std::unique_ptr<net::Session> {
    return std::make_unique<native::NativeSession>(native_services_, std::move(channel));
  };
  net::Protocol kafka;
  kafka.name = "Kafka";
  kafka.first_byte_max = kKafkaFirstByteMax;
  kafka.frame_size_max = config_.frame_size_max;
  kafka.prefix_size = kafka::KafkaSession::kPrefixSize;
  kafka.make_session = [this](std::shared_ptr<net::Channel> channel) -> std::unique_ptr<net::Session> {
    return std::make_unique<kafka::KafkaSession>(kafka_services_, std::move(channel));
  };
  server_ = std::make_unique<net::Server>(MakeNetOptions(config_), *pool_,
                                          std::vector<net::Protocol>{native, kafka});
  return server_->Bind();
}

void Broker::LogStart() const {
  spdlog::info("headrace {} listens on {}, data in {}, new topics are {}", kVersion,
               ToString({config_.listen, port()}), config_.data,
               topic::NameOf(config_.topic_defaults.durability));
  spdlog::info("{}", MemoryFormula(config_, registry_->partition_count()));
  if (config_.advertised.empty() && (config_.listen == "0.0.0.0" || config_.listen == "::")) {
    spdlog::warn("listening on every address without \"advertised\": clients are told the address they used");
  }
}

std::uint16_t Broker::port() const {
  return server_->port();
}

std::string Broker::cluster_id() const {
  return native_services_.cluster_id;
}

absl::Status Broker::Stop() {
  opened_ = false;
  server_->StopAccepting();
  groups_->Stop();  // those who wait for a rebalance are answered, and go elsewhere
  server_->CloseAll(std::chrono::steady_clock::now() + kDrainTime);
  janitor_->Stop();
  stopping_.store(true);
  registry_->AwaitAppends();
  // What is queued is written and acknowledged to itself; jobs that follow it run out, and append no more.
  flusher_.reset();
  pool_.reset();
  storage::FilePool closing(config_.file_threads);
  const topic::ClosedLogs closed = registry_->CloseAll(closing);
  const absl::Status marked = directory_->MarkClean(closed.summaries, closed.status.ok());
  if (!marked.ok()) spdlog::warn("the next start looks into every log: {}", MessageOf(marked));
  server_.reset();
  return closed.status;
}

native::BrokerStatus Broker::Status(bool with_connections) const {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - started_;
  native::BrokerStatus status;
  status.uptime_seconds = uptime.count();
  status.cpu_user_seconds = Seconds(usage.ru_utime);
  status.cpu_system_seconds = Seconds(usage.ru_stime);
  status.resident_bytes = ResidentBytes();
  status.open_files = directory_->cache().open_count();
  status.syncs = flusher_->sync_count();
  status.produced_batches = produced_batches_.load();
  status.produced_records = produced_records_.load();
  status.produced_bytes = produced_bytes_.load();
  status.server = server_->Stats();
  if (with_connections) status.connections = server_->Connections();
  return status;
}

}  // namespace headrace::broker
