// Package peers is how the members of a cluster ask each other: one question, one answer, over the hardened remote of the actor
// library. It knows neither tasks nor shards: who is asked, and what is answered, is the business of who uses it.
//
// What is said here may be lost, and a member may die before it answers. So whoever asks waits within a bound, and gets one
// answer or one error; nothing is asked twice by itself.
package peers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
)

const (
	// target is the name of the actor that peers reach.
	target = "cluster"
	// MaxMessageBytes bounds a question or an answer.
	MaxMessageBytes = 16 << 20
	// maxAnswering bounds the questions that are worked on at one time, maxWaiting those that wait for an answer.
	maxAnswering = 256
	maxWaiting   = 4096
	// maxTimeout bounds how long a question is worked on, whatever the asker says.
	maxTimeout = 30 * time.Second
)

// The errors of Ask.
var (
	// ErrUnreachable means that there was no answer: the member is gone, or silent, or the connection was cut. What was
	// asked for may have been done.
	ErrUnreachable = errors.New("the member does not answer")
	// ErrBusy means that too many questions wait for an answer; nothing was asked.
	ErrBusy = errors.New("too many questions to other members wait for an answer")
	// ErrAway means that the member does not own what was asked about; nothing was done.
	ErrAway = errors.New("the member does not own it at the moment")
	// ErrNotSupported means that the member is of a version that does not know the question, or gave an answer that this one
	// does not know.
	ErrNotSupported = errors.New("the member is of a version that does not know this")
	// ErrFailed means that the member tried, and says why it could not.
	ErrFailed = errors.New("the member could not answer")
)

// Config describes this member's end.
type Config struct {
	// Listen and Advertise are where peers are taken, and where they reach it.
	Listen, Advertise string
	// TLS is who this member is, and whom it trusts. Insecure waives it on loopback.
	TLS      link.TLS
	Insecure bool
	// Answer answers a question within ctx. It is called from many goroutines. No answer, or one without content,
	// says that the question is not supported.
	Answer func(ctx context.Context, q *pb.Ask) *pb.Answer
	// Stored is told of shards for which a peer stored deliveries. It must not block.
	Stored func(shards []int)
	// Look is told that shards were given back. It must not block.
	Look func()
	// Clock and Log are passed in.
	Clock clock.Clock
	Log   *logrus.Logger
}

// Peers is this member's end. It is safe for use by many goroutines.
type Peers struct {
	config    Config
	link      *link.Link
	pid       *actor.PID
	answering chan struct{} // holds one for each question that is worked on
	waiting   sync.Map      // of *question, by the ID as text
	count     atomic.Int64  // of waiting
}

// question waits for one answer.
type question struct {
	address string
	answer  chan *pb.Answer // takes one; nil where the peer is gone
}

// Open starts to listen.
func Open(c Config) (*Peers, error) {
	p := &Peers{config: c, answering: make(chan struct{}, maxAnswering)}
	var err error
	p.link, err = link.Open(link.Config{
		Listen: c.Listen, Advertise: c.Advertise, TLS: c.TLS, Insecure: c.Insecure, MaxMessageBytes: MaxMessageBytes,
		Target: target, Accept: []proto.Message{&pb.Ask{}, &pb.Answer{}, &pb.ShardsStored{}, &pb.OwnersChanged{}},
		Gone: p.gone, Clock: c.Clock, Log: c.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	p.pid, err = p.link.System().Root.SpawnNamed(actor.PropsFromFunc(p.receive), target)
	if err != nil {
		p.link.Close()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return p, nil
}

// Address is where other members reach this one.
func (p *Peers) Address() string { return p.link.Address() }

// Refused counts the messages and calls that were not let through.
func (p *Peers) Refused() uint64 { return p.link.Refused() }

// Close hangs up. Questions that wait are answered with ErrUnreachable. It may be called twice.
func (p *Peers) Close() {
	_ = p.link.System().Root.StopFuture(p.pid).Wait() // it never blocks
	p.link.Close()
	p.settleAll(func(*question) bool { return true })
}

// Ask asks the member at an address, and waits until ctx ends. The answer has content, and is no pb.Failed.
func (p *Peers) Ask(ctx context.Context, address string, q *pb.Ask) (*pb.Answer, error) {
	if p.count.Add(1) > maxWaiting {
		p.count.Add(-1)
		return nil, ErrBusy
	}
	defer p.count.Add(-1)
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	q.Id, q.From = id[:], p.Address()
	if deadline, bounded := ctx.Deadline(); bounded {
		q.Timeout = durationpb.New(deadline.Sub(p.config.Clock.Now()))
	}
	waits := &question{address: address, answer: make(chan *pb.Answer, 1)}
	p.waiting.Store(string(id[:]), waits)
	defer p.waiting.Delete(string(id[:]))
	p.link.System().Root.Send(actor.NewPID(address, target), q)
	select {
	case a := <-waits.answer:
		return Judge(a)
	case <-ctx.Done():
		return nil, ErrUnreachable
	}
}

// Judge turns what is no answer into an error.
func Judge(a *pb.Answer) (*pb.Answer, error) {
	switch {
	case a == nil:
		return nil, ErrUnreachable
	case a.GetAnswer() == nil:
		return nil, ErrNotSupported
	case a.GetFailed().GetAway():
		return nil, ErrAway
	case a.GetFailed() != nil:
		return nil, fmt.Errorf("%w: %.256q", ErrFailed, a.GetFailed().GetDetail())
	default:
		return a, nil
	}
}

// Tell tells the member at an address of shards for which deliveries were stored. It may be lost.
func (p *Peers) Tell(address string, shards []int) {
	m := &pb.ShardsStored{Shards: make([]uint32, len(shards))}
	for i, s := range shards {
		m.Shards[i] = uint32(s)
	}
	p.link.System().Root.Send(actor.NewPID(address, target), m)
}

// TellLook tells the member at an address that shards were given back. It may be lost.
func (p *Peers) TellLook(address string) {
	p.link.System().Root.Send(actor.NewPID(address, target), &pb.OwnersChanged{})
}

// receive is the actor that peers reach. It never blocks.
func (p *Peers) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *pb.Ask:
		p.asked(m)
	case *pb.Answer:
		p.settle(string(m.GetId()), m)
	case *pb.ShardsStored:
		shards := make([]int, len(m.GetShards()))
		for i, s := range m.GetShards() {
			shards[i] = int(s)
		}
		p.config.Stored(shards)
	case *pb.OwnersChanged:
		p.config.Look()
	}
}

// asked answers on a goroutine, which ends with the question's timeout.
func (p *Peers) asked(q *pb.Ask) {
	if link.CheckAddress(q.GetFrom(), p.config.Insecure) != nil {
		return // nobody to answer
	}
	select {
	case p.answering <- struct{}{}:
	default:
		p.reply(q, &pb.Answer{Answer: &pb.Answer_Failed{Failed: &pb.Failed{Detail: "too many questions"}}})
		return
	}
	go func() {
		defer func() { <-p.answering }()
		ctx, cancel := context.WithTimeout(context.Background(), min(max(q.GetTimeout().AsDuration(), 0), maxTimeout))
		defer cancel()
		a := &pb.Answer{}
		if q.GetQuestion() != nil {
			if known := p.config.Answer(ctx, q); known != nil {
				a = known
			}
		}
		p.reply(q, a)
	}()
}

func (p *Peers) reply(q *pb.Ask, a *pb.Answer) {
	a.Id = q.GetId()
	if proto.Size(a) > MaxMessageBytes-1024 {
		a.Answer = &pb.Answer_Failed{Failed: &pb.Failed{Detail: "the answer is too large"}}
	}
	p.link.System().Root.Send(actor.NewPID(q.GetFrom(), target), a)
}

func (p *Peers) settle(id string, a *pb.Answer) {
	if waits, known := p.waiting.LoadAndDelete(id); known {
		waits.(*question).answer <- a
	}
}

// gone ends the questions to an address that cannot be reached.
func (p *Peers) gone(address string) {
	p.settleAll(func(q *question) bool { return q.address == address })
}

func (p *Peers) settleAll(which func(*question) bool) {
	p.waiting.Range(func(id, q any) bool {
		if which(q.(*question)) {
			p.settle(id.(string), nil)
		}
		return true
	})
}
