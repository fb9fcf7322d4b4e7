package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the script that completes commands in bash, zsh or fish",
		Long: `Prints a script for a shell: bash, zsh or fish. With it, the shell completes commands and
flags, and also names that the coordinator knows: of repositories, branches and users, and the
IDs of imports. It asks the coordinator as the command would, for two seconds at most; if there
is no answer, there are no names. The script for bash needs the package bash-completion.`,
		Example: `  source <(rangectl completion bash)
  rangectl completion zsh > "${fpath[1]}/_rangectl"
  rangectl completion fish > ~/.config/fish/completions/rangectl.fish`,
		ValidArgsFunction: cobra.FixedCompletions([]string{"bash", "zsh", "fish"}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			var err error
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(out, true)
			case "zsh":
				err = root.GenZshCompletion(out)
			case "fish":
				err = root.GenFishCompletion(out, true)
			default:
				return usage("%q: want bash, zsh or fish", args[0])
			}
			if err != nil {
				return &failure{code: Failed, err: fmt.Errorf("writing the script: %w", err)}
			}
			return nil
		},
	}
}

// Nothing but names may be completed: no files.
const (
	onlyNames = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	goesOn    = onlyNames | cobra.ShellCompDirectiveNoSpace // a name that more may follow
)

// completeArgument completes the argument that a command's usage has next. It says nothing if the
// coordinator cannot be asked.
func (a *app) completeArgument(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	want := parameters(cmd.Use)
	if len(want) == 0 {
		return nil, onlyNames
	}
	next := want[min(len(args), len(want)-1)]
	if len(args) >= len(want) && !next.repeated {
		return nil, onlyNames
	}
	ctx, cancel, c, err := a.aside(cmd.Context())
	defer cancel()
	if err != nil {
		return nil, onlyNames
	}
	return completer{ctx, c}.complete(next.word, args, typed)
}

// completer asks a coordinator for names.
type completer struct {
	ctx    context.Context
	client *client.Client
}

func (c completer) complete(word string, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch {
	case word == "lakefs://repository":
		return c.repositories(typed, ""), onlyNames
	case strings.HasPrefix(word, scheme):
		return c.places(typed, strings.Count(strings.TrimPrefix(word, scheme), "/") > 1 || strings.HasSuffix(word, "]"))
	case strings.HasPrefix(word, "FILE") && strings.HasPrefix(typed, "lakefs:"):
		return c.places(typed, false)
	case strings.HasPrefix(word, "FILE"):
		return nil, cobra.ShellCompDirectiveDefault
	case word == "ID":
		return c.imports(args[0]), onlyNames
	case word == "REF":
		return c.refs(args[0], typed), onlyNames
	case word == "USER":
		return names(c.client.Users(c.ctx, client.Page{Prefix: typed, Amount: asideNames}), func(u api.User) string { return u.ID }), onlyNames
	case word == "KEY":
		return names(c.client.AccessKeys(c.ctx, args[0], client.Page{Prefix: typed, Amount: asideNames}), func(k api.Credentials) string { return k.AccessKeyID }), onlyNames
	}
	return nil, onlyNames
}

// repositories returns the URIs of repositories that begin as typed, with an end.
func (c completer) repositories(typed, end string) (uris []cobra.Completion) {
	name, ok := strings.CutPrefix(typed, scheme)
	if !ok {
		if !strings.HasPrefix(scheme, typed) {
			return nil
		}
		name = ""
	}
	for _, found := range repositoryNames(c.ctx, c.client, name) {
		uris = append(uris, scheme+found+end)
	}
	return uris
}

// places returns URIs of branches, or of repositories until one was typed. A path may follow the
// branch.
func (c completer) places(typed string, path bool) ([]cobra.Completion, cobra.ShellCompDirective) {
	repository, ref, ok := strings.Cut(strings.TrimPrefix(typed, scheme), "/")
	if !strings.HasPrefix(typed, scheme) || !ok {
		return c.repositories(typed, "/"), goesOn
	}
	var uris []cobra.Completion
	for _, name := range branchNames(c.ctx, c.client, repository, ref) {
		uris = append(uris, scheme+repository+"/"+name)
	}
	if path {
		return uris, goesOn
	}
	return uris, onlyNames
}

// refs returns the branches of the repository of a place.
func (c completer) refs(uri, typed string) []cobra.Completion {
	p, err := at(uri)
	if err != nil {
		return nil
	}
	return branchNames(c.ctx, c.client, p.repository, typed)
}

// imports returns the IDs of the newest imports into a branch, with their phases and sources.
func (c completer) imports(uri string) (ids []cobra.Completion) {
	p, err := atRef(uri)
	if err != nil {
		return nil
	}
	for i, err := range c.client.Imports(c.ctx, client.Page{Repository: p.repository, Amount: asideNames}) {
		if err != nil {
			break
		}
		if i.Branch == p.ref {
			ids = append(ids, cobra.CompletionWithDesc(i.ID, printable(fmt.Sprintf("%s, %s", i.Phase, i.Source))))
		}
	}
	return ids
}

// names returns the names of what a list yields, as many as it gets.
func names[T any](list func(yield func(T, error) bool), name func(T) string) (all []cobra.Completion) {
	for x, err := range list {
		if err != nil {
			break
		}
		all = append(all, name(x))
	}
	return all
}

// completeFlag makes a flag complete as an argument with that word in a usage.
func (a *app) completeFlag(cmd *cobra.Command, flag, word string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if word == "REF" && len(args) == 0 {
			return nil, onlyNames
		}
		ctx, cancel, c, err := a.aside(cmd.Context())
		defer cancel()
		if err != nil {
			return nil, onlyNames
		}
		return completer{ctx, c}.complete(word, args, typed)
	})
}

// completeWords makes a flag complete to one of a few words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
