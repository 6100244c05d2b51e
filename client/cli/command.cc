#include "client/cli/command.h"

#include <unistd.h>

#include <chrono>

#include <nlohmann/json.hpp>

#include "client/cli/text.h"
#include "headrace/admin.h"
#include "protocol/core/utf8.h"

namespace headrace::cli {
void PrintNote(std::string_view line) {
  const std::string text = Printable(line) + '\n';
  // Nothing can be done about a standard error that does not take it.
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

ClientOptions Context::ClientOptionsFor(std::string_view command) const {
  ClientOptions options(broker);
  options.client_id = "headrace " + std::string(command);
  return options;
}

void SetBytes(nlohmann::ordered_json& document, const std::string& name, const std::string& bytes) {
  if (IsUtf8(bytes)) {
    document[name] = bytes;
    return;
  }
  std::string encoded;
  AppendBase64(encoded, bytes);
  document[name + "_base64"] = encoded;
}

void Context::PrintJson(const nlohmann::ordered_json& document) {
  output.Write(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

int Context::Report(const Error& error, int exit_code) const {
  if (!json) {
    PrintNote("headrace: " + error.message);
    return exit_code;
  }
  const nlohmann::ordered_json document = {
      {"error", {{"code", error.code}, {"message", error.message}, {"retriable", error.retriable}}}};
  PrintNote(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return exit_code;
}

int Context::Fail(const Error& error) {
  return Report(error, error.code == error_number::kNetwork ? kCannotConnect : kFailed);
}

int Context::Fail(std::string_view message) {
  return Report({error_number::kUnknown, std::string(message), false}, kFailed);
}

int Context::FailUsage(std::string_view message) {
  return Report({error_number::kInvalidRequest, std::string(message), false}, kUsage);
}

int Context::FailToConnect(const Error& error) {
  const bool unreachable = error.code == error_number::kNetwork || error.code == error_number::kTimedOut;
  if (error.code == error_number::kInvalidRequest)
    return Report(error, kUsage);  // such as the address itself
  return Report(error, unreachable ? kCannotConnect : kFailed);
}

int Context::FailForTopic(Error error, std::string_view topic) {
  // The broker may have named a similar topic itself.
  const bool explained = error.message.find("did you mean") != std::string::npos;
  if (error.code != error_number::kUnknownTopicOrPartition || explained) return FailToConnect(error);
  Result<Admin> admin = Admin::Connect(ClientOptionsFor("help"));
  if (!admin) return Fail(error);
  const Result<std::vector<TopicInfo>> topics = admin->ListTopics();
  if (!topics) return Fail(error);
  std::vector<std::string> names;
  for (const TopicInfo& info : *topics) names.push_back(info.name);
  const std::vector<std::string> similar = SimilarNames(topic, names);
  for (std::size_t i = 0; i < similar.size() && similar[0] != topic; ++i) {
    error.message += (i == 0 ? "; similar: " : ", ") + similar[i];
  }
  return Fail(error);
}

Result<std::pair<std::string, std::string>> ParseKeyValue(std::string_view text, std::string_view option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Error{error_number::kInvalidRequest,
                 std::string(option) + " '" + std::string(text) + "' is not of the form key=value", false};
  }
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

std::int64_t WallNowMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace headrace::cli
