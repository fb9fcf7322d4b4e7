package natsd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// intruder is a client with a worker's login, and the fleet that it is in.
type intruder struct {
	nc    *nats.Conn
	t     *testing.T
	fleet *backend.Backend
}

func newIntruder(t *testing.T) *intruder {
	t.Helper()
	server := queuetest.StartServer(t, natsd.Config{Listen: "127.0.0.1:0", Access: natsd.Access{User: "fleet", Password: "of-the-tests"}})
	i := &intruder{t: t, fleet: queuetest.Connect(t, natsconn.Config{InProcess: server, Login: queuetest.Inside(server)})}
	var err error
	i.nc, err = nats.Connect(server.ClientURL(), nats.UserInfo("fleet", "of-the-tests"), nats.CustomInboxPrefix("_INBOX.worker.intruder"),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	expect.NoError(t, err)
	t.Cleanup(i.nc.Close)
	return i
}

// denied reports whether NATS has denied a subject.
func (i *intruder) denied(subject string) bool {
	i.t.Helper()
	expect.NoError(i.t, i.nc.FlushTimeout(expect.Patience)) // a denial comes before the answer
	subject = natsconn.Way{Subject: subject}.Imported()
	err := i.nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

// A worker may not do what only coordinators do.
func TestWhatIsDeniedToWorkers(t *testing.T) {
	i := newIntruder(t)
	for _, subject := range []string{
		"$JS.API.STREAM.MSG.GET.KV_auth", "$JS.API.STREAM.MSG.GET.KV_catalog", "$JS.API.STREAM.MSG.GET.KV_leases", "$JS.API.STREAM.INFO.KV_auth",
		"$JS.API.DIRECT.GET.KV_auth.$KV.auth.pair", "$JS.API.DIRECT.GET.COVERS", "$JS.API.STREAM.MSG.GET.COVERS",
		"$KV.auth.pair", "$KV.catalog.x", "$KV.imports.i.x", "$KV.imports.r.x", "$KV.leases.x",
		"$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.WORK", "$JS.API.STREAM.DELETE.WORK", "$JS.API.STREAM.PURGE.COVERS", "$JS.API.STREAM.PURGE.KV_imports",
		"$JS.API.STREAM.MSG.DELETE.WORK", "$JS.API.STREAM.SNAPSHOT.KV_auth", "$JS.API.STREAM.RESTORE.X", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.INFO",
		"$JS.API.STREAM.LEADER.STEPDOWN.WORK", "$JS.API.SERVER.REMOVE", "$JS.API.META.LEADER.STEPDOWN",
		"$JS.API.CONSUMER.CREATE.KV_auth", "$JS.API.CONSUMER.CREATE.KV_auth.x.$KV.auth.pair", "$JS.API.CONSUMER.DURABLE.CREATE.WORK.x", "$JS.API.CONSUMER.DELETE.WORK.workers",
		"$JS.API.CONSUMER.MSG.NEXT.WORK.other", "$JS.API.CONSUMER.PAUSE.WORK.workers", "$JS.API.CONSUMER.LIST.WORK",
		"w.express.i.p", "stored.imports.i.x", "told.left", "talk.unheard", "fleet.api.STREAM.DELETE.WORK", "_INBOX.coordinator.x.y", "$SYS.REQ.SERVER.PING",
	} {
		expect.NoError(t, i.nc.PublishRequest(subject, "_INBOX.worker.intruder.x", nil))
		if !i.denied(subject) {
			t.Errorf("it may send to %s", subject)
		}
	}
	for _, subject := range []string{
		">", "*", "_INBOX.>", "_INBOX.coordinator.>", "_INBOX.*.x.>", "$JS.>", "$JS.EVENT.ADVISORY.>", "$JS.ACK.>", "$KV.>", "$KV.auth.>", "stored.>", "stored.auth.>", "stored.catalog.>",
		"c.>", "t.>", "w.>", "talk.trouble", "told.>", "ask.>", "ask.fail", "$SYS.>", "fleet.api.>",
	} {
		sub, err := i.nc.SubscribeSync(subject)
		expect.NoError(t, err)
		if !i.denied(subject) {
			t.Errorf("it may listen to %s", subject)
		}
		_ = sub.Unsubscribe()
	}
}

// Every way is open: nothing of what a worker needs is denied.
func TestWhatIsPermittedToWorkers(t *testing.T) {
	i := newIntruder(t)
	for _, w := range natsconn.Ways() {
		subject := strings.NewReplacer("*", "x", ">", "x.y").Replace(w.Subject)
		if w.Kind == natsconn.Hear {
			sub, err := i.nc.SubscribeSync(w.Subject)
			expect.NoError(t, err)
			expect.NoError(t, i.nc.Flush())
			expect.NoError(t, i.fleet.Conn.NATS.Publish(subject, []byte("heard")))
			if m, err := sub.NextMsg(expect.Patience); err != nil || string(m.Data) != "heard" {
				t.Errorf("it does not hear %s: %v", w.Subject, err)
			}
			_ = sub.Unsubscribe()
		} else {
			expect.NoError(t, i.nc.PublishRequest(subject, "_INBOX.worker.intruder.x", []byte("x")))
		}
		if i.denied(subject) || i.denied(w.Subject) {
			t.Errorf("%s is denied", w.Subject)
		}
	}
}

// What JetStream answers is stored by no stream, whatever subject a worker names for the answer.
func TestAnswersToWorkersAreNotStored(t *testing.T) {
	i := newIntruder(t)
	bucket := i.fleet.Bucket(kv.BucketAuth)
	before, err := bucket.Create(t.Context(), "pair", []byte("secret"))
	expect.NoError(t, err)
	expect.NoError(t, i.fleet.Covers.Publish(t.Context(), "i", "p", queuetest.Cover(1)))
	for n, request := range []struct{ subject, body string }{
		{"$JS.API.STREAM.INFO.WORK", ""},
		{"$JS.API.STREAM.MSG.GET.KV_imports", `{"seq":1}`},
		{"$JS.API.DIRECT.GET.COVERS.c.i.p", ""},
		{"$JS.API.CONSUMER.INFO.WORK.workers", ""},
		{"$JS.API.CONSUMER.MSG.NEXT.WORK.workers", `{"batch":1,"expires":1000000}`},
		{"$KV.imports._", ""},
		{"w.bulk.i.p", "{}"},
		{"ask.fail", "{}"},
	} {
		for _, answer := range []string{"$KV.auth.pair", fmt.Sprintf("$KV.catalog.x%d", n), "$JS.API.STREAM.DELETE.COVERS", "$KV.imports.i.x"} {
			expect.NoError(t, i.nc.PublishRequest(request.subject, answer, []byte(request.body)))
		}
	}
	expect.NoError(t, i.nc.Flush())
	_, err = i.nc.Request("$JS.API.STREAM.INFO.WORK", nil, expect.Patience) // the requests before it are done
	expect.NoError(t, err)
	expect.NoError(t, i.fleet.Conn.NATS.Flush())
	if value, revision, err := bucket.GetLinearized(t.Context(), "pair"); err != nil || string(value) != "secret" || revision != before {
		t.Errorf("the value is %q at %d, %v", value, revision, err)
	}
	for _, name := range []string{kv.BucketCatalog, kv.BucketImports} {
		if keys, err := i.fleet.Bucket(name).Keys(t.Context(), ""); err != nil || len(keys) > 0 {
			t.Errorf("bucket %s holds %q, %v", name, keys, err)
		}
	}
	if n, err := i.fleet.Covers.Count(t.Context(), "i"); err != nil || n != 1 {
		t.Errorf("%d covers are left, %v", n, err)
	}
}

// A message with a header by which streams remove others removes nothing.
func TestWorkersCannotRollUp(t *testing.T) {
	i := newIntruder(t)
	bucket := i.fleet.Bucket(kv.BucketImports)
	_, err := bucket.Create(t.Context(), "i.x", []byte("{}"))
	expect.NoError(t, err)
	for _, rollup := range []string{jetstream.MsgRollupAll, jetstream.MsgRollupSubject} {
		answer, err := i.nc.RequestMsg(&nats.Msg{Subject: "$KV.imports._", Header: nats.Header{jetstream.MsgRollup: {rollup}}}, expect.Patience)
		expect.NoError(t, err)
		var said struct{ Error *jetstream.APIError }
		if err := json.Unmarshal(answer.Data, &said); err != nil || rollup == jetstream.MsgRollupAll && said.Error == nil {
			t.Errorf("rollup %s: %s", rollup, answer.Data)
		}
	}
	if _, _, err := bucket.Get(t.Context(), "i.x"); err != nil {
		t.Errorf("the record is gone: %v", err)
	}
}

// Broadcasts reach each process once, whoever sends them.
func TestGossipBetweenAccounts(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{Listen: "127.0.0.1:0"})
	coordinator := queuetest.Connect(t, natsconn.Config{InProcess: server, Login: queuetest.Inside(server)})
	var workers []*backend.Backend
	for range 2 {
		b, err := backend.Connect(t.Context(), natsconn.Config{URL: server.ClientURL(), Role: natsconn.Worker}, backend.Options{})
		expect.NoError(t, err)
		t.Cleanup(b.Close)
		workers = append(workers, b)
	}
	all := append(slices.Clone(workers), coordinator)
	heard := make(chan string, 100)
	for n, b := range all {
		expect.NoError(t, b.Gossip.Listen(t.Context(), "left", func(data []byte) { heard <- fmt.Sprint(n, " ", string(data)) }))
		expect.NoError(t, b.Conn.NATS.Flush())
	}
	var want []string
	for n, b := range all {
		expect.NoError(t, b.Gossip.Broadcast("left", n))
		for listener := range all {
			want = append(want, fmt.Sprint(listener, " ", n))
		}
	}
	var got []string
	for range want {
		got = append(got, expect.Received(t, "a broadcast", heard))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	select {
	case more := <-heard:
		t.Errorf("%q was heard twice", more)
	case <-time.After(100 * time.Millisecond):
	}
}
