package ctl

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/internal/generated"
)

func TestDocsAreCurrent(t *testing.T) { generated.File(t, "../../docs/rangectl.md", docs()) }

// docs renders docs/rangectl.md from the help of the commands.
func docs() string {
	var b strings.Builder
	b.WriteString("# rangectl\n\n<!-- Generated from the help of pkg/ctl by \"make generate\". -->\n\n")
	root := newRoot(System{Out: io.Discard, Err: io.Discard})
	root.InitDefaultHelpFlag()
	fmt.Fprintf(&b, "```text\n%s\n\nFor all commands:\n%s```\n", root.Long, root.PersistentFlags().FlagUsages())
	section(&b, root.Commands())
	return b.String()
}

func section(b *strings.Builder, commands []*cobra.Command) {
	for _, c := range commands {
		if c.HasSubCommands() {
			section(b, c.Commands())
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```text\n", c.CommandPath(), c.Short)
		if c.Long != "" {
			fmt.Fprintf(b, "%s\n\n", c.Long)
		}
		fmt.Fprintf(b, "Usage:\n  %s\n", c.UseLine())
		if c.Example != "" {
			fmt.Fprintf(b, "\nExamples:\n%s\n", c.Example)
		}
		if flags := c.LocalFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(b, "\nFlags:\n%s", flags.FlagUsages())
		}
		b.WriteString("```\n")
	}
}
