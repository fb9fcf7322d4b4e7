package natsconn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/generated"
)

// fleetAccount is the name of the coordinators' account in these configurations.
const fleetAccount = "FLEET"

// The configurations of NATS in deploy/, and the table of docs/nats.md, are made from Ways.
func TestDocsAreCurrent(t *testing.T) {
	for _, dir := range []string{"nats", "kubernetes"} {
		generated.File(t, "../../deploy/"+dir+"/accounts.conf", accounts())
	}
	generated.Part(t, "../../docs/nats.md", waysTable())
}

// accounts renders the accounts of a fleet with a user each.
func accounts() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Generated from pkg/natsconn/roles.go by "make generate".
#
# Coordinators have the account %s, with all state. Workers have the account %s. It has no
# JetStream, and reaches the other account by the subjects below only.
accounts {
  %s {
    jetstream: enabled
    users: [{user: rangefleet, password: $NATS_PASSWORD}]
    exports: [
`, fleetAccount, WorkersAccount, fleetAccount)
	for _, w := range Ways() {
		fmt.Fprintf(&b, "      {%s: %q%s, accounts: [%s]} # %s\n", w.word(), w.Fleet, w.responses(), WorkersAccount, w.Why)
	}
	publish, subscribe := WorkerPermissions()
	fmt.Fprintf(&b, `    ]
  }
  %s {
    users: [{user: worker, password: $NATS_WORKER_PASSWORD, permissions: {
      publish: {allow: [
        %s
      ]}
      subscribe: {allow: [
        %s
      ]}
    }}]
    mappings: {%q: %q}
    imports: [
`, WorkersAccount, quoted(publish), quoted(subscribe), APISubjects, MappedSubjects)
	for _, w := range Ways() {
		to := ""
		if w.Imported() != w.Fleet {
			to = fmt.Sprintf(", to: %q", w.Imported())
		}
		fmt.Fprintf(&b, "      {%s: {account: %s, subject: %q}%s}\n", w.word(), fleetAccount, w.Fleet, to)
	}
	return b.String() + "    ]\n  }\n}\n"
}

func quoted(subjects []string) string {
	lines := make([]string, len(subjects))
	for i, s := range subjects {
		lines[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(lines, "\n        ")
}

func (w Way) word() string {
	if w.Kind == Hear {
		return "stream"
	}
	return "service"
}

func (w Way) responses() string {
	if w.Kind == Pull {
		return ", response_type: stream"
	}
	return ""
}

// waysTable renders what workers may do.
func waysTable() string {
	var b strings.Builder
	b.WriteString("\n| subject | a worker | to |\n| --- | --- | --- |\n")
	for _, w := range Ways() {
		verb := map[Kind]string{Ask: "sends", Pull: "sends", Hear: "hears"}[w.Kind]
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w.Subject, verb, w.Why)
	}
	return b.String() + "\n"
}
