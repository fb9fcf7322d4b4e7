package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/audit"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// rules are the rules of access in force: those of a file, or else what is built in. Methods may
// be called concurrently.
type rules struct {
	path    string // "": no file
	log     *slog.Logger
	audit   *audit.Log
	reloads *prometheus.CounterVec
	now     atomic.Pointer[access.Rules]
}

// Results of a reload.
const (
	reloadTaken   = "taken"
	reloadRefused = "refused"
)

// openRules reads the file of rules. It is an error if anything in it is wrong.
func openRules(path string, reg prometheus.Registerer, log *slog.Logger) (*rules, error) {
	r := &rules{path: path, log: log, reloads: metric.With(reg).In("access").CounterVec("reloads_total",
		"Files of rules (access.file) that a hangup signal made the process read: taken, or refused as something in them is wrong.",
		metric.By("result", reloadTaken, reloadRefused))}
	if path == "" {
		r.now.Store(access.BuiltIn())
		return r, nil
	}
	parsed, err := connect.Rules(path)
	if err != nil {
		return nil, fmt.Errorf("access.file: %w", err)
	}
	r.now.Store(parsed)
	return r, nil
}

// watch reads the file again at each hangup, until ctx ends.
func (r *rules) watch(ctx context.Context) {
	if r.path != "" {
		onHangup(ctx, r.reload)
	}
}

// reload reads the file again. If anything in it is wrong, the rules stay.
func (r *rules) reload() {
	parsed, err := connect.Rules(r.path)
	e := audit.Event{Time: time.Now(), Operation: audit.OperationReload, Resources: audit.Resources{File: r.path}, Outcome: audit.Allowed}
	if err != nil {
		e.Outcome, e.Reason = audit.Failed, err.Error()
	}
	r.audit.Record(e)
	if err != nil {
		r.reloads.WithLabelValues(reloadRefused).Inc()
		r.log.Error("rules of access are refused, the old ones stay in force", "err", err)
		return
	}
	r.now.Store(parsed)
	r.reloads.WithLabelValues(reloadTaken).Inc()
	r.log.Info("rules of access are in force", "file", r.path)
}

// mayImport returns what checks again that callers may import: that what they showed still stands,
// and the rules.
func (r *rules) mayImport(stands func(context.Context, access.Caller) (bool, error)) coordinator.MayImport {
	return func(ctx context.Context, c access.Caller, asked access.Request) error {
		ok, err := stands(ctx, c)
		if err != nil {
			return err
		}
		if !ok && c.Credential.Kind == access.AccessKey {
			return fault.Deny("its access key %s is not valid any more", c.Credential.ID)
		}
		if !ok {
			return fault.Deny("its session was revoked, or the user was deleted")
		}
		g, err := r.grants(ctx, c)
		if err != nil {
			return err
		}
		need, _ := access.NeedOf("importStart", asked)
		return g.Check(need)
	}
}

// mapped returns the groups that an identity provider puts a user in.
func (r *rules) mapped(issuer string, claims map[string][]string) []string {
	return r.now.Load().Mapped(issuer, claims)
}

// grants returns what a caller may do.
func (r *rules) grants(_ context.Context, c access.Caller) (access.Grants, error) {
	return r.now.Load().Of(c), nil
}
