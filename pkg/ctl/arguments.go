package ctl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// parameter is a positional argument as the usage of a command names it.
type parameter struct {
	word     string // such as lakefs://repository/branch, or ID
	optional bool
	repeated bool // once or more
}

// parameters reads them from the usage of a command: the words after its name that are no flags.
func parameters(use string) (all []parameter) {
	for _, word := range strings.Fields(use)[1:] {
		if strings.HasPrefix(strings.TrimPrefix(word, "["), "--") {
			break
		}
		p := parameter{word: word}
		if strings.HasPrefix(word, "[") || strings.HasPrefix(word, "{") {
			p = parameter{word: strings.Trim(word, "[{"), optional: true}
			if strings.Count(p.word, "]") > strings.Count(p.word, "[") {
				p.word = strings.TrimSuffix(p.word, "]")
			}
		}
		p.word, p.repeated = strings.CutSuffix(p.word, "...")
		all = append(all, p)
		if strings.HasPrefix(word, "{") {
			break // what follows is a flag in its place
		}
	}
	return all
}

// arrange gives a command and those below it the check and the completion of their arguments, by
// their usage.
func (a *app) arrange(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		a.arrange(c)
	}
	if cmd.HasSubCommands() {
		cmd.Args = knownCommand
		return
	}
	if cmd.Args == nil {
		cmd.Args = checkCount
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = a.completeArgument
	}
}

// knownCommand refuses what is no command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	err := usage("unknown command %q for %q", args[0], cmd.CommandPath())
	if like := commandLike(args[0], cmd.HasParent(), names); like != "" {
		return advise(err, fmt.Sprintf("did you mean %s %s?", cmd.CommandPath(), like))
	}
	return err
}

// commandLike returns the command that a wrong one was probably meant to be, "" if there is none.
func commandLike(wrong string, inGroup bool, names []string) string {
	switch {
	case wrong == "version" && !inGroup:
		return "--version"
	case wrong == "ls" && slices.Contains(names, "list"):
		return "list"
	case wrong == "list" && slices.Contains(names, "ls"):
		return "ls"
	}
	return nearest(wrong, names)
}

// checkCount checks the number of arguments.
func checkCount(cmd *cobra.Command, args []string) error {
	want := parameters(cmd.Use)
	least, most := 0, len(want)
	for _, p := range want {
		if !p.optional {
			least++
		}
		if p.repeated {
			most = len(args)
		}
	}
	if least <= len(args) && len(args) <= most {
		return misplaced(cmd, want, args)
	}
	words := make([]string, len(want))
	for i, p := range want {
		words[i] = p.word
	}
	err := usage("want %s after %q, got %s", strings.Join(words, " "), cmd.CommandPath(), counted(int64(len(args)), "argument"))
	if len(want) == 0 {
		err = usage("%q takes no arguments, got %s", cmd.CommandPath(), counted(int64(len(args)), "argument"))
	}
	return advise(err, countHint(want, args))
}

// countHint hints at where the argument is found that is missing, or at what one too many may mean.
func countHint(want []parameter, args []string) string {
	switch {
	case len(args) > len(want) && len(want) == 1 && strings.HasSuffix(want[0].word, "]") && strings.HasPrefix(args[0], scheme):
		return fmt.Sprintf("did you mean %s?", strings.TrimSuffix(args[0], "/")+"/"+strings.TrimPrefix(args[1], "/"))
	case len(args) < len(want) && slices.ContainsFunc(want, func(p parameter) bool { return p.word == "ID" }):
		return "rangectl imports lists imports with their branches and IDs"
	}
	return ""
}

// misplaced refuses arguments of which the one that names a place is not where it belongs.
func misplaced(cmd *cobra.Command, want []parameter, args []string) error {
	if len(args) < 2 || !strings.HasPrefix(want[0].word, scheme) || strings.HasPrefix(args[0], scheme) {
		return nil
	}
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, scheme) })
	if i < 0 {
		return nil
	}
	ordered := slices.Concat(args[i:i+1], args[:i], args[i+1:])
	return advise(usage("%q: want %s first", args[0], want[0].word),
		fmt.Sprintf("did you mean %s %s?", cmd.CommandPath(), strings.Join(ordered, " ")))
}

// noPositions refuses arguments of an import, which has flags for them.
func (f *importFlags) noPositions(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	from, to := slices.Clone(f.from), f.to
	for _, arg := range args {
		if strings.HasPrefix(arg, scheme) && to == "" {
			to = arg
		} else {
			from = append(from, arg)
		}
	}
	hint := ""
	if to != "" && len(from) > 0 {
		hint = fmt.Sprintf("did you mean %s --from %s --to %s?", cmd.CommandPath(), strings.Join(from, " --from "), to)
	}
	return advise(usage("%q: want --from before a source, and --to before the destination", args[0]), hint)
}

// swapped refuses a source and a destination in each other's place.
func (f *importFlags) swapped() error {
	if strings.HasPrefix(f.to, scheme) || !slices.ContainsFunc(f.from, func(uri string) bool { return strings.HasPrefix(uri, scheme) }) {
		return nil
	}
	return advise(usage("--from %q names a branch, and --to %q does not", f.from[0], f.to), "--from is the source, and --to the branch that it is imported into")
}

// placeHint is what a URI may have been meant to be that is no lakefs://repository/ref.
func placeHint(uri string) string {
	switch {
	case !strings.Contains(uri, "://") && strings.Count(uri, "/") > 0 && !strings.HasPrefix(uri, "/"):
		return "did you mean " + scheme + uri + "?"
	case strings.HasPrefix(uri, scheme) && !strings.Contains(strings.Trim(strings.TrimPrefix(uri, scheme), "/"), "/"):
		return fmt.Sprintf("the branch is missing, as in %s/main", strings.TrimSuffix(uri, "/"))
	}
	return ""
}
