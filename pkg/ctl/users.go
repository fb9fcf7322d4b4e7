package ctl

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func authCommand(a *app) *cobra.Command {
	return group("auth", "Manage users, access keys, sessions and the keys of tokens",
		group("user", "Create, list and delete users", userCreate(a), userList(a), userDelete(a)),
		group("key", "Create, list, rotate and revoke access keys of users", keyCreate(a), keyList(a), keyRotate(a), keyRevoke(a)),
		group("session", "List and revoke sessions of users", sessionList(a), sessionRevoke(a)),
		group("signing-keys", "Replace the keys that sign tokens of logins", signingKeysReplace(a)))
}

// text is the parser of an argument that the service checks.
func text(arg string) (string, error) {
	if arg == "" {
		return "", usage("want a name that is not empty")
	}
	return arg, nil
}

func userCreate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "create USER",
		Short: "Create a user without access keys",
		Long: `Creates a user. It can log in once it has an access key, and may do what the file of rules
(access.file) of the coordinator says of its name.`,
		Example: `  rangectl auth user create ann
  rangectl auth key create ann`,
		RunE: get(a, kindUser, text, func(ctx context.Context, c *client.Client, user string) (api.User, error) {
			made, err := c.CreateUser(ctx, user)
			if err != nil {
				return made, changing(ctx, "creating the user", err)
			}
			return made, nil
		}, userLine),
	}
}

func userList(a *app) *cobra.Command {
	var page client.Page
	return lists(a, &cobra.Command{
		Use:   "ls",
		Short: "List users: name, time of creation",
	}, kindUser, &page, nothing, func(ctx context.Context, c *client.Client, _ struct{}) iter.Seq2[api.User, error] {
		return c.Users(ctx, page)
	}, userLine)
}

func userLine(w io.Writer, u api.User) error {
	_, err := fmt.Fprintf(w, "%-24s  %s\n", printable(u.ID), known(u.CreationDate))
	return err
}

// known is instant for a time that may not be known.
func known(seconds int64) string {
	if seconds == 0 {
		return "unknown"
	}
	return instant(seconds)
}

func userDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete USER --yes",
		Short: "Delete a user with its access keys",
		Long: `Deletes a user with its access keys, which are invalid at once. Imports of the user that are
not committed yet fail. The user admin cannot be deleted.`,
		Example: `  rangectl auth user delete ann --yes`,
		RunE: call(a, text, func(ctx context.Context, c *client.Client, user string) error {
			if !yes {
				return usage("user %q would be deleted for good: add --yes", user)
			}
			if err := c.DeleteUser(ctx, user); err != nil {
				return changing(ctx, "deleting the user", err)
			}
			return showLine(a, kindUser, map[string]any{"id": user, "deleted": true}, "user %s deleted", printable(user))
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm the deletion")
	return cmd
}

func keyCreate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "create USER",
		Short: "Create an access key, and show its secret once",
		Long: `Creates an access key of a user, and shows it with its secret. The secret is not stored and
cannot be shown again.`,
		Example: `  rangectl auth key create ann`,
		RunE:    call(a, text, a.createKey),
	}
}

// createKey creates an access key of a user, and shows it.
func (a *app) createKey(ctx context.Context, c *client.Client, user string) error {
	key, err := c.CreateAccessKey(ctx, user)
	if err != nil {
		return changing(ctx, "creating the access key", err)
	}
	return show(a, kindKey, key, func(w io.Writer, k api.CredentialsWithSecret) error {
		return sheet(w, "Access key "+k.AccessKeyID, row{"Secret", k.SecretAccessKey}, row{"User", user}, row{"Created", instant(k.CreationDate)})
	})
}

func keyList(a *app) *cobra.Command {
	var page client.Page
	return lists(a, &cobra.Command{
		Use:   "ls USER",
		Short: "List the access keys of a user: ID, time of creation",
	}, kindKey, &page, text, func(ctx context.Context, c *client.Client, user string) iter.Seq2[api.Credentials, error] {
		return c.AccessKeys(ctx, user, page)
	}, func(w io.Writer, k api.Credentials) error {
		_, err := fmt.Fprintf(w, "%-24s  %s\n", printable(k.AccessKeyID), known(k.CreationDate))
		return err
	})
}

func keyRotate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate USER KEY",
		Short: "Create an access key in place of another one",
		Long: `Creates an access key of a user, shows it with its secret, and revokes the access key KEY. If the
new key cannot be created or shown, KEY stays valid. Imports that were started with KEY and are
not committed yet fail: use "key create", and "key revoke" when they are done.`,
		Example: `  rangectl auth key rotate ann RFX2...`,
		RunE: onKey(a, func(ctx context.Context, c *client.Client, user, key string) error {
			if _, err := c.AccessKey(ctx, user, key); err != nil { // before there is one key more
				return err
			}
			if err := a.createKey(ctx, c, user); err != nil {
				return err
			}
			return a.revokeKey(ctx, c, user, key)
		}),
	}
}

func keyRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke USER KEY",
		Short: "Revoke an access key",
		Long: `Revokes an access key of a user: it is invalid at once, and within 5 seconds on all coordinators.
Imports that were started with it and are not committed yet fail. The last access key of the
user admin cannot be revoked.`,
		Example: `  rangectl auth key revoke ann RFX2...`,
		RunE:    onKey(a, a.revokeKey),
	}
}

func (a *app) revokeKey(ctx context.Context, c *client.Client, user, key string) error {
	if err := c.DeleteAccessKey(ctx, user, key); err != nil {
		return changing(ctx, "revoking access key "+key, err)
	}
	return showLine(a, kindKey, map[string]any{"access_key_id": key, "revoked": true}, "access key %s revoked", printable(key))
}

// onKey makes the runE of a command about an access key of a user.
func onKey(a *app, f func(ctx context.Context, c *client.Client, user, key string) error) runE {
	return run(func(ctx context.Context, args []string) error {
		for _, arg := range args {
			if _, err := text(arg); err != nil {
				return err
			}
		}
		c, err := a.client(client.Config{})
		if err != nil {
			return err
		}
		return missingAt(args[0]+" "+args[1], f(ctx, c, args[0], args[1]))
	})
}
