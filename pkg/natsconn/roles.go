package natsconn

import (
	"cmp"
	"slices"
	"strings"
)

// Role is what a process does in a fleet, and so what NATS lets it do.
type Role string

// The roles. Coordinators may do everything in their account. Workers have an account of their
// own, WorkersAccount, which reaches the fleet's only by Ways.
//
// Permissions alone would not hold workers: a request that JetStream answers names the subject of
// the answer, and that may be one by which a stream of the account stores it.
const (
	Coordinator Role = "coordinator"
	Worker      Role = "worker"
)

// WorkersAccount is the name of the workers' account.
const WorkersAccount = "WORKERS"

// ToldPrefix leads subjects on which coordinators hear what workers broadcast, in place of
// TalkPrefix: what is broadcast on TalkPrefix also goes the other way, so that workers would hear
// each message twice.
const (
	TalkPrefix = "talk."
	ToldPrefix = "told."
)

// inboxPrefix returns what leads the subjects of answers to a process.
func (r Role) inboxPrefix(name string) string {
	return "_INBOX." + string(r) + "." + notToken.ReplaceAllString(name, "-")
}

// Every account of NATS reaches JetStream by "$JS.API.>". In that of the workers these subjects are
// mapped, so that they are not answered for that account, which has no JetStream.
const (
	APISubjects    = "$JS.API.>"
	MappedSubjects = "fleet.api.>"
)

// Way is a subject by which workers reach the fleet's account, or hear from it.
type Way struct {
	Subject string // that workers use
	Fleet   string // in the fleet's
	Kind    Kind
	Why     string
}

// Kind says who sends on a Way.
type Kind int

// The kinds.
const (
	Ask  Kind = iota // workers send, and get at most one answer
	Pull             // workers send, and get any number of answers
	Hear             // coordinators send
)

// Ways returns all ways, in the order of their subjects. Whatever is not among them is denied to
// workers.
func Ways() []Way {
	ways := []Way{
		ask("$JS.API.STREAM.INFO.WORK", "find the queue, and its version"),
		ask("$JS.API.STREAM.INFO.COVERS", "find the covers"),
		ask("$JS.API.STREAM.INFO.KV_imports", "find the records of imports, and whether one is gone"),
		ask("$JS.API.STREAM.MSG.GET.WORK", "see which import is next"),
		ask("$JS.API.STREAM.MSG.GET.KV_imports", "read the record of an import"),
		ask("$JS.API.DIRECT.GET.COVERS.c.*.*", "read the last cover of a partition"),
		ask("$JS.API.DIRECT.GET.COVERS.t.*.*", "read the note of a partition"),
		ask("$KV.imports._", "see whether a server knows the latest records; no value is stored"),
		ask("w.bulk.*.*", "queue a piece of a partition"),
		ask("c.*.*", "publish a cover"),
		ask("t.*.*", "note the tries of a partition"),
		ask("ask.fail", "have a coordinator end an import that cannot go on"),
		{"stored.imports.i.*", "stored.imports.i.*", Hear, "notice that an import has ended"},
	}
	for _, consumer := range []string{"workers", "express"} {
		ways = append(ways,
			ask("$JS.API.CONSUMER.INFO.WORK."+consumer, "find the lane, and how it is loaded"),
			Way{"$JS.API.CONSUMER.MSG.NEXT.WORK." + consumer, "$JS.API.CONSUMER.MSG.NEXT.WORK." + consumer, Pull, "get a partition"},
			ask("$JS.ACK.WORK."+consumer+".>", "heartbeat, acknowledge or give back a partition"),
			ask("$JS.ACK.*.*.WORK."+consumer+".>", "the same, of later versions of NATS"))
	}
	for topic, why := range map[string]string{
		"left": "how much is left of partitions", "load": "how the bulk lane stands", "refused": "who was refused a partition",
		"stalled": "a store that hangs", "store.*": "the pace of a store",
	} {
		ways = append(ways, Way{TalkPrefix + topic, ToldPrefix + topic, Ask, "tell " + why}, Way{TalkPrefix + topic, TalkPrefix + topic, Hear, "hear " + why})
	}
	ways = append(ways, Way{TalkPrefix + "listed", ToldPrefix + "listed", Ask, "tell how far partitions are listed"})
	ways = append(ways, Way{TalkPrefix + "trouble", ToldPrefix + "trouble", Ask, "tell why a partition does not get on"})
	slices.SortFunc(ways, func(a, b Way) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Kind, b.Kind))
	})
	return ways
}

// Imported returns the subject in the account of the workers, after mapping.
func (w Way) Imported() string {
	if rest, ok := strings.CutPrefix(w.Subject, strings.TrimSuffix(APISubjects, ">")); ok {
		return strings.TrimSuffix(MappedSubjects, ">") + rest
	}
	return w.Subject
}

func ask(subject, why string) Way { return Way{subject, subject, Ask, why} }

// WorkerPermissions returns the subjects that a worker may send to and listen to, each in order.
func WorkerPermissions() (publish, subscribe []string) {
	subscribe = []string{"_INBOX." + string(Worker) + ".>"}
	for _, w := range Ways() {
		if w.Kind == Hear {
			subscribe = append(subscribe, w.Subject)
		} else {
			publish = append(publish, w.Imported()) // NATS checks what a subject is mapped to
		}
	}
	return publish, subscribe
}
