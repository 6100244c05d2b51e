// franz-go against a broker: checks BROKER RECORDS_FILE PREFIX. Prints one line per check; exit 1 if one failed.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	orderCount      = 10_000
	groupPartitions = 4
	checkLimit      = 30 * time.Second
)

var errSkipped = errors.New("this broker has transactions")

type suite struct {
	broker  string
	records []*kgo.Record
	prefix  string
	admin   *kadm.Client
}

func fromHex(text string) []byte {
	if text == "-" {
		return nil
	}
	data, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return data
}

func parse(line string) *kgo.Record {
	fields := strings.Split(line, "\t")
	millis, _ := strconv.ParseInt(fields[0], 10, 64)
	record := &kgo.Record{Timestamp: time.UnixMilli(millis), Key: fromHex(fields[1]), Value: fromHex(fields[2])}
	for _, pair := range strings.Split(fields[3], ",") {
		if name, value, found := strings.Cut(pair, "="); found {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: fromHex(value)})
		}
	}
	return record
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func equal(a, b *kgo.Record) bool {
	return a.Timestamp.Equal(b.Timestamp) && same(a.Key, b.Key) && same(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y kgo.RecordHeader) bool {
			return x.Key == y.Key && same(x.Value, y.Value)
		})
}

func expect[T comparable](what string, got, wanted T) error {
	if got != wanted {
		return fmt.Errorf("%s: got %v, expected %v", what, got, wanted)
	}
	return nil
}

func expectError(wanted *kerr.Error, got error) error {
	if !errors.Is(got, wanted) {
		return fmt.Errorf("got %v, expected %s", got, wanted.Message)
	}
	return nil
}

func (s *suite) client(options ...kgo.Opt) *kgo.Client {
	shared := []kgo.Opt{kgo.SeedBrokers(s.broker), kgo.FetchMaxWait(50 * time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	client, err := kgo.NewClient(append(shared, options...)...)
	if err != nil {
		panic(err)
	}
	return client
}

func (s *suite) topic(ctx context.Context, name string, partitions int32) (string, error) {
	topic := s.prefix + "-" + name
	_, err := s.admin.CreateTopic(ctx, partitions, 1, nil, topic)
	return topic, err
}

func (s *suite) produce(ctx context.Context, records []*kgo.Record, options ...kgo.Opt) error {
	client := s.client(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer client.Close()
	return client.ProduceSync(ctx, records...).FirstErr()
}

func numbers(topic string, count, partitions int) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for n := range records {
		records[n] = &kgo.Record{Topic: topic, Partition: int32(n % partitions), Value: []byte(strconv.Itoa(n))}
	}
	return records
}

func (s *suite) read(ctx context.Context, topic string, count int) ([]*kgo.Record, error) {
	client := s.client(kgo.ConsumeTopics(topic))
	defer client.Close()
	var found []*kgo.Record
	for len(found) < count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		found = append(found, fetches.Records()...)
	}
	return found, nil
}

func (s *suite) metadata(ctx context.Context) error {
	topic, err := s.topic(ctx, "metadata", 3)
	if err != nil {
		return err
	}
	found, err := s.admin.Metadata(ctx, topic)
	if err != nil {
		return err
	}
	noID := kadm.TopicID{}
	return errors.Join(expect("brokers", len(found.Brokers), 1),
		expect("partitions", len(found.Topics[topic].Partitions), 3),
		expect("without an id", found.Topics[topic].ID == noID, false))
}

func (s *suite) codec(name string, codec kgo.CompressionCodec) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := s.topic(ctx, name, 1)
		if err != nil {
			return err
		}
		var records []*kgo.Record
		for _, each := range s.records {
			record := *each
			record.Topic = topic
			records = append(records, &record)
		}
		if err := s.produce(ctx, records, kgo.ProducerBatchCompression(codec)); err != nil {
			return err
		}
		found, err := s.read(ctx, topic, len(records))
		if err != nil {
			return err
		}
		for n, record := range found {
			if record.Offset != int64(n) || !equal(record, s.records[n]) {
				return fmt.Errorf("record %d came back different, at offset %d", n, record.Offset)
			}
		}
		return nil
	}
}

func (s *suite) order(name string, options ...kgo.Opt) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := s.topic(ctx, name, 2)
		if err != nil {
			return err
		}
		options := append(options, kgo.ProducerBatchMaxBytes(4096))
		if err := s.produce(ctx, numbers(topic, orderCount, 2), options...); err != nil {
			return err
		}
		found, err := s.read(ctx, topic, orderCount)
		if err != nil {
			return err
		}
		next := [2]int{0, 1}
		for _, record := range found {
			if err := expect("next record", string(record.Value), strconv.Itoa(next[record.Partition])); err != nil {
				return err
			}
			next[record.Partition] += 2
		}
		return expect("records", len(found), orderCount)
	}
}

func (s *suite) byTime(ctx context.Context) error {
	topic, millis := s.prefix+"-zstd", s.records[7].Timestamp.UnixMilli()
	for shift, wanted := range map[int64]int64{-5_000_000: 0, 0: 7, 1: 8} {
		found, err := s.admin.ListOffsetsAfterMilli(ctx, millis+shift, topic)
		if err != nil {
			return err
		}
		listed, _ := found.Lookup(topic, 0)
		if err := errors.Join(listed.Err, expect("offset", listed.Offset, wanted)); err != nil {
			return err
		}
	}
	ends, err := s.admin.ListEndOffsets(ctx, topic)
	end, _ := ends.Lookup(topic, 0)
	return errors.Join(err, expect("latest", end.Offset, int64(len(s.records))))
}

func (s *suite) topics(ctx context.Context) error {
	topic, err := s.topic(ctx, "topics", 2)
	if err != nil {
		return err
	}
	_, again := s.topic(ctx, "topics", 2)
	_, replicated := s.admin.CreateTopic(ctx, 1, 3, nil, topic+"-3")
	grown, err := s.admin.UpdatePartitions(ctx, 5, topic)
	if err != nil {
		return err
	}
	shrunk, err := s.admin.UpdatePartitions(ctx, 2, topic)
	if err != nil {
		return err
	}
	deleted, err := s.admin.DeleteTopics(ctx, topic)
	if err != nil {
		return err
	}
	_, gone := s.admin.DeleteTopic(ctx, topic)
	return errors.Join(expectError(kerr.TopicAlreadyExists, again),
		expectError(kerr.InvalidReplicationFactor, replicated), grown.Error(),
		expectError(kerr.InvalidPartitions, shrunk.Error()), deleted.Error(),
		expectError(kerr.UnknownTopicOrPartition, gone))
}

func (s *suite) configs(ctx context.Context) error {
	topic, err := s.topic(ctx, "configs", 1)
	if err != nil {
		return err
	}
	value := "123456789"
	altered, err := s.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, topic)
	if err = errors.Join(err, altered[0].Err); err != nil {
		return err
	}
	return until(ctx, "the change is described", func() bool {
		described, err := s.admin.DescribeTopicConfigs(ctx, topic)
		return err == nil && slices.ContainsFunc(described[0].Configs, func(each kadm.Config) bool {
			return each.Key == "retention.ms" && each.MaybeValue() == value
		})
	})
}

func (s *suite) deleteRecords(ctx context.Context) error {
	topic := s.prefix + "-lz4"
	var before kadm.Offsets
	before.AddOffset(topic, 0, 7, -1)
	answers, err := s.admin.DeleteRecords(ctx, before)
	if err != nil {
		return err
	}
	answer, _ := answers.Lookup(topic, 0)
	found, err := s.read(ctx, topic, 1)
	if err != nil {
		return err
	}
	return errors.Join(answer.Err, expect("low mark", answer.LowWatermark, 7),
		expect("the first left", found[0].Offset, 7))
}

func (s *suite) transactions(ctx context.Context) error {
	if os.Getenv("HEADRACE_BROKER_KIND") != "headrace" {
		return errSkipped
	}
	client := s.client(kgo.TransactionalID(s.prefix))
	defer client.Close()
	_, _, err := client.ProducerID(ctx)
	return expectError(kerr.TransactionalIDAuthorizationFailed, err)
}

type check struct {
	name string
	run  func(context.Context) error
}

func (s *suite) all() []check {
	return []check{
		{"metadata", s.metadata},
		{"none", s.codec("none", kgo.NoCompression())},
		{"gzip", s.codec("gzip", kgo.GzipCompression())},
		{"snappy", s.codec("snappy", kgo.SnappyCompression())},
		{"lz4", s.codec("lz4", kgo.Lz4Compression())},
		{"zstd", s.codec("zstd", kgo.ZstdCompression())},
		{"order", s.order("order", kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))},
		{"idempotent", s.order("idempotent")},
		{"group", s.group("group")},
		{"group_consumer", s.group("group_consumer", kgo.ServerSideBalancer())},
		{"resume", s.resume},
		{"by_time", s.byTime},
		{"topics", s.topics},
		{"configs", s.configs},
		{"delete_records", s.deleteRecords},
		{"offsets_admin", s.offsetsAdmin},
		{"groups_admin", s.groupsAdmin},
		{"transactions", s.transactions},
	}
}

func main() {
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	s := &suite{broker: os.Args[1], prefix: os.Args[3]}
	for _, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		s.records = append(s.records, parse(line))
	}
	s.admin = kadm.NewClient(s.client())
	failures := 0
	for _, each := range s.all() {
		ctx, cancel := context.WithTimeout(context.Background(), checkLimit)
		err := each.run(ctx)
		cancel()
		switch {
		case err == nil:
			fmt.Println("ok", each.name)
		case errors.Is(err, errSkipped):
			fmt.Println("skipped", each.name, err)
		default:
			failures++
			fmt.Println("failed", each.name, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	if failures > 0 {
		os.Exit(1)
	}
}
