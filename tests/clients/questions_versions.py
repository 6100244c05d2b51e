"""Every API in every version that both brokers serve, with requests that are in order: what is told apart
here are the forms of requests and answers, field by field. Groups with members: questions_members.py."""

import messages
from asker import create, settled
from questions_groups import commit
from wire import batch

# What is each broker's own, or in its own words; of the rest every field is compared.
_NOT_COMPARED = {"ThrottleTimeMs", "ErrorMessage", "NodeId", "Host", "Port", "ApiKeys", "SupportedFeatures",
                 "FinalizedFeatures", "FinalizedFeaturesEpoch", "LogDir", "ClientHost", "SessionId"}
# Whose numbers and names differ: only whether there is one counts, or how many.
_PRESENCE = {"ClusterId", "ControllerId", "LeaderId", "ReplicaNodes", "IsrNodes", "TopicId", "ProducerId",
             "TotalBytes", "UsableBytes", "PartitionSize", "MemberId", "Leader", "Documentation"}
# The highest version of Headrace where Apache Kafka goes further, as the question about versions holds.
_HIGHEST = {"Fetch": 17, "ListOffsets": 10, "FindCoordinator": 4, "DescribeLogDirs": 4}


def served(name):
    return [each for each in messages.versions(name) if each <= _HIGHEST.get(name, each)]


def plain(asker, value, name=""):
    """An answer without what two brokers cannot have in common: names lose this run's prefix, and lists are
    put in order, as the things in them are told by their names."""
    if name in _PRESENCE:
        return len(value) if isinstance(value, list) else value not in (None, "", -1, bytes(16))
    if isinstance(value, dict):
        return {each: plain(asker, one, each) for each, one in value.items() if each not in _NOT_COMPARED}
    if isinstance(value, tuple):
        return tuple(plain(asker, each) for each in value)
    if isinstance(value, list):
        return sorted((plain(asker, each) for each in value), key=repr)
    return value.removeprefix(f"{asker.prefix}-") if isinstance(value, str) else value


def topic_id(asker, topic):
    answer = asker.call("Metadata", 12, Topics=[{"Name": topic}], AllowAutoTopicCreation=False)
    return answer["Topics"][0]["TopicId"]


def ask_all(asker, name, fields):
    """fields(version) of each version; the answers are put down."""
    for version in served(name):
        asker.note(f"{name} {version}", plain(asker, asker.call(name, version, **fields(version))))


def data(asker):
    topic = asker.name("all-data")
    create(asker, [(topic, 1, 1)])
    settled(asker, topic, 1)
    names = {"Name": topic, "TopicId": topic_id(asker, topic)}
    named = {"Topic": topic, "TopicId": names["TopicId"]}
    records = [{"Index": 0, "Records": batch(b"one", b"two")}]
    ask_all(asker, "Produce", lambda version: {
        "Acks": -1, "TimeoutMs": 10_000, "TopicData": [{**names, "PartitionData": records}]})
    ask_all(asker, "Fetch", lambda version: {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 100_000, "Topics": [
        {**named, "Partitions": [{"Partition": 0, "FetchOffset": 2, "PartitionMaxBytes": 100_000}]}]})
    ask_all(asker, "ListOffsets", lambda version: {"ReplicaId": -1, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]})
    ask_all(asker, "OffsetForLeaderEpoch", lambda version: {"ReplicaId": -1, "Topics": [
        {"Topic": topic, "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": 0, "LeaderEpoch": 0}]}]})
    ask_all(asker, "InitProducerId", lambda version: {"TransactionalId": None, "TransactionTimeoutMs": 1000})
    ask_all(asker, "DeleteRecords", lambda version: {"TimeoutMs": 10_000, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": 0, "Offset": 1 + version}]}]})


def cluster(asker):
    topic = asker.name("all-cluster")
    create(asker, [(topic, 2, 1)])
    settled(asker, topic, 2)
    ask_all(asker, "ApiVersions", lambda version: {
        "ClientSoftwareName": "differential", "ClientSoftwareVersion": "1"})
    ask_all(asker, "Metadata", lambda version: {"Topics": [{"Name": topic}], "AllowAutoTopicCreation": False})
    for version in (12, 13):
        asker.note(f"Metadata {version}, by id", plain(asker, asker.call("Metadata", version, Topics=[
            {"Name": None, "TopicId": topic_id(asker, topic)}, {"Name": None, "TopicId": b"\1" * 16}])))
    ask_all(asker, "DescribeCluster", lambda version: {})
    asker.note("DescribeCluster 1, of controllers",
               asker.call("DescribeCluster", 1, EndpointType=2)["ErrorCode"])
    ask_all(asker, "DescribeLogDirs", lambda version: {"Topics": [{"Topic": topic, "Partitions": [0, 1, 7]}]})
    ask_all(asker, "FindCoordinator", lambda version: {"Key": topic, "CoordinatorKeys": [topic, "another"]})

    def pages(**fields):
        page = asker.call("DescribeTopicPartitions", 0, **fields)
        operations = {each.pop("TopicAuthorizedOperations") for each in page["Topics"]}
        return plain(asker, page), operations
    topics = [{"Name": topic}, {"Name": asker.name("missing")}]
    found, operations = pages(Topics=topics)
    asker.note("DescribeTopicPartitions 0", found)
    asker.note("DescribeTopicPartitions 0, operations that are allowed", operations)
    asker.note("DescribeTopicPartitions 0, a page of one", pages(Topics=topics, ResponsePartitionLimit=1)[0])
    asker.note("DescribeTopicPartitions 0, the page after it", pages(
        Topics=topics, Cursor={"TopicName": topic, "PartitionIndex": 1})[0])
    asker.note("DescribeTopicPartitions 0, a name that cannot be", pages(Topics=[{"Name": "a/b"}])[0])


def topics(asker):
    def new(kind, version):
        return asker.name(f"all-{kind}-{version}")

    for version in served("CreateTopics"):
        answer = asker.call("CreateTopics", version, timeoutMs=10_000, Topics=[
            {"Name": new("made", version), "NumPartitions": 2, "ReplicationFactor": 1,
             "Configs": [{"Name": "retention.ms", "Value": "1234567"}]}])
        for each in answer["Topics"]:  # from version 5 on all settings are listed; the one set counts
            configs = each.get("Configs", [])
            each["Configs"] = [one for one in configs if one["Name"] == "retention.ms"], len(configs) > 1
        asker.note(f"CreateTopics {version}", plain(asker, answer))
        settled(asker, new("made", version), 2)
    ask_all(asker, "CreatePartitions", lambda version: {"TimeoutMs": 10_000, "Topics": [
        {"Name": new("made", 2 + version), "Count": 3, "Assignments": None}]})
    resource = {"ResourceType": 2, "ResourceName": new("made", 7)}
    ask_all(asker, "DescribeConfigs", lambda version: {"Resources": [
        {**resource, "ConfigurationKeys": ["retention.ms", "segment.ms"]}], "IncludeSynonyms": False})
    change = {"Name": "segment.ms", "Value": "7654321", "ConfigOperation": 0}
    ask_all(asker, "IncrementalAlterConfigs",
            lambda version: {"Resources": [{**resource, "Configs": [change]}]})
    ask_all(asker, "AlterConfigs", lambda version: {"Resources": [
        {**resource, "Configs": [{"Name": "segment.ms", "Value": "7654321"}]}]})
    ask_all(asker, "DeleteTopics", lambda version: {
        "TimeoutMs": 10_000, "TopicNames": [new("made", version)], "Topics": [{"Name": new("made", 7)}]})
    asker.note("DeleteTopics 6, by id", plain(asker, asker.call("DeleteTopics", 6, TimeoutMs=10_000, Topics=[
        {"Name": None, "TopicId": topic_id(asker, new("made", 6))}, {"Name": None, "TopicId": b"\1" * 16}])))


def positions(asker):
    topic = asker.name("all-positions")
    create(asker, [(topic, 1, 1)])
    settled(asker, topic, 1)
    names = {"Name": topic, "TopicId": topic_id(asker, topic)}

    def group(version):
        return asker.name(f"all-group-{version}")

    ask_all(asker, "OffsetCommit", lambda version: {
        "GroupId": group(version), "GenerationIdOrMemberEpoch": -1, "Topics": [{**names, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": version, "CommittedMetadata": "text"}]}]})
    ask_all(asker, "OffsetFetch", lambda version: {
        "GroupId": group(2 + version % 3), "Topics": [{"Name": topic, "PartitionIndexes": [0, 7]}],
        "Groups": [{"GroupId": group(9), "Topics": [{**names, "PartitionIndexes": [0, 7]}]},
                   {"GroupId": asker.name("nothing"), "Topics": None}]})
    ask_all(asker, "DescribeGroups", lambda version: {"Groups": [group(2), asker.name("nothing")]})
    ask_all(asker, "ConsumerGroupDescribe", lambda version: {"GroupIds": [group(2), asker.name("nothing")]})
    for version in served("ListGroups"):
        found = asker.call("ListGroups", version)
        found["Groups"] = [each for each in found["Groups"] if each["GroupId"] in (group(2), group(3))]
        asker.note(f"ListGroups {version}", plain(asker, found))
    asker.note("ListGroups 5, of a state and a type that none has", asker.call(
        "ListGroups", 5, StatesFilter=["Dead"], TypesFilter=["share"])["Groups"])
    asker.note("OffsetDelete 0", plain(asker, asker.call("OffsetDelete", 0, GroupId=group(2), Topics=[
        {"Name": topic, "Partitions": [{"PartitionIndex": 0}]}])))
    commit(asker, group(2), topic, 1)
    ask_all(asker, "DeleteGroups",
            lambda version: {"GroupsNames": [group(2 + version), asker.name("nothing")]})


ALL = [data, cluster, topics, positions]
