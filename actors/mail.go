package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// What actors of one process say to each other. What crosses a process is in package messages.
type (
	// accept is the command with everything prepared that the registry need not do. Troupe to registry.
	accept struct {
		*messages.AcceptDelivery
		record *journalv1.TaskAccepted // without what the registry decides: ID, bound on attempts, parts
		size   int                     // of the record, in bytes
		hash   deliveryHash
	}

	// store asks the persister to append a record. Registry to persister.
	store struct {
		kind   journalv1.RecordType
		record proto.Message // nil for an answer alone, where the registry is a cluster member's
		size   int           // about how large the record is, in bytes; zero where nobody has looked yet
		// shard and generation are whose log it belongs to, in a cluster.
		shard      int
		generation int64
		// fresh is set for a delivery that is not stored yet: it needs room outside the reserve, and its task begins
		// its life, in the slot of item, only when it is on stable storage.
		fresh bool
		item  item
		// answer is sent to replyTo once the record is on stable storage. A record without it rides along.
		answer  any
		replyTo *actor.PID
	}

	// stored says what became of the records of one group. Persister to registry, once for each group, in order.
	stored struct {
		// fresh are the new deliveries of the group. Those without a position were refused.
		fresh   []storedDelivery
		refusal *messages.DeliveryRefused
		// end is behind every record of the group, and growth what they are; nothing where they were refused.
		end    journal.Position
		growth growth
	}

	storedDelivery struct {
		item item
		at   journal.Position
	}

	// saveSnapshot asks the persister for a snapshot, and for the task file where export says so. Registry to persister.
	saveSnapshot struct {
		tasks   view
		covered journal.Position
		export  bool
	}

	// snapshotSaved says that it is done, or why not. Persister to registry.
	snapshotSaved struct{ err error }

	// workerReady says that a worker waits for an assignment, and which actor takes it. Worker to registry.
	workerReady struct{ crew crew }

	// crew is a worker and its child, whom the registry talks to directly: a worker has nothing to add.
	crew struct{ worker, attempt *actor.PID }

	// assign hands over one attempt. Registry to attempt.
	assign struct {
		id        task.ID
		attempt   uint32
		source    string
		eventType string
		route     string
		key       string
		createdAt int64
		// waitingSince is when the task began to wait for this attempt.
		waitingSince int64
		deadline     int64 // when the task must be final; zero for never
		generation   int64 // under which this member of a cluster owns the task's shard; zero on one machine
		at           journal.Position
		// delivery is there where it is still in memory; otherwise it lies at the position. Whoever takes the assignment
		// owns it.
		delivery *messages.Delivery
		terms    *terms // those that hold for the attempt, to its end
	}

	// unknownRoute refuses a delivery that is assigned to a route that there is not, or not any more. Registry to troupe.
	unknownRoute struct{}

	// attemptEnded says how an assignment ended. It comes once for each, whatever happens. Attempt, or the strategy that
	// supervises it, to registry.
	attemptEnded struct {
		assignment *assign
		crew       crew
		handler    string
		result     task.Result
		err        string
		output     []byte
		stack      string
		took       time.Duration
	}

	// stopAttempt says that the result is no longer wanted. Registry to attempt.
	stopAttempt struct {
		id      task.ID
		attempt uint32
		outcome task.Outcome
	}

	// wake, snapshotDue, upkeepDue, flush, lingerOver and syncDue are what an actor tells itself, by mail or by timer.
	wake        struct{}
	snapshotDue struct{}
	upkeepDue   struct{}
	flush       struct{}
	lingerOver  struct{}
	syncDue     struct{}

	// foundTask answers messages.GetTask: the task, nil when there is none, and where its delivery lies.
	foundTask struct {
		task *messages.Task
		at   journal.Position
		away bool // the task's owner is changing
	}

	// areYouUp asks the supervisor; the answer, up, comes when its children are there to be addressed.
	areYouUp struct{}
	up       struct{}

	// getView asks the registry for a view of all tasks; the answer is one.
	getView struct{}

	// getLanesAt asks the registry how lanes stand; the answer is a *messages.GetLanesReply in the same order.
	getLanesAt struct{ places []place }

	// getRoutes asks the registry how the routes and their gates stand; the answer is a []schedule.RouteState.
	getRoutes struct{}

	// drain asks the registry to assign nothing any more; the answer, drained, comes when nothing runs.
	drain struct {
		// stopRunning tells running attempts to stop; they run again after the next start.
		stopRunning bool
	}
	drained struct{}

	// settle asks the persister to write and sync what it was given; the answer is settled.
	settle  struct{}
	settled struct{}

	// snapshotNow asks the registry for a snapshot; the answer is snapshotSaved.
	snapshotNow struct{}
)
