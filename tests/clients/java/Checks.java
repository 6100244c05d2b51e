// Apache Kafka's Java client against a broker: Checks BROKER RECORDS_FILE PREFIX. One line per check.

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

public class Checks {
  static final int ORDER_COUNT = 10_000;
  static final int GROUP_PARTITIONS = 4;

  interface Check {
    void run() throws Exception;
  }

  static class Skipped extends RuntimeException {
    Skipped(String why) {
      super(why);
    }
  }

  final String broker;
  final String prefix;
  final List<ProducerRecord<byte[], byte[]>> records;
  final Admin admin;

  Checks(String broker, Path recordsFile, String prefix) throws Exception {
    this.broker = broker;
    this.prefix = prefix;
    records = Files.readAllLines(recordsFile).stream().map(line -> parse("", line)).toList();
    admin = Admin.create(Map.of("bootstrap.servers", broker));
  }

  // --- What checks share

  static byte[] bytes(String text) {
    return text.equals("-") ? null : HexFormat.of().parseHex(text);
  }

  static ProducerRecord<byte[], byte[]> parse(String topic, String line) {
    String[] fields = line.split("\t", -1);
    List<Header> headers = new ArrayList<>();
    for (String pair : fields[3].isEmpty() ? new String[0] : fields[3].split(",")) {
      headers.add(new RecordHeader(pair.split("=", -1)[0], bytes(pair.split("=", -1)[1])));
    }
    return new ProducerRecord<>(topic, 0, Long.valueOf(fields[0]), bytes(fields[1]), bytes(fields[2]), headers);
  }

  static void expect(String what, Object got, Object wanted) {
    if (!Objects.deepEquals(got, wanted)) {
      throw new AssertionError(what + ": got " + got + ", expected " + wanted);
    }
  }

  static void expectError(Class<?> wanted, Future<?> future) throws Exception {
    try {
      future.get();
    } catch (ExecutionException error) {
      expect("error", error.getCause().getClass().getSimpleName(), wanted.getSimpleName());
      return;
    }
    throw new AssertionError("no " + wanted.getSimpleName());
  }

  static void until(String what, BooleanSupplier condition) {
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("not within 20 s: " + what);
      }
    }
  }

  static <T> T get(Future<T> future) {
    try {
      return future.get();
    } catch (Exception error) {
      throw new RuntimeException(error);
    }
  }

  String topic(String name, int partitions) throws Exception {
    String topic = prefix + "-" + name;
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    return topic;
  }

  Properties settings(Map<String, Object> changed) {
    Properties all = new Properties();
    all.put("bootstrap.servers", broker);
    all.putAll(changed);
    return all;
  }

  Producer<byte[], byte[]> producer(Map<String, Object> changed) {
    return new KafkaProducer<>(settings(changed), new ByteArraySerializer(), new ByteArraySerializer());
  }

  Consumer<byte[], byte[]> consumer(Map<String, Object> changed) {
    Map<String, Object> all = new LinkedHashMap<>(
        Map.of("auto.offset.reset", "earliest", "enable.auto.commit", "false", "fetch.max.wait.ms", "50"));
    all.putAll(changed);
    if (!"consumer".equals(all.get("group.protocol"))) {  // where the broker sets these
      all.put("heartbeat.interval.ms", "300");
      all.put("session.timeout.ms", "6000");
    }
    return new KafkaConsumer<>(settings(all), new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static void poll(Consumer<byte[], byte[]> consumer, Collection<ConsumerRecord<byte[], byte[]>> found) {
    consumer.poll(Duration.ofMillis(50)).forEach(found::add);
  }

  static String text(ConsumerRecord<byte[], byte[]> record) {
    return new String(record.value(), StandardCharsets.UTF_8);
  }

  List<ConsumerRecord<byte[], byte[]>> read(String topic, int partition, int count) {
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    try (Consumer<byte[], byte[]> consumer = consumer(Map.of())) {
      TopicPartition where = new TopicPartition(topic, partition);
      consumer.assign(List.of(where));
      consumer.seekToBeginning(List.of(where));
      until(count + " records of " + topic, () -> {
        poll(consumer, found);
        return found.size() >= count;
      });
    }
    return found;
  }

  void produceNumbers(String topic, int count, int partitions, Map<String, Object> changed) throws Exception {
    produceNumbers(topic, 0, count, partitions, changed);
  }

  void produceNumbers(String topic, int begin, int end, int partitions, Map<String, Object> changed)
      throws Exception {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    try (Producer<byte[], byte[]> producer = producer(changed)) {
      for (int n = begin; n < end; n++) {
        sent.add(producer.send(new ProducerRecord<>(topic, n % partitions, null, String.valueOf(n).getBytes())));
      }
    }
    for (Future<RecordMetadata> each : sent) {
      each.get();
    }
  }

  // --- Producing, consuming, finding

  void metadata() throws Exception {
    String topic = topic("metadata", 3);
    TopicDescription found = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    expect("partitions", found.partitions().size(), 3);
    expect("leaders", found.partitions().stream().allMatch(each -> each.leader() != null), true);
    try (Producer<byte[], byte[]> producer = producer(Map.of())) {
      expect("as producers see it", producer.partitionsFor(topic).size(), 3);
    }
  }

  void codec(String codec) throws Exception {
    String topic = topic(codec, 1);
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    try (Producer<byte[], byte[]> producer = producer(Map.of("compression.type", codec, "linger.ms", "20"))) {
      for (ProducerRecord<byte[], byte[]> each : records) {
        sent.add(producer.send(new ProducerRecord<>(
            topic, 0, each.timestamp(), each.key(), each.value(), each.headers())));
      }
    }
    for (int n = 0; n < sent.size(); n++) {
      expect("offset", sent.get(n).get().offset(), (long) n);
    }
    List<ConsumerRecord<byte[], byte[]>> found = read(topic, 0, records.size());
    for (int n = 0; n < records.size(); n++) {
      expect("timestamp of " + n, found.get(n).timestamp(), records.get(n).timestamp());
      expect("key of " + n, found.get(n).key(), records.get(n).key());
      expect("value of " + n, found.get(n).value(), records.get(n).value());
      expect("headers of " + n, found.get(n).headers().toArray(), records.get(n).headers().toArray());
    }
  }

  void order(String name, Map<String, Object> changed) throws Exception {
    String topic = topic(name, 2);
    produceNumbers(topic, ORDER_COUNT, 2, changed);
    for (int partition = 0; partition < 2; partition++) {
      List<ConsumerRecord<byte[], byte[]>> found = read(topic, partition, ORDER_COUNT / 2);
      expect("count", found.size(), ORDER_COUNT / 2);
      for (int n = 0; n < found.size(); n++) {
        expect("record " + n, text(found.get(n)), String.valueOf(2 * n + partition));
      }
    }
  }

  void byTime() throws Exception {
    TopicPartition where = new TopicPartition(prefix + "-zstd", 0);
    try (Consumer<byte[], byte[]> consumer = consumer(Map.of())) {
      for (int n : new int[] {0, 7, records.size() - 1}) {
        long time = records.get(n).timestamp();
        expect("at " + n, consumer.offsetsForTimes(Map.of(where, time)).get(where).offset(), (long) n);
        expect("before " + n, consumer.offsetsForTimes(Map.of(where, time - 1)).get(where).timestamp(), time);
      }
      long last = records.get(records.size() - 1).timestamp();
      expect("after the last", consumer.offsetsForTimes(Map.of(where, last + 1)).get(where), null);
      expect("earliest", consumer.beginningOffsets(List.of(where)).get(where), 0L);
      expect("latest", consumer.endOffsets(List.of(where)).get(where), (long) records.size());
    }
  }

  void maxTimestamp() throws Exception {
    TopicPartition where = new TopicPartition(prefix + "-zstd", 0);
    var found = admin.listOffsets(Map.of(where, OffsetSpec.maxTimestamp())).partitionResult(where).get();
    expect("offset", found.offset(), (long) records.size() - 1);
    expect("timestamp", found.timestamp(), records.get(records.size() - 1).timestamp());
  }

  // --- Groups

  void group(String name, Map<String, Object> changed) throws Exception {
    String topic = topic(name, GROUP_PARTITIONS);
    Map<String, Object> all = new LinkedHashMap<>(changed);
    all.put("group.id", topic);
    all.put("enable.auto.commit", "true");
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    try (Consumer<byte[], byte[]> first = consumer(all)) {
      first.subscribe(List.of(topic));
      until("the first has all", () -> shares(found, first).equals(List.of(4)));
      try (Consumer<byte[], byte[]> second = consumer(all)) {
        second.subscribe(List.of(topic));
        until("each has half", () -> shares(found, first, second).equals(List.of(2, 2)));
        Set<TopicPartition> both = new HashSet<>(first.assignment());
        both.addAll(second.assignment());
        expect("no partition twice", both.size(), GROUP_PARTITIONS);
        until("it is described with its members", () -> {
          shares(found, first, second);
          return isDescribedWith(topic, both);
        });
        produceNumbers(topic, 0, 400, GROUP_PARTITIONS, Map.of());
        readEachOnce(found, 400, first, second);
      }
      until("the first has all again", () -> shares(found, first).equals(List.of(4)));
      produceNumbers(topic, 400, 800, GROUP_PARTITIONS, Map.of());
      readEachOnce(found, 800, first);  // after anything that the second had read and would be read again
    }
    expect("after both left", describeGroup(topic).groupState(), GroupState.EMPTY);
    expect("its members", describeGroup(topic).members().size(), 0);
  }

  @SafeVarargs
  static void readEachOnce(
      Collection<ConsumerRecord<byte[], byte[]>> found, int count, Consumer<byte[], byte[]>... members) {
    until("all are read", () -> {
      shares(found, members);
      return found.size() >= count;
    });
    expect("records", found.size(), count);
    expect("each once", found.stream().map(Checks::text).distinct().count(), (long) count);
  }

  ConsumerGroupDescription describeGroup(String group) {
    return get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
  }

  /** Whether a group is stable, with two members that have half of these partitions each. */
  boolean isDescribedWith(String group, Set<TopicPartition> partitions) {
    ConsumerGroupDescription described = describeGroup(group);
    Set<TopicPartition> assigned = new HashSet<>();
    for (MemberDescription member : described.members()) {
      expect("where it is", member.host().isEmpty() || member.clientId().isEmpty(), false);
      if (member.assignment().topicPartitions().size() != partitions.size() / 2) {
        return false;
      }
      assigned.addAll(member.assignment().topicPartitions());
    }
    return described.groupState() == GroupState.STABLE && described.members().size() == 2
        && assigned.equals(partitions);
  }

  @SafeVarargs
  static List<Integer> shares(
      Collection<ConsumerRecord<byte[], byte[]>> found, Consumer<byte[], byte[]>... members) {
    Arrays.stream(members).forEach(each -> poll(each, found));
    return Arrays.stream(members).map(each -> each.assignment().size()).toList();
  }

  void staticMember() throws Exception {
    String topic = topic("static", GROUP_PARTITIONS);
    Map<String, Object> one = Map.of("group.id", topic, "group.instance.id", "one");
    Map<String, Object> two = Map.of("group.id", topic, "group.instance.id", "two");
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    Consumer<byte[], byte[]> first = consumer(one);
    first.subscribe(List.of(topic));
    until("the first has all", () -> shares(found, first).equals(List.of(4)));
    Consumer<byte[], byte[]> second = consumer(two);
    second.subscribe(List.of(topic));
    until("each has half", () -> shares(found, first, second).equals(List.of(2, 2)));
    // The one that led, then the other: neither asks for what it asked for when it was new.
    try (Consumer<byte[], byte[]> firstAgain = restarted(topic, one, first, second)) {
      restarted(topic, two, second, firstAgain).close();
    }
    var members = List.of(new MemberToRemove("one"), new MemberToRemove("two"));
    admin.removeMembersFromConsumerGroup(topic, new RemoveMembersFromConsumerGroupOptions(members)).all().get();
  }

  /** A static member in the place of `old`: it is back with the same partitions, and nobody rebalances. */
  Consumer<byte[], byte[]> restarted(String topic, Map<String, Object> settings, Consumer<byte[], byte[]> old,
      Consumer<byte[], byte[]> other) {
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    Set<TopicPartition> before = Set.copyOf(old.assignment());
    int generation = other.groupMetadata().generationId();
    old.close();
    Consumer<byte[], byte[]> again = consumer(settings);
    again.subscribe(List.of(topic));
    until("it is back", () -> shares(found, other, again).equals(List.of(2, 2)));
    expect("its partitions", again.assignment(), before);
    expect("generation", again.groupMetadata().generationId(), generation);
    expect("the other's generation", other.groupMetadata().generationId(), generation);
    return again;
  }

  /** Runs the program `headrace` of the broker under test to its end. */
  void headrace(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(
        List.of(System.getenv("HEADRACE_BIN") + "/headrace", "--broker", broker));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    expect(String.join(" ", arguments) + ": " + output, process.waitFor(), 0);
  }

  /** What tests/clients/live_seek.py does, for members of this client. */
  void seek(String name, Map<String, Object> changed, boolean statically) throws Exception {
    if (!"headrace".equals(System.getenv("HEADRACE_BROKER_KIND")) || System.getenv("HEADRACE_BIN") == null) {
      throw new Skipped("a group is sought by the program headrace, of a Headrace built here");
    }
    String topic = topic(name, 2);
    produceNumbers(topic, 200, 2, Map.of());
    List<Consumer<byte[], byte[]>> members = new ArrayList<>();
    for (String instance : List.of("one", "two")) {
      Map<String, Object> all = new LinkedHashMap<>(changed);
      all.putAll(Map.of("group.id", topic, "enable.auto.commit", "true", "auto.commit.interval.ms", "50"));
      if (statically) {
        all.put("group.instance.id", instance);
      }
      members.add(consumer(all));
      members.get(members.size() - 1).subscribe(List.of(topic));
    }
    try {
      seekWhileRead(topic, members);
    } finally {
      members.forEach(Consumer::close);
    }
  }

  void seekWhileRead(String topic, List<Consumer<byte[], byte[]>> members) throws Exception {
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    Runnable read = () -> members.forEach(each -> poll(each, found));
    until("all is read and committed", () -> {
      read.run();
      return committed(topic).equals(List.of(100L, 100L));
    });

    // While they read, and have read what is not committed yet.
    produceNumbers(topic, 200, 2, Map.of());
    until("more is read", () -> {
      read.run();
      return found.size() > 200;
    });
    Thread seeking = new Thread(() -> {
      try {
        headrace("group", "seek", topic, "--to", "earliest");
      } catch (Exception error) {
        throw new RuntimeException(error);
      }
    });
    Throwable[] failed = new Throwable[1];
    seeking.setUncaughtExceptionHandler((thread, error) -> failed[0] = error);
    seeking.start();
    until("it is sought and all is read again", () -> {
      read.run();
      return failed[0] != null || readAgain(found, 2, 200);
    });
    seeking.join();
    expect("seeking", failed[0], null);

    // While they hold what is not committed, and do not poll: nobody but a former member could commit.
    produceNumbers(topic, 200, 2, Map.of());
    until("the rest is read", () -> {
      read.run();
      return readAgain(found, 2, 300);
    });
    headrace("group", "seek", topic, "--to", "earliest");
    for (int look = 0; look < 1000; look++) {  // some auto-commit intervals long
      expect("committed", committed(topic), List.of(0L, 0L));
    }
    found.clear();
    until("it is read once more", () -> {
      read.run();
      return readAgain(found, 1, 300);
    });
  }

  /**
   * Whether each partition was begun so often, and since then read whole. What a member had fetched before it
   * knew of the seek may stand in between, so the order says nothing.
   */
  static boolean readAgain(List<ConsumerRecord<byte[], byte[]>> found, int begun, long end) {
    for (int partition = 0; partition < 2; partition++) {
      int beginnings = 0;
      Set<Long> read = new HashSet<>();
      for (ConsumerRecord<byte[], byte[]> each : found) {
        if (each.partition() == partition && each.offset() == 0) {
          beginnings++;
          read.clear();
        }
        if (each.partition() == partition) {
          read.add(each.offset());
        }
      }
      if (beginnings < begun || read.size() < end) {
        return false;
      }
    }
    return true;
  }

  /** What the group has committed in each partition, by its number. */
  List<Long> committed(String group) {
    try {
      return offsets(group).entrySet().stream()
          .sorted(Comparator.comparingInt(each -> each.getKey().partition()))
          .map(each -> each.getValue().offset()).toList();
    } catch (Exception error) {
      throw new RuntimeException(error);
    }
  }

  void resume() throws Exception {
    TopicPartition where = new TopicPartition(prefix + "-none", 0);
    Map<String, Object> all = Map.of("group.id", prefix + "-resume");
    try (Consumer<byte[], byte[]> consumer = consumer(all)) {
      consumer.subscribe(List.of(where.topic()));
      until("some records", () -> consumer.poll(Duration.ofMillis(50)).count() > 0);
      consumer.commitSync(Map.of(where, new OffsetAndMetadata(5, "five")));
    }
    try (Consumer<byte[], byte[]> consumer = consumer(all)) {
      consumer.subscribe(List.of(where.topic()));
      List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
      until("more records", () -> shares(found, consumer).size() + found.size() > 1);
      expect("resumed at", found.get(0).offset(), 5L);
      expect("metadata", consumer.committed(Set.of(where)).get(where).metadata(), "five");
    }
  }

  // --- Administration

  void topics() throws Exception {
    String topic = topic("topics", 2);
    NewTopic again = new NewTopic(topic, 1, (short) 1);
    expectError(TopicExistsException.class, admin.createTopics(List.of(again)).all());
    NewTopic replicated = new NewTopic(topic + "-3", 1, (short) 3);
    expectError(InvalidReplicationFactorException.class, admin.createTopics(List.of(replicated)).all());
    NewTopic misnamed = new NewTopic("no/name", 1, (short) 1);
    expectError(InvalidTopicException.class, admin.createTopics(List.of(misnamed)).all());
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
    expectError(InvalidPartitionsException.class,
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all());
    until("five partitions",
        () -> get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size() == 5);
    admin.deleteTopics(List.of(topic)).all().get();
    until("the topic is gone", () -> !get(admin.listTopics().names()).contains(topic));
    expectError(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of(topic)).all());
  }

  void configs() throws Exception {
    ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, topic("configs", 1));
    until("the topic is known", () -> !described(topic, "retention.ms").isEmpty());
    String before = described(topic, "retention.ms");
    admin.incrementalAlterConfigs(Map.of(topic, List.of(
        new AlterConfigOp(new ConfigEntry("retention.ms", "123456789"), AlterConfigOp.OpType.SET),
        new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SET)))).all().get();
    until("the change is described", () -> described(topic, "retention.ms").equals("123456789"));
    Config found = describe(topic);
    expect("source", found.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
    expect("cleanup.policy", found.get("cleanup.policy").value(), "compact");
    admin.incrementalAlterConfigs(Map.of(topic, List.of(
        new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE)))).all().get();
    until("the default is back", () -> described(topic, "retention.ms").equals(before));
    expectError(InvalidConfigurationException.class, admin.incrementalAlterConfigs(Map.of(topic, List.of(
        new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET)))).all());
    ConfigResource node = new ConfigResource(ConfigResource.Type.BROKER, nodeId());
    expect("the broker's own", describe(node).entries().isEmpty(), false);
  }

  Config describe(ConfigResource resource) throws Exception {
    return admin.describeConfigs(List.of(resource)).all().get().get(resource);
  }

  String described(ConfigResource resource, String name) {
    try {
      return describe(resource).get(name).value();
    } catch (Exception notKnownYet) {
      return "";
    }
  }

  String nodeId() throws Exception {
    return admin.describeCluster().nodes().get().iterator().next().idString();
  }

  void deleteRecords() throws Exception {
    TopicPartition where = new TopicPartition(prefix + "-lz4", 0);
    long low = admin.deleteRecords(Map.of(where, RecordsToDelete.beforeOffset(7))).lowWatermarks().get(where)
        .get().lowWatermark();
    expect("low mark", low, 7L);
    expect("the first left", read(where.topic(), 0, 1).get(0).offset(), 7L);
    expectError(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
        admin.deleteRecords(Map.of(where, RecordsToDelete.beforeOffset(1_000_000))).all());
  }

  void offsetsAdmin() throws Exception {
    String group = prefix + "-resume";
    TopicPartition where = new TopicPartition(prefix + "-none", 0);
    admin.alterConsumerGroupOffsets(group, Map.of(where, new OffsetAndMetadata(3))).all().get();
    expect("altered", offsets(group).get(where).offset(), 3L);
    admin.deleteConsumerGroupOffsets(group, Set.of(where)).all().get();
    expect("deleted", offsets(group).get(where), null);
  }

  Map<TopicPartition, OffsetAndMetadata> offsets(String group) throws Exception {
    return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
  }

  void groupsAdmin() throws Exception {
    String group = prefix + "-group_range";
    expect("listed", groups().contains(group), true);
    expect("state", describeGroup(group).groupState(), GroupState.EMPTY);
    admin.deleteConsumerGroups(List.of(group)).all().get();
    expect("listed still", groups().contains(group), false);
    expectError(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of(group)).all());
  }

  List<String> groups() throws Exception {
    return admin.listGroups().all().get().stream().map(GroupListing::groupId).toList();
  }

  void cluster() throws Exception {
    var cluster = admin.describeCluster();
    expect("brokers", cluster.nodes().get().size(), 1);
    expect("an id", cluster.clusterId().get().isEmpty(), false);
    int node = Integer.parseInt(nodeId());
    var directories = admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node);
    TopicPartition where = new TopicPartition(prefix + "-none", 0);
    boolean listed = directories.values().stream().anyMatch(each ->
        each.replicaInfos().containsKey(where) && each.replicaInfos().get(where).size() > 0);
    expect("its log is listed", listed, true);
  }

  void transactions() throws Exception {
    if (!"headrace".equals(System.getenv("HEADRACE_BROKER_KIND"))) {
      throw new Skipped("this broker has transactions");
    }
    try (Producer<byte[], byte[]> producer = producer(Map.of("transactional.id", prefix))) {
      producer.initTransactions();
      throw new AssertionError("not refused");
    } catch (TransactionalIdAuthorizationException refused) {
      return;
    }
  }

  // --- The list

  Map<String, Check> all() {
    Map<String, Check> all = new LinkedHashMap<>();
    all.put("metadata", this::metadata);
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      all.put(codec, () -> codec(codec));
    }
    all.put("order", () -> order("order", Map.of(
        "enable.idempotence", "false", "linger.ms", "5", "max.in.flight.requests.per.connection", "1")));
    all.put("idempotent", () -> order("idempotent", Map.of("linger.ms", "1", "batch.size", "1000")));
    Map<String, Class<?>> assignors = new LinkedHashMap<>();
    assignors.put("range", RangeAssignor.class);
    assignors.put("roundrobin", RoundRobinAssignor.class);
    assignors.put("sticky", StickyAssignor.class);
    assignors.put("cooperative-sticky", CooperativeStickyAssignor.class);
    assignors.forEach((name, assignor) -> all.put("group_" + name, () -> group("group_" + name,
        Map.of("group.protocol", "classic", "partition.assignment.strategy", assignor.getName()))));
    all.put("group_consumer", () -> group("group_consumer", Map.of("group.protocol", "consumer")));
    all.put("static_member", this::staticMember);
    Map<String, Object> eager = Map.of(
        "group.protocol", "classic", "partition.assignment.strategy", RangeAssignor.class.getName());
    Map<String, Object> cooperative = Map.of(
        "group.protocol", "classic", "partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
    all.put("seek_eager", () -> seek("seek_eager", eager, false));
    all.put("seek_cooperative-sticky", () -> seek("seek_cooperative-sticky", cooperative, false));
    all.put("seek_static", () -> seek("seek_static", eager, true));
    Map<String, Object> consumer = Map.of("group.protocol", "consumer");
    all.put("seek_consumer", () -> seek("seek_consumer", consumer, false));
    all.put("seek_consumer_static", () -> seek("seek_consumer_static", consumer, true));
    all.put("resume", this::resume);
    all.put("by_time", this::byTime);
    all.put("max_timestamp", this::maxTimestamp);
    all.put("topics", this::topics);
    all.put("configs", this::configs);
    all.put("delete_records", this::deleteRecords);
    all.put("offsets_admin", this::offsetsAdmin);
    all.put("groups_admin", this::groupsAdmin);
    all.put("cluster", this::cluster);
    all.put("transactions", this::transactions);
    return all;
  }

  public static void main(String[] arguments) throws Exception {
    Checks checks = new Checks(arguments[0], Path.of(arguments[1]), arguments[2]);
    int failures = 0;
    for (Map.Entry<String, Check> each : checks.all().entrySet()) {
      try {
        each.getValue().run();
        System.out.println("ok " + each.getKey());
      } catch (Skipped reason) {
        System.out.println("skipped " + each.getKey() + " " + reason.getMessage());
      } catch (Throwable error) {
        failures++;
        error.printStackTrace();
        System.out.println("failed " + each.getKey() + " " + String.valueOf(error).replace('\n', ' '));
      }
    }
    System.exit(failures == 0 ? 0 : 1);
  }
}
