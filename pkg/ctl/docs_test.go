package ctl

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/internal/generated"
)

func TestDocsAreCurrent(t *testing.T) { generated.File(t, "../../docs/rangectl.md", docs(t)) }

// docs renders docs/rangectl.md from the help of the commands.
func docs(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# rangectl\n\n<!-- Generated from the help of pkg/ctl by \"make generate\". -->\n\n")
	root := newRoot(&app{sys: System{Out: io.Discard, Err: io.Discard}})
	root.InitDefaultHelpFlag()
	fmt.Fprintf(&b, "```text\n%s\n\nFor all commands:\n%s```\n", root.Long, root.PersistentFlags().FlagUsages())
	section(&b, root.Commands())
	examples(t, &b)
	return b.String()
}

// transcripts are the examples of the documentation.
var transcripts = []struct {
	title string
	text  string
	names []string
}{
	{"Progress", "An import as `--progress` shows it: tty (each line in place of the one before), plain and json.", []string{
		"progress-tty.txt", "progress-plain.txt", "progress-json.txt", "progress-auto-elsewhere-json.txt",
	}},
	{"When something is wrong", "What the usual mistakes lead to.", []string{
		"mistake-down.text", "mistake-repository.text", "mistake-branch.text", "mistake-branch-elsewhere.text", "mistake-no-scheme.text", "mistake-no-branch.text",
		"mistake-no-flags.text", "mistake-arguments-swapped.text", "mistake-no-id.text", "mistake-command.text", "mistake-bucket.text", "mistake-bucket.json",
		"mistake-no-worker.text", "ends-unknown.txt",
	}},
}

// examples renders the transcripts, without the requests in them. Of long ones the middle is left out.
func examples(t *testing.T, b *strings.Builder) {
	for _, group := range transcripts {
		fmt.Fprintf(b, "\n## %s\n\n%s\n", group.title, group.text)
		for _, name := range group.names {
			text, rest, _ := strings.Cut(readFile(t, filepath.Join("testdata", name)), "--- exit ")
			code, _, _ := strings.Cut(rest, "\n")
			fmt.Fprintf(b, "\n```text\n%s", asSeen(text))
			if code != "0" {
				fmt.Fprintf(b, "(exit code %s)\n", code)
			}
			b.WriteString("```\n")
		}
	}
}

// asSeen returns what a transcript has on stdout and on stderr in the order in which a user sees it:
// the command, progress, the result, and the error.
func asSeen(text string) string {
	text = strings.ReplaceAll(text, `\r\e[K`, "")
	command, text, _ := strings.Cut(text, "\n")
	result, progress, _ := strings.Cut(text, "--- stderr\n")
	lines := shortened(slices.DeleteFunc(strings.SplitAfter(progress, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" }))
	end := slices.IndexFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "rangectl: ") || strings.HasPrefix(line, "hint: ") || strings.HasPrefix(line, `{"message_type":"error"`)
	})
	if end < 0 {
		end = len(lines)
	}
	return command + "\n" + strings.Join(lines[:end], "") + result + strings.Join(lines[end:], "")
}

// shortened leaves out the middle of many lines.
func shortened(lines []string) []string {
	const most, ends = 14, 5
	if len(lines) <= most {
		return lines
	}
	return slices.Concat(lines[:most-ends], []string{"...\n"}, lines[len(lines)-ends:])
}

func section(b *strings.Builder, commands []*cobra.Command) {
	for _, c := range commands {
		if c.IsAdditionalHelpTopicCommand() {
			fmt.Fprintf(b, "\n## rangectl help %s\n\n%s.\n\n```text\n%s\n```\n", c.Name(), c.Short, c.Long)
			continue
		}
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
