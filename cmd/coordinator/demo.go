package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/pkg/ctl"
	"github.com/rangefleet/rangefleet/pkg/demo"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// enough is the least number of files that makes an instructive demo.
const enough = 20_000

func demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo [directory]...",
		Short: "Import directory trees into a branch and show it, all in this process",
		Long: `Runs a coordinator on a free port with its own settings, imports the directories
into a branch with rangectl commands, and shows the commit and a listing. Without a
directory it imports the Go distribution and Go's module cache. Nothing in the
directories is changed.`,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			if err := refuseSettings(cmd.InheritedFlags()); err != nil {
				return err
			}
			return runDemo(cmd.Context(), cmd.OutOrStdout(), dirs, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the temporary directory with the stored files")
	// The coordinator's settings do not apply.
	cmd.SetUsageTemplate("Usage:\n  {{.UseLine}}\n\nFlags:\n{{.LocalNonPersistentFlags.FlagUsages}}")
	return cmd
}

// refuseSettings refuses the coordinator's flags: the demo chooses its own settings.
func refuseSettings(inherited *pflag.FlagSet) (err error) {
	inherited.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			err = errors.Join(err, fmt.Errorf("the demo runs with its own settings and cannot use --%s", f.Name))
		}
	})
	return err
}

func runDemo(ctx context.Context, out io.Writer, dirs []string, keep bool) (err error) {
	if dirs, err = trees(ctx, dirs); err != nil {
		return err
	}
	files, bytes, err := demo.Size(ctx, dirs)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d files of %.1f MiB in %s\n", files, float64(bytes)/(1<<20), strings.Join(dirs, " and "))
	if files < enough {
		fmt.Fprintf(out, "That is too little to show much: name a directory with at least %d files.\n", enough)
	}
	fmt.Fprintln(out)
	data, err := os.MkdirTemp("", "rangefleet-demo-")
	if err != nil {
		return fmt.Errorf("create a directory for the demo: %w", err)
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	}
	return demo.Demo{
		Dirs: dirs, Data: data, Keep: keep, System: ctl.OS(),
		Log: node.NewLogger(settings.Log{Level: slog.LevelWarn, Format: "text"}, "", os.Stderr).Logger,
	}.Run(ctx)
}

// trees returns the directories to import as absolute paths.
func trees(ctx context.Context, dirs []string) ([]string, error) {
	if len(dirs) == 0 {
		return demo.GoTrees(ctx)
	}
	absolute := make([]string, len(dirs))
	for i, dir := range dirs {
		path, err := filepath.Abs(dir)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return nil, fmt.Errorf("directory %q: %w", dir, err)
		}
		absolute[i] = path
	}
	return absolute, nil
}
