package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

const (
	natsWithin  = 10 * time.Second // to be reached
	wantPayload = 8 << 20          // bytes of a message; see docs/operating.md
	fullDisk    = 0.8              // of what the account may store
)

// nats checks the server at nats.url.
func (d *doctor) nats(ctx context.Context) {
	const area = "nats"
	s := d.Settings.NATS
	if s.URL == "" {
		d.ok(area, "server", "embedded in the coordinator, with its data in "+s.StoreDir)
		return
	}
	cfg := connect.NATS(s)
	cfg.Name, cfg.Log, cfg.Role = "rangefleet-doctor", d.Log, natsconn.Worker // coordinators may listen to its inbox, too
	reach, cancel := context.WithTimeout(ctx, cmp.Or(d.Reach, natsWithin))
	defer cancel()
	b, err := backend.Connect(reach, cfg, backend.Options{})
	if err != nil {
		d.fail(area, "reached", fmt.Sprintf("%s: %v", s.ShownURL(), err), "check nats.url and the login: docs/operating.md, Access to NATS")
		return
	}
	defer b.Close()
	f, err := backend.Inspect(ctx, b)
	if err != nil {
		d.fail(area, "answers", err.Error(), "look at the log of the NATS server")
		return
	}
	d.ok(area, "reached", fmt.Sprintf("%s, version %s, %d servers known, answers in %s", f.Server, f.Version, f.Servers, f.RoundTrip.Round(time.Millisecond/10)))
	d.natsServer(f)
	if f.Worker {
		for _, s := range f.Streams {
			d.stream(s)
		}
		return
	}
	if f.JetStream != nil {
		d.fail(area, "jetstream", f.JetStream.Error(), "switch JetStream on, for this account too; in a cluster most servers must be up")
		return
	}
	d.jetStream(f)
	if d.Write {
		d.tryStream(ctx, b.Conn)
	}
}

// natsServer reports what is not about JetStream.
func (d *doctor) natsServer(f natsconn.Facts) {
	const area = "nats"
	if f.MaxPayload < wantPayload {
		d.warn(area, "max_payload", fmt.Sprintf("%d bytes, less than %d", f.MaxPayload, wantPayload),
			"set max_payload: 8MB, or imports of many hundreds of paths are refused")
	}
	if len(f.Denied) > 0 {
		d.fail(area, "permissions", "this user may not "+strings.Join(f.Denied, ", "), "allow it: docs/nats.md, What workers may do; a coordinator may do everything in its account")
	} else if f.Worker {
		d.ok(area, "permissions", "those of a worker; a coordinator needs another login")
	} else {
		d.ok(area, "permissions", "nothing was denied outside of JetStream")
	}
	if f.Ahead != nil {
		d.skew("NATS", *f.Ahead, false)
	}
}

// jetStream reports the disk and the streams.
func (d *doctor) jetStream(f natsconn.Facts) {
	const area = "nats"
	switch used := float64(f.Stored) / float64(f.Most); {
	case f.Most <= 0:
		d.ok(area, "disk", fmt.Sprintf("%d bytes stored, with no limit of the account; the disk itself is not seen from here", f.Stored))
	case used > fullDisk:
		d.warn(area, "disk", fmt.Sprintf("%d bytes stored of %d that the account may store", f.Stored, f.Most), "raise the limit, or make room: imports stand still once it is reached")
	default:
		d.ok(area, "disk", fmt.Sprintf("%d bytes stored of %d that the account may store", f.Stored, f.Most))
	}
	var missing []string
	for _, s := range f.Streams {
		if s.Missing {
			missing = append(missing, s.Name)
			continue
		}
		d.stream(s)
	}
	switch {
	case len(missing) == len(f.Streams):
		d.ok(area, "streams", "there are none yet: the first coordinator creates them")
	case len(missing) > 0:
		d.warn(area, "streams", "missing: "+strings.Join(missing, ", "), "start a coordinator, which creates them; what they held is lost, see docs/operating.md, Data and backup")
	}
}

func (d *doctor) stream(s natsconn.StreamFacts) {
	const area = "nats"
	name := "stream " + s.Name
	copies := fmt.Sprintf("%d of %d copies are up to date", s.Current, s.Copies)
	switch {
	case s.Err != nil:
		d.fail(area, name, s.Err.Error(), "see that most servers of the cluster are up, and that this user may ask for the stream")
	case s.Leader == "":
		d.fail(area, name, "no leader: "+copies, "start the servers of the cluster that are down: most must be up")
	case s.Protocol != nil:
		d.fail(area, name, s.Protocol.Error(), "run one version: docs/operating.md, Versions")
	case s.Current < s.Copies:
		d.warn(area, name, copies, "look at the servers that are down or behind")
	case s.Copies < d.Settings.NATS.Replicas:
		d.warn(area, name, fmt.Sprintf("%d copies, and nats.replicas is %d", s.Copies, d.Settings.NATS.Replicas), "restart a coordinator, which adds copies")
	case s.Copies > d.Settings.NATS.Replicas:
		d.warn(area, name, fmt.Sprintf("%d copies, which is more than nats.replicas, %d", s.Copies, d.Settings.NATS.Replicas), "give all coordinators the same nats.replicas")
	default:
		d.ok(area, name, fmt.Sprintf("%d messages, %d bytes, led by %s, %s", s.Messages, s.Bytes, cmp.Or(s.Leader, "this server"), copies))
	}
}

func (d *doctor) tryStream(ctx context.Context, conn *natsconn.Conn) {
	if err := natsconn.TryStream(ctx, conn, "rangefleet-doctor-"+rand.Text()); err != nil {
		d.fail("nats", "write", err.Error(), "see that this user may create streams, and that there are as many servers as nats.replicas")
		return
	}
	d.ok("nats", "write", fmt.Sprintf("a stream with %d copies was created, written, read and deleted", d.Settings.NATS.Replicas))
}
