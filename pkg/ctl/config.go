package ctl

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/client"
)

const (
	defaultEndpoint = "http://127.0.0.1:8000"

	envConfig   = "RANGECTL_CONFIG"
	envEndpoint = "RANGECTL_ENDPOINT"
	envKey      = "RANGECTL_ACCESS_KEY_ID"
	envSecret   = "RANGECTL_SECRET_ACCESS_KEY" //nolint:gosec // the name of a secret is none
)

// access is where the coordinator is and who asks it: the content of the file.
type access struct {
	Endpoint        string `yaml:"endpoint"`
	AccessKeyID     string `yaml:"access_key_id"`
	SecretAccessKey string `yaml:"secret_access_key"`
}

// client returns a client for what flags, environment and file say. A zero
// field of tuning has the client's default.
func (a *app) client(tuning client.Config) (*client.Client, error) {
	path := a.configPath()
	file, err := readAccess(path)
	if err != nil {
		return nil, &failure{Usage, err}
	}
	who, err := a.access(file)
	if err != nil {
		return nil, err
	}
	return a.connect(who, tuning)
}

func (a *app) connect(who access, tuning client.Config) (*client.Client, error) {
	tuning.Endpoint, tuning.AccessKeyID, tuning.SecretAccessKey = who.Endpoint, who.AccessKeyID, who.SecretAccessKey
	tuning.Transport, tuning.Sleep = a.Transport, a.Sleep
	tuning.Retry = func(err error) {
		fmt.Fprintf(a.Err, "rangectl: trying again: %s\n", printable(err.Error()))
	}
	c, err := client.New(tuning)
	if err != nil {
		return nil, &failure{Usage, err}
	}
	return c, nil
}

// access decides between flag, environment and file. Keys come in pairs: an ID
// of one place never goes with the secret of another; and the pair of the file
// never goes to another endpoint than the file's.
func (a *app) access(file access) (access, error) {
	who := access{
		Endpoint:    cmp.Or(a.endpoint, a.Getenv(envEndpoint), file.Endpoint, defaultEndpoint),
		AccessKeyID: a.Getenv(envKey), SecretAccessKey: a.Getenv(envSecret),
	}
	if (who.AccessKeyID == "") != (who.SecretAccessKey == "") {
		return access{}, usage("%s and %s: set both or none", envKey, envSecret)
	}
	if who.AccessKeyID == "" && (file.Endpoint == "" || file.Endpoint == who.Endpoint) {
		who.AccessKeyID, who.SecretAccessKey = file.AccessKeyID, file.SecretAccessKey
	}
	return who, nil
}

// configPath is the path of the file, or "" if the user has no home.
func (a *app) configPath() string {
	if path := a.Getenv(envConfig); path != "" {
		return path
	}
	if dir := a.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "rangectl.yaml")
	}
	if home := a.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "rangectl.yaml")
	}
	return ""
}

// readAccess reads the file; one that does not exist is empty. One that holds a
// secret and that others may read is refused.
func readAccess(path string) (access, error) {
	var file access
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("reading %s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return file, fmt.Errorf("reading the configuration: %w", err)
	}
	if file.SecretAccessKey != "" && info.Mode().Perm()&0o077 != 0 {
		return access{}, fmt.Errorf("%s holds a secret and others may read it (mode %04o): run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return file, nil
}

// writeAccess replaces the file, whole or not at all, readable by its owner only.
func writeAccess(path string, file access) error {
	var content bytes.Buffer
	if err := yaml.NewEncoder(&content).Encode(file); err != nil {
		return fmt.Errorf("encoding the configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the directory of the configuration: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	defer os.Remove(f.Name()) // gone already if all goes well
	_, err = f.Write(content.Bytes())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

func (a *app) loginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Store the coordinator's address and your keys",
		Long: `Asks for the address of the coordinator and for your keys, tries them, and stores
them in a file that only you may read. What --endpoint and the environment say is
not asked for.`,
		Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error { return a.login(ctx) }),
	}
}

func (a *app) login(ctx context.Context) error {
	path := a.configPath()
	if path == "" {
		return usage("no home directory to store the configuration in: set %s", envConfig)
	}
	who, err := a.ask()
	if err != nil {
		return err
	}
	c, err := a.connect(who, client.Config{})
	if err != nil {
		return err
	}
	for _, err := range c.Repositories(ctx, client.Page{Amount: 1}) {
		if err != nil {
			return fmt.Errorf("trying the keys at %s: %w", who.Endpoint, err)
		}
	}
	if err := writeAccess(path, who); err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "stored in %s\n", path)
	return nil
}

// ask asks for what neither flags nor environment say.
func (a *app) ask() (access, error) {
	who, err := a.access(access{})
	if err != nil {
		return who, err
	}
	if a.endpoint == "" && a.Getenv(envEndpoint) == "" {
		fmt.Fprintf(a.Err, "Endpoint [%s]: ", who.Endpoint)
		line, err := readLine(a.In)
		if err != nil {
			return who, usage("reading the endpoint: %w", err)
		}
		who.Endpoint = cmp.Or(line, who.Endpoint)
	}
	if who.AccessKeyID != "" {
		return who, nil
	}
	fmt.Fprint(a.Err, "Access key ID: ")
	if who.AccessKeyID, err = readLine(a.In); err != nil {
		return who, usage("reading the access key ID: %w", err)
	}
	fmt.Fprint(a.Err, "Secret access key: ")
	if who.SecretAccessKey, err = a.ReadSecret(); err != nil {
		return who, usage("reading the secret access key: %w", err)
	}
	fmt.Fprintln(a.Err)
	if who.AccessKeyID == "" || who.SecretAccessKey == "" {
		return who, usage("a key was left empty")
	}
	return who, nil
}

// readLine reads up to the end of a line and not a byte more, which belongs to
// the next question.
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
