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
		v := k.value(&d)
		shown := k.computed
		if shown == "" && v.String() != "" {
			shown = "`" + v.String() + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.name, v.Type(), shown, usedBy(k), k.usage)
	}
	b.WriteString(docsTail)
	return b.String()
}

func usedBy(k key) string {
	switch k.usedBy {
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

A setting is looked up in four places, and the first one that has it wins:

1. a flag: ` + "`--nats.url nats://n1:4222`" + `;
2. the environment: ` + "`RANGEFLEET_NATS_URL=nats://n1:4222`" + `, the key in capitals
   with ` + "`_` for `.`" + `; an empty variable counts as not set;
3. a YAML file, named by ` + "`--config` or `RANGEFLEET_CONFIG`" + `, with keys nested
   (` + "`nats: {url: ...}`) or dotted (`nats.url: ...`)" + `;
4. the default.

Coordinators and workers can read the same file and the same variables. Each process uses
some of the keys, and only has flags for those. An unknown key in the file or an unknown
` + "`RANGEFLEET_*`" + ` variable is an error, and so is a value that is not allowed. All
errors are reported at once. (Variables that Kubernetes sets for services named
` + "`rangefleet...`" + ` are ignored.)

` + "`coordinator config print` and `worker config print`" + ` show the value of each key and where it
comes from. Secrets are hidden.

| key | type | default | used by | |
| --- | --- | --- | --- | --- |
`

const docsTail = `
## Types

- **list**: in the file a YAML sequence; in the environment and in flags items separated by
  commas. A flag may be given several times.
- **roles**: in the file a YAML sequence, as in [stores.md](stores.md#roles-of-sources); in the
  environment and in flags the same as YAML or JSON in one line.
- **size**: a number of bytes, or a number with a unit: ` + "`20971520`, `20480KiB`, `20MiB`, `1GiB`" + `.
- **duration**: ` + "`500ms`, `30s`, `2m`" + `.
- **host:port**: the host may be empty (all addresses of the machine); port 0 is
  any free one.
- **secret**: never printed, logged or quoted in an error. Other users of a machine can see
  flags, so set secrets in the environment or in the file.

## Prefixes in sources.allow

` + "`s3://lake`" + ` allows the bucket ` + "`lake`" + ` and no other. ` + "`s3://lake/raw/`" + ` allows its keys
that start with ` + "`raw/`" + `, and ` + "`s3://lake/raw`" + ` also those that start with ` + "`raw2/`" + `. A local:// source
must also lie within ` + "`local.allowed`" + `. Prefixes in ` + "`namespaces.allow`" + ` work in the same way.

## Sources and storage namespaces

No import reads a source that overlaps a storage namespace, as it would import metadata as
data. So a repository whose namespace overlaps an allowed source would make that source
useless. Therefore ` + "`repo create`" + ` refuses a namespace that

- is in none of ` + "`namespaces.allow`" + `, if that is set;
- overlaps a prefix in ` + "`sources.allow`" + `. To have namespaces within an allowed source,
  such as ` + "`s3://lake/_meta/`" + ` in ` + "`s3://lake/`" + `, add that prefix to ` + "`namespaces.allow`" + `;
- overlaps a source of a running import. If ` + "`namespaces.allow`" + ` is not set, the sources
  of imports that completed within the last day count, too.

After ` + "`repo delete`" + ` the namespace can be used again.
`
