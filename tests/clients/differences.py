"""Where Headrace answers differently from Apache Kafka, to the letter, and why. Whoever changes an answer of
Headrace changes it here too, and then writes README.md anew (`differential.py --list`)."""

# What Headrace does not serve, and so does not advertise: Apache Kafka's versions.
NOT_SERVED = {
    # transactions
    "AddPartitionsToTxn": "0-5", "AddOffsetsToTxn": "0-4", "EndTxn": "0-5", "WriteTxnMarkers": "1-2",
    "TxnOffsetCommit": "0-5", "DescribeTransactions": "0-0", "ListTransactions": "0-2",
    "DescribeProducers": "0-0",
    # authentication, access control, quotas
    "SaslHandshake": "0-1", "SaslAuthenticate": "0-2", "DescribeAcls": "1-3", "CreateAcls": "1-3",
    "DeleteAcls": "1-3", "CreateDelegationToken": "1-3", "RenewDelegationToken": "1-2",
    "ExpireDelegationToken": "1-2", "DescribeDelegationToken": "1-3", "DescribeClientQuotas": "0-1",
    "AlterClientQuotas": "0-1", "DescribeUserScramCredentials": "0-0", "AlterUserScramCredentials": "0-0",
    # several brokers
    "AlterReplicaLogDirs": "1-2", "ElectLeaders": "0-2", "AlterPartitionReassignments": "0-1",
    "ListPartitionReassignments": "0-0", "DescribeQuorum": "0-2", "UpdateFeatures": "0-2",
    "UnregisterBroker": "0-0", "AddRaftVoter": "0-1", "RemoveRaftVoter": "0-0",
    # share groups, stream groups, settings of clients and groups
    "ShareGroupHeartbeat": "1-1", "ShareGroupDescribe": "1-1", "ShareFetch": "1-2", "ShareAcknowledge": "1-2",
    "InitializeShareGroupState": "0-0", "ReadShareGroupState": "0-0", "WriteShareGroupState": "0-1",
    "DeleteShareGroupState": "0-0", "ReadShareGroupStateSummary": "0-1", "DescribeShareGroupOffsets": "0-1",
    "AlterShareGroupOffsets": "0-0", "DeleteShareGroupOffsets": "0-0", "StreamsGroupHeartbeat": "0-0",
    "StreamsGroupDescribe": "0-0", "ListConfigResources": "0-1",
}

# (why, {question: (Apache Kafka's answer, Headrace's answer)})
DECIDED = [
    ("the versions that clients choose, which end before those of tiered storage and share groups, and some "
     "that older clients still do",
     {"versions: Fetch": ("4-18", "4-17"), "versions: ListOffsets": ("1-11", "1-10"),
      "versions: FindCoordinator": ("0-6", "0-4"), "versions: CreateTopics": ("2-7", "0-7"),
      "versions: DeleteTopics": ("1-6", "0-6"), "versions: DescribeLogDirs": ("1-5", "1-4")}),
    ("there are no transactions yet: refused at once with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which "
     "clients do not retry; a batch of one with INVALID_TXN_STATE, since none can be open",
     {"find coordinator: transaction": ([0], [53]), "init producer id: no name": (42, 53),
      "init producer id: transactional": ([0], [53]), "produce: a transactional batch": (53, 48)}),
    ("Apache Kafka refuses them for the names of its metrics, where both are one; Headrace has no such",
     {"create: two topics that differ only in . and _": ([[0], [17]], [[0], [0]])}),
    ("defaults of its own: smaller segments; 1 MiB without the 12 bytes of an older format's header",
     {"config: segment.bytes": (("1073741824", 0, 5, 0), ("268435456", 0, 5, 0)),
      "config: max.message.bytes": (("1048588", 0, 5, 0), ("1048576", 0, 5, 0))}),
    ("the same value; Apache Kafka keeps it as a setting of the cluster",
     {"config: min.insync.replicas": (("1", 0, 3, 0), ("1", 0, 5, 0))}),
    ("refused either way: INVALID_REQUEST for an operation that the key does not have or nobody knows, "
     "INVALID_CONFIG for a value that is none",
     {"alter: append to a number": ([40], [42]), "alter: unknown operation": ([-1], [42]),
      "alter: no value": ([42], [40])}),
    ("refused either way; a request to the controllers finds none beside the broker",
     {"DescribeCluster 1, of controllers": (114, 42)}),
    ("without access control there is no list of what is allowed",
     {"DescribeTopicPartitions 0, operations that are allowed": ({3576}, {-2147483648})}),
    ("UNSUPPORTED_FOR_MESSAGE_FORMAT says what is wrong; clients have not sent such batches since 2017",
     {"produce: a batch of magic 1": (87, 43)}),
    ("UNSUPPORTED_COMPRESSION_TYPE says what is wrong; Apache Kafka answers UNKNOWN_SERVER_ERROR",
     {"produce: a codec that is none": (-1, 76)}),
    ("what is cut short arrived damaged: CORRUPT_MESSAGE, which may be sent again",
     {"produce: half a batch": (87, 2), "produce: half a header": (87, 2)}),
    ("the offset is the same; Apache Kafka answers a duplicate with a time of append, without need",
     {"sequences: the first again": ((0, 0, True, 0), (0, 0, False, 0)),
      "sequences: 6 once more, of 6": ((0, 10, True, 0), (0, 10, False, 0)),
      "sequences: 2 once more, of 6": ((0, 6, True, 0), (0, 6, False, 0))}),
    ("INVALID_RECORD: it is not the batch that was sent under this number before; Apache Kafka acknowledges "
     "it and does not write it",
     {"sequences: the last once more, with another record": ((0, 10, True, 0), 87)}),
    ("Headrace sends whole batches; Apache Kafka cuts the last one short, and clients throw that away",
     {"fetch: a limit within the second batch": ((0, 0, [(0, 6, 0, 500)]), (0, 0, [(0, 6, 0, 380)]))}),
    ("Apache Kafka still keeps positions under no name, for clients before 2.2; here a group has a name",
     {"commit: with no name of a group": (0, 24), "delete group: with no name": ([0], [69])}),
    ("a group without members is gone with its last position",
     {"delete offsets: unknown topic": ((0, [[3]]), (69, []))}),
    ("what a member subscribes to is known before all have joined",
     {"two members: what each wants is described while they join": ([False, False], [True, True]),
      "two members: what each wants is described while they wait": ([False, False], [True, True])}),
    ("members are not kept over a restart of the broker: UNKNOWN_MEMBER_ID lets them join again, where "
     "GROUP_ID_NOT_FOUND is final to librdkafka",
     {"consumer: unknown member of no group": ((69, False, False), (25, False, False))}),
    ("a group's first epoch is 1 here, so the one before it is 0, which joins",
     {"consumer: an epoch long gone": ((110, False, False), (42, False, False))}),
    ("the member's epoch is checked in every version alike",
     {"consumer: commit in a version before it": (35, 0)}),
    ("null says that there is none; a member that has left does not beat",
     {"a consumer's life 0: is described without a regular expression": ("", None),
      "a consumer's life 1: is described without a regular expression": ("", None),
      "a consumer's life 0: is told to beat, in ms, after it left": (0, 5000),
      "a consumer's life 1: is told to beat, in ms, after it left": (0, 5000)}),
]
