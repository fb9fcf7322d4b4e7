package ctl

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// refuseFlags refuses a command line without the flags that its command needs, or with a negative
// number.
func refuseFlags(cmd *cobra.Command) error {
	var missing, negative []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch {
		case !f.Changed && f.Annotations[cobra.BashCompOneRequiredFlag] != nil:
			missing = append(missing, "--"+f.Name)
		case f.Value.Type() == "int" && strings.HasPrefix(f.Value.String(), "-"):
			negative = append(negative, fmt.Sprintf("--%s %s: want 0 or more", f.Name, f.Value))
		}
	})
	switch {
	case len(missing) > 0:
		return usage("%q needs %s", cmd.CommandPath(), strings.Join(missing, " and "))
	case len(negative) > 0:
		return usage("%s", negative[0])
	}
	return nil
}

// flagError is the error of a flag that could not be parsed.
func flagError(cmd *cobra.Command, err error) error {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok && strings.HasPrefix(bad.GetFlag().Value.Type(), "int") {
		return usage("--%s %q: want a whole number", bad.GetFlag().Name, bad.GetValue())
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	collect := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.Flags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	if like := nearest(unknown.GetSpecifiedName(), names); like != "" {
		return advise(err, fmt.Sprintf("did you mean --%s?", like))
	}
	return err
}
