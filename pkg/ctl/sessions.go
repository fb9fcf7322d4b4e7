package ctl

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func sessionList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ls USER",
		Short: "List the sessions of a user: ID, kind, times of the login and of the end",
		RunE: call(a, text, func(ctx context.Context, c *client.Client, user string) error {
			all, err := c.Sessions(ctx, user)
			if err != nil {
				return err
			}
			for _, s := range all {
				if err := show(a, kindSession, s, sessionLine); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func sessionLine(w io.Writer, s api.Session) error {
	_, err := fmt.Fprintf(w, "%s  %-21s  %s  %s\n", printable(s.ID), printable(s.Kind), known(s.CreationDate), known(s.ExpirationDate))
	return err
}

func sessionRevoke(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke USER {SESSION | --all}",
		Short: "Revoke a session, or all sessions of a user",
		Long: `Revokes a session of a user, or with --all those that the user has or had. Its token and cookie are
invalid at once, and within 5 seconds on all coordinators. Imports that were started with it and are
not committed yet fail. The user can log in again: to prevent that, revoke the access key, delete the
user, or have the identity provider refuse the user.`,
		Example: `  rangectl auth session revoke ann --all`,
		RunE: run(func(ctx context.Context, args []string) error {
			if all == (len(args) == 2) {
				return usage("want either a session or --all")
			}
			c, err := a.client(client.Config{})
			if err != nil {
				return err
			}
			return a.revokeSessions(ctx, c, args)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "revoke all sessions of the user")
	return cmd
}

// revokeSessions revokes a session of a user, or all sessions if none is named.
func (a *app) revokeSessions(ctx context.Context, c *client.Client, args []string) error {
	for _, arg := range args {
		if _, err := text(arg); err != nil {
			return err
		}
	}
	user := args[0]
	if len(args) == 1 {
		if err := c.RevokeSessions(ctx, user); err != nil {
			return missingAt(user, changing(ctx, "revoking the sessions of user "+user, err))
		}
		return showLine(a, kindSession, map[string]any{"user": user, "revoked": true}, "all sessions of user %s revoked", printable(user))
	}
	if err := c.RevokeSession(ctx, user, args[1]); err != nil {
		return missingAt(user+" "+args[1], changing(ctx, "revoking session "+args[1], err))
	}
	return showLine(a, kindSession, map[string]any{"id": args[1], "revoked": true}, "session %s revoked", printable(args[1]))
}

func signingKeysReplace(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "replace --yes",
		Short: "Replace the keys that sign tokens of logins",
		Long: `Removes the keys that sign the tokens of logins, as somebody may know them, and makes a new one. All
tokens are invalid at once, and within 5 seconds on all coordinators: their users log in again.
Sessions go on by their cookies, and so does what was begun with a token. Without this command,
the keys change every month, and tokens stay valid until they expire.`,
		Example: `  rangectl auth signing-keys replace --yes`,
		RunE: call(a, nothing, func(ctx context.Context, c *client.Client, _ struct{}) error {
			if !yes {
				return usage("all tokens of logins would end: add --yes")
			}
			if err := c.ReplaceSigningKeys(ctx); err != nil {
				return changing(ctx, "replacing the keys of tokens", err)
			}
			return showLine(a, kindSummary, map[string]any{"keys_replaced": true}, "keys of tokens replaced")
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm that all tokens end")
	return cmd
}
