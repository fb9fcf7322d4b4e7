package settings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/generated"
)

func TestDocsAreCurrent(t *testing.T) { generated.File(t, "../../docs/settings.md", docs()) }

// docs renders docs/settings.md from the table of keys.
func docs() string {
	var b strings.Builder
	b.WriteString(docsHead)
	d := defaults(nil, 0)
	for _, k := range keys {
		v := k.of(&d)
		shown := k.computed
		if shown == "" && v.String() != "" {
			shown = "`" + v.String() + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.name, v.Type(), shown, heeded(k), k.usage)
	}
	b.WriteString(docsTail)
	return b.String()
}

func heeded(k key) string {
	switch k.heeded {
	case Coordinator:
		return "coordinator"
	case Worker:
		return "worker"
	default:
		return "both"
	}
}

const docsHead = `# Settings

<!-- Generated from the table in pkg/settings/keys.go by "make generate". -->

A setting is looked up in four places; the first one that has it wins:

1. a flag: ` + "`--nats.url nats://n1:4222`" + `;
2. the environment: ` + "`RANGEFLEET_NATS_URL=nats://n1:4222`" + `, the key in capitals
   with ` + "`_` for `.`" + `; an empty variable counts as unset;
3. a YAML file, named by ` + "`--config` or `RANGEFLEET_CONFIG`" + `, with keys nested
   (` + "`nats: {url: ...}`) or dotted (`nats.url: ...`)" + `;
4. the default.

Coordinator and worker read the same file and the same variables, and each heeds
its own settings; its flags are its own settings only. An unknown key of the file or an unknown
` + "`RANGEFLEET_*`" + ` variable is an error, and so is a value that is not allowed. All
faults are reported at once. (Only the variables by which Kubernetes tells a pod of
services named ` + "`rangefleet...`" + ` are passed over.)

` + "`coordinator config print` and `worker config print`" + ` show what holds and where each
value comes from, with secrets hidden.

| key | type | default | heeded by | |
| --- | --- | --- | --- | --- |
`

const docsTail = `
## Types

- **list**: a YAML sequence in the file; with commas between its items in the
  environment and in flags. A flag may be given several times.
- **size**: bytes, plainly or with a unit: ` + "`20971520`, `20480KiB`, `20MiB`, `1GiB`" + `.
- **duration**: ` + "`500ms`, `30s`, `2m`" + `.
- **host:port**: the host may be empty (all addresses of the machine); port 0 is
  any free one.
- **secret**: never printed, logged or quoted in an error. Flags can be seen by
  all users of a machine: set secrets in the environment or in the file.

## Prefixes in sources.allow

` + "`s3://lake`" + ` allows the bucket ` + "`lake`" + ` and no other, ` + "`s3://lake/raw/`" + ` its keys
that start with ` + "`raw/`" + `, and ` + "`s3://lake/raw`" + ` also those that start with ` + "`raw2/`" + `. What is
read by local:// must lie within ` + "`local.allowed`" + ` as well. Prefixes in ` + "`namespaces.allow`" + ` are
read likewise.

## Sources and storage namespaces

No import reads a source that shares objects with a storage namespace: metadata would look like data.
So a repository whose namespace overlaps an allowed source would take that source away from all
imports. Hence ` + "`repo create`" + ` refuses a namespace that

- lies in none of ` + "`namespaces.allow`" + `, if that is set;
- shares objects with a prefix in ` + "`sources.allow`" + `. To keep namespaces within an allowed source,
  such as in ` + "`s3://lake/_meta/`" + ` of ` + "`s3://lake/`" + `, name that place in ` + "`namespaces.allow`" + `;
- shares objects with a source of an import that runs. If ` + "`namespaces.allow`" + ` is not set, the sources
  of imports that completed within the last day count, too.

` + "`repo delete`" + ` makes a namespace free again.
`
