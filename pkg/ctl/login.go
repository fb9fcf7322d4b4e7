package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/client"
)

func loginCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Store the coordinator's address and your keys",
		Long: `Asks for the address of the coordinator and for your keys, tries them, and stores
them in a file that only you can read. It does not ask for what --endpoint or the
environment sets.`,
		RunE: run(func(ctx context.Context, _ []string) error { return a.login(ctx) }),
	}
}

func (a *app) login(ctx context.Context) error {
	path := a.configPath()
	if path == "" {
		return usage("no home directory to store the configuration in: set %s", envConfig)
	}
	answers, err := a.ask()
	if err != nil {
		return err
	}
	answers.token = "" // what is tried is what is stored
	c, err := a.connect(answers, client.Config{})
	if err != nil {
		return err
	}
	if _, err := c.CurrentUser(ctx); err != nil {
		err = fmt.Errorf("trying the keys at %s: %w", answers.Endpoint, err)
		if answered(err, http.StatusUnauthorized) {
			return advise(err, "nothing was stored: check the access key and its secret")
		}
		return err
	}
	if answers.CAFile != "" { // it is used in other directories, too
		if answers.CAFile, err = filepath.Abs(answers.CAFile); err != nil {
			return err
		}
	}
	if err := writeAccess(path, answers); err != nil {
		return err
	}
	a.say(notice{Message: "stored in " + path})
	return nil
}

// ask asks for what neither flags nor environment set.
func (a *app) ask() (access, error) {
	answers, err := a.access(access{})
	if err != nil {
		return answers, err
	}
	if a.endpoint == "" && a.sys.Getenv(envEndpoint) == "" {
		fmt.Fprintf(a.sys.Err, "Endpoint [%s]: ", answers.Endpoint)
		line, err := readLine(a.sys.In)
		if err != nil {
			return answers, usage("reading the endpoint: %w", err)
		}
		answers.Endpoint = cmp.Or(line, answers.Endpoint)
	}
	if answers.AccessKeyID != "" {
		return answers, nil
	}
	fmt.Fprint(a.sys.Err, "Access key ID: ")
	if answers.AccessKeyID, err = readLine(a.sys.In); err != nil {
		return answers, usage("reading the access key ID: %w", err)
	}
	fmt.Fprint(a.sys.Err, "Secret access key: ")
	if answers.SecretAccessKey, err = a.sys.ReadSecret(); err != nil {
		return answers, usage("reading the secret access key: %w", err)
	}
	fmt.Fprintln(a.sys.Err)
	if answers.AccessKeyID == "" || answers.SecretAccessKey == "" {
		return answers, usage("a key was left empty")
	}
	return answers, nil
}

// readLine reads up to the end of a line and not a byte more: what follows is the answer
// to the next question.
func readLine(r io.Reader) (string, error) {
	var line strings.Builder
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		if n == 1 && b[0] == '\n' {
			break
		}
		line.Write(b[:n])
		if errors.Is(err, io.EOF) && line.Len() > 0 {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(line.String()), nil
}
