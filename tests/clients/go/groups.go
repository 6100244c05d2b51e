package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// member is a consumer of a group; what it is assigned and what it read are kept under its mutex.
type member struct {
	client *kgo.Client
	done   chan struct{}

	mutex    sync.Mutex
	assigned map[int32]bool
	values   []string
}

func (s *suite) join(group, topic string, options ...kgo.GroupOpt) *member {
	m := &member{done: make(chan struct{}), assigned: map[int32]bool{}}
	change := func(to bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, each := range partitions[topic] {
				if to {
					m.assigned[each] = true
				} else {
					delete(m.assigned, each)
				}
			}
		}
	}
	settings := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.AutoCommitInterval(100 * time.Millisecond), kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)),
		kgo.OnPartitionsLost(change(false))}
	for _, each := range options {
		settings = append(settings, each)
	}
	m.client = s.client(settings...)
	go m.poll()
	return m
}

func (m *member) poll() {
	defer close(m.done)
	for {
		fetches := m.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		m.mutex.Lock()
		for _, record := range fetches.Records() {
			m.values = append(m.values, string(record.Value))
		}
		m.mutex.Unlock()
	}
}

func (m *member) leave() {
	m.client.Close()
	<-m.done
}

func (m *member) share() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return len(m.assigned)
}

func (m *member) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return append([]string(nil), m.values...)
}

func until(ctx context.Context, what string, condition func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %s", what)
		case <-tick.C:
		}
	}
	return nil
}

// group: a second member joins and leaves; every record is read, none twice.
func (s *suite) group(name string, options ...kgo.GroupOpt) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := s.topic(ctx, name, groupPartitions)
		if err != nil {
			return err
		}
		first := s.join(topic, topic, options...)
		defer first.leave()
		if err := until(ctx, "the first has all", func() bool { return first.share() == 4 }); err != nil {
			return err
		}
		second := s.join(topic, topic, options...)
		leave := sync.OnceFunc(second.leave)
		defer leave()
		half := func() bool { return first.share() == 2 && second.share() == 2 }
		if err := until(ctx, "each has half", half); err != nil {
			return err
		}
		if err := s.produce(ctx, numbers(topic, 400, groupPartitions)); err != nil {
			return err
		}
		all := func() []string { return append(first.read(), second.read()...) }
		if err := until(ctx, "all are read", func() bool { return len(all()) >= 400 }); err != nil {
			return err
		}
		distinct := map[string]bool{}
		for _, value := range all() {
			distinct[value] = true
		}
		if err := expect("different records", len(distinct), len(all())); err != nil {
			return err
		}
		leave()
		return until(ctx, "the first has all again", func() bool { return first.share() == 4 })
	}
}

func (s *suite) resume(ctx context.Context) error {
	group, topic := s.prefix+"-resume", s.prefix+"-none"
	for _, wanted := range []int64{0, 5} {
		client := s.client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
		records := client.PollRecords(ctx, 5).Records()
		if len(records) == 0 {
			client.Close()
			return errors.New("no records")
		}
		err := errors.Join(expect("begins at", records[0].Offset, wanted), client.CommitRecords(ctx, records[len(records)-1]))
		client.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) offsetsAdmin(ctx context.Context) error {
	group, topic := s.prefix+"-resume", s.prefix+"-none"
	var wanted kadm.Offsets
	wanted.AddOffset(topic, 0, 3, -1)
	if err := s.admin.CommitAllOffsets(ctx, group, wanted); err != nil {
		return err
	}
	found, err := s.admin.FetchOffsets(ctx, group)
	if err != nil {
		return err
	}
	committed, _ := found.Lookup(topic, 0)
	var which kadm.TopicsSet
	which.Add(topic, 0)
	_, err = s.admin.DeleteOffsets(ctx, group, which)
	if err = errors.Join(expect("altered", committed.At, 3), err); err != nil {
		return err
	}
	found, err = s.admin.FetchOffsets(ctx, group)
	_, left := found.Lookup(topic, 0)
	return errors.Join(err, expect("left", left, false))
}

func (s *suite) groupsAdmin(ctx context.Context) error {
	group := s.prefix + "-group"
	listed, err := s.admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	_, found := listed[group]
	described, err := s.admin.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	if err := errors.Join(expect("listed", found, true), expect("state", described[group].State, "Empty")); err != nil {
		return err
	}
	deleted, err := s.admin.DeleteGroups(ctx, group)
	return errors.Join(err, deleted.Error())
}
