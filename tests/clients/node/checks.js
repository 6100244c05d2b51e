// kafkajs against a broker: checks.js BROKER RECORDS_FILE PREFIX. One line per check.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs');

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const ORDER_COUNT = 10_000;
const GROUP_PARTITIONS = 4;
const [broker, recordsFile, prefix] = process.argv.slice(2);

class Skipped extends Error {}

const bytes = (text) => (text === '-' ? null : Buffer.from(text, 'hex'));

// Headers are an object here: a name given twice is an array, and a null value cannot be said.
function parse(line) {
  const [timestamp, key, value, packed] = line.split('\t');
  const headers = {};
  for (const pair of packed ? packed.split(',') : []) {
    const [name, text] = pair.split('=');
    const content = bytes(text) ?? Buffer.alloc(0);
    headers[name] = name in headers ? [headers[name], content].flat() : content;
  }
  return { timestamp, key: bytes(key), value: bytes(value), headers };
}

const records = fs.readFileSync(recordsFile, 'utf8').trimEnd().split('\n').map(parse);
// Connections say much that is no failure, as a group that rebalances.
const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING, retry: { retries: 5 } });
const admin = kafka.admin();

async function until(what, condition, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  while (!(await condition())) {
    assert(Date.now() < deadline, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function createTopic(name, numPartitions = 1) {
  const topic = `${prefix}-${name}`;
  assert(await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] }), 'not created');
  return topic;
}

async function produce(messages, topic, options = {}, sending = {}) {
  const producer = kafka.producer(options);
  await producer.connect();
  for (let first = 0; first < messages.length; first += 1000) {
    await producer.send({ topic, messages: messages.slice(first, first + 1000), ...sending });
  }
  await producer.disconnect();
}

// A member of a group that runs until it is stopped; onMessage sees {partition, message}.
async function member(groupId, topic, onMessage) {
  const consumer = kafka.consumer({
    groupId, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 6000, maxWaitTimeInMs: 50,
  });
  consumer.partitions = [];
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    consumer.partitions = payload.memberAssignment[topic] ?? [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ autoCommitInterval: 100, eachMessage: async (each) => onMessage(each) });
  return consumer;
}

async function read(topic, count) {
  const found = [];
  const consumer = await member(`${topic}-reader`, topic, (each) => found.push(each));
  await until(`${count} records of ${topic}`, () => found.length >= count);
  await consumer.disconnect();
  return found;
}

async function metadata() {
  const topic = await createTopic('metadata', 3);
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  assert.deepStrictEqual(topics[0].partitions.map((each) => each.partitionId).sort(), [0, 1, 2]);
  assert.strictEqual((await admin.describeCluster()).brokers.length, 1);
}

async function codec(name, compression) {
  const topic = await createTopic(name);
  await produce(records.map((each) => ({ ...each, partition: 0 })), topic, {}, { compression });
  const found = (await read(topic, records.length)).map(({ message }) => ({
    timestamp: message.timestamp, key: message.key, value: message.value, headers: { ...message.headers },
  }));
  assert.deepStrictEqual(found, records);
}

async function order(name, options) {
  const topic = await createTopic(name, 2);
  const messages = Array.from({ length: ORDER_COUNT }, (_, n) => ({ value: String(n), partition: n % 2 }));
  await produce(messages, topic, options);
  const found = await read(topic, ORDER_COUNT);
  assert.strictEqual(found.length, ORDER_COUNT);
  for (const partition of [0, 1]) {
    const numbers = found.filter((each) => each.partition === partition).map(({ message }) => Number(message.value));
    assert.deepStrictEqual(numbers, Array.from({ length: ORDER_COUNT / 2 }, (_, n) => 2 * n + partition));
  }
}

async function group() {
  const topic = await createTopic('group', GROUP_PARTITIONS);
  const values = [];
  const keep = ({ message }) => values.push(Number(message.value));
  const first = await member(topic, topic, keep);
  await until('the first has all', () => first.partitions.length === 4);
  const second = await member(topic, topic, keep);
  await until('each has half', () => first.partitions.length === 2 && second.partitions.length === 2);
  await produce(Array.from({ length: 400 }, (_, n) => ({ value: String(n), partition: n % 4 })), topic);
  await until('all are read', () => values.length >= 400);
  assert.deepStrictEqual(values.sort((a, b) => a - b), Array.from({ length: 400 }, (_, n) => n));
  await second.disconnect();
  await until('the first has all again', () => first.partitions.length === 4);
  await first.disconnect();
}

async function resume() {
  const topic = `${prefix}-none`;
  const groupId = `${prefix}-resume`;
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '5' }] });
  const found = [];
  const consumer = await member(groupId, topic, ({ message }) => found.push(message.offset));
  await until('the rest', () => found.length === records.length - 5);
  await consumer.disconnect();
  assert.strictEqual(found[0], '5');
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] });
  assert.strictEqual(partitions[0].offset, String(records.length));
}

async function byTime() {
  const topic = `${prefix}-gzip`;
  const at = async (timestamp) => (await admin.fetchTopicOffsetsByTimestamp(topic, timestamp))[0].offset;
  const time = Number(records[7].timestamp);
  assert.strictEqual(await at(time), '7');
  assert.strictEqual(await at(time + 1), '8');
  const [{ low, high }] = await admin.fetchTopicOffsets(topic);
  assert.deepStrictEqual([low, high], ['0', String(records.length)]);
}

async function topics() {
  const topic = await createTopic('topics', 2);
  assert.strictEqual(await admin.createTopics({ topics: [{ topic }] }), false);
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
  const count = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length;
  await until('five partitions', async () => (await count()) === 5);
  await admin.deleteTopics({ topics: [topic] });
  await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic));
  await assert.rejects(admin.deleteTopics({ topics: [topic] }), /does not host this topic-partition/);
}

async function configs() {
  const name = await createTopic('configs');
  const type = ConfigResourceTypes.TOPIC;
  const configEntries = [{ name: 'retention.ms', value: '123456789' }];
  await admin.alterConfigs({ resources: [{ type, name, configEntries }], validateOnly: false });
  const described = async () => {
    const { resources } = await admin.describeConfigs({ resources: [{ type, name }], includeSynonyms: false });
    return Object.fromEntries(resources[0].configEntries.map((each) => [each.configName, each.configValue]));
  };
  await until('the change is described', async () => (await described())['retention.ms'] === '123456789');
  assert.strictEqual((await described())['cleanup.policy'], 'delete');
}

async function deleteRecords() {
  const topic = `${prefix}-snappy`;
  await admin.fetchTopicOffsets(topic); // only topics that it has asked about have a leader here
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '7' }] });
  assert.strictEqual((await admin.fetchTopicOffsets(topic))[0].low, '7');
}

async function offsetsAdmin() {
  const groupId = `${prefix}-resume`;
  const topic = `${prefix}-none`;
  await admin.resetOffsets({ groupId, topic, earliest: true });
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true });
  assert.strictEqual(partitions[0].offset, '0');
}

async function groupsAdmin() {
  const groupId = `${prefix}-group`;
  const listed = async () => (await admin.listGroups()).groups.some((each) => each.groupId === groupId);
  assert(await listed(), 'not listed');
  const { groups } = await admin.describeGroups([groupId]);
  assert.deepStrictEqual([groups[0].state, groups[0].members], ['Empty', []]);
  await admin.deleteGroups([groupId]);
  assert(!(await listed()), 'listed still');
}

async function transactions() {
  if (process.env.HEADRACE_BROKER_KIND !== 'headrace') throw new Skipped('this broker has transactions');
  const producer = kafka.producer({ transactionalId: prefix, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  // kafkajs keeps nothing of the error but that there is no coordinator; it does not try again, which counts.
  await assert.rejects(producer.transaction(), { name: 'KafkaJSGroupCoordinatorNotFound' });
  await producer.disconnect();
}

const checks = {
  metadata,
  none: () => codec('none', CompressionTypes.None),
  gzip: () => codec('gzip', CompressionTypes.GZIP),
  snappy: () => codec('snappy', CompressionTypes.Snappy),
  order: () => order('order', {}),
  idempotent: () => order('idempotent', { idempotent: true, maxInFlightRequests: 5 }),
  group,
  resume,
  by_time: byTime,
  topics,
  configs,
  delete_records: deleteRecords,
  offsets_admin: offsetsAdmin,
  groups_admin: groupsAdmin,
  transactions,
};

async function main() {
  let failures = 0;
  await admin.connect();
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      const skipped = error instanceof Skipped;
      failures += skipped ? 0 : 1;
      if (!skipped) console.error(error);
      console.log(`${skipped ? 'skipped' : 'failed'} ${name} ${error.message.replace(/\s+/g, ' ').slice(0, 300)}`);
    }
  }
  await admin.disconnect();
  process.exit(failures ? 1 : 0);
}

main();
