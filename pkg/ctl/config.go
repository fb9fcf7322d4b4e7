package ctl

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/client"
)

const (
	defaultEndpoint = "http://127.0.0.1:8000"

	envConfig   = "RANGECTL_CONFIG"
	envEndpoint = "RANGECTL_ENDPOINT"
	envCA       = "RANGECTL_CA_FILE"
	envKey      = "RANGECTL_ACCESS_KEY_ID"
	envSecret   = "RANGECTL_SECRET_ACCESS_KEY" //nolint:gosec // the name of a secret is none
	envToken    = "RANGECTL_TOKEN"             //nolint:gosec // likewise
)

// access is the address of the coordinator, the CA that signed its certificate, and the keys of
// the user: the content of the file.
type access struct {
	Endpoint        string `yaml:"endpoint"`
	CAFile          string `yaml:"ca_file,omitempty"` // PEM; "": the system's CAs
	AccessKeyID     string `yaml:"access_key_id"`
	SecretAccessKey string `yaml:"secret_access_key"`

	token string // instead of the keys; it is not stored
}

// client returns a client with the address and keys of flags, environment and file. A
// zero field of tuning means the client's default.
func (a *app) client(tuning client.Config) (*client.Client, error) {
	file, err := readAccess(a.configPath())
	if err != nil {
		return nil, &failure{code: Usage, err: err}
	}
	chosen, err := a.access(file)
	if err != nil {
		return nil, err
	}
	return a.connect(chosen, tuning)
}

func (a *app) connect(to access, tuning client.Config) (*client.Client, error) {
	tuning.Endpoint, tuning.AccessKeyID, tuning.SecretAccessKey = to.Endpoint, to.AccessKeyID, to.SecretAccessKey
	transport, err := trusting(a.sys.Transport, to.CAFile)
	if err != nil {
		return nil, &failure{code: Usage, err: err}
	}
	tuning.Token = to.token
	tuning.Transport, tuning.Sleep = transport, a.sys.Sleep
	tuning.Retry = func(err error) {
		if !client.Refused(err) || client.RetryAfter(err) > 0 { // else the error follows within seconds
			a.say(notice{Message: "trying again: " + err.Error()})
		}
	}
	c, err := client.New(tuning)
	if err != nil {
		return nil, advise(&failure{code: Usage, err: err}, endpointHint(to.Endpoint))
	}
	return c, nil
}

// trusting returns a transport that trusts only the CAs of a PEM file; "" changes nothing.
func trusting(transport http.RoundTripper, caFile string) (http.RoundTripper, error) {
	if caFile == "" {
		return transport, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA: %s holds no certificate in PEM", caFile)
	}
	plain, ok := transport.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("a CA cannot be set for %T", transport)
	}
	t := plain.Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}

// access chooses between flag, environment and file. Keys come in pairs: an ID is never
// combined with a secret from elsewhere. A token of the environment takes their place. The
// pair of the file is never sent to an endpoint other than the file's, and its CA is not
// trusted there.
func (a *app) access(file access) (access, error) {
	chosen := access{
		Endpoint:    cmp.Or(a.endpoint, a.sys.Getenv(envEndpoint), file.Endpoint, defaultEndpoint),
		CAFile:      cmp.Or(a.caFile, a.sys.Getenv(envCA)),
		AccessKeyID: a.sys.Getenv(envKey), SecretAccessKey: a.sys.Getenv(envSecret),
		token: a.sys.Getenv(envToken),
	}
	if (chosen.AccessKeyID == "") != (chosen.SecretAccessKey == "") {
		return access{}, usage("%s and %s: set both or none", envKey, envSecret)
	}
	if chosen.token != "" && chosen.AccessKeyID != "" {
		return access{}, usage("%s and %s: set one of them", envToken, envKey)
	}
	here := file.Endpoint == "" || file.Endpoint == chosen.Endpoint
	if chosen.CAFile == "" && here {
		chosen.CAFile = file.CAFile
	}
	if chosen.token == "" && chosen.AccessKeyID == "" && here {
		chosen.AccessKeyID, chosen.SecretAccessKey = file.AccessKeyID, file.SecretAccessKey
	}
	return chosen, nil
}

// configPath returns the path of the file, "" if the user has no home.
func (a *app) configPath() string {
	if path := a.sys.Getenv(envConfig); path != "" {
		return path
	}
	if dir := a.sys.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "rangectl.yaml")
	}
	if home := a.sys.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "rangectl.yaml")
	}
	return ""
}

// readAccess reads the file. A file that does not exist counts as empty. A file that
// holds a secret and is readable by others is an error.
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
		return file, fmt.Errorf("reading %s: %w", path, contentError(err))
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

// contentError is an error of the content of the file, without names of types of this program.
func contentError(err error) error {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	faults := make([]string, len(wrong.Errors))
	for i, fault := range wrong.Errors {
		field, _, unknown := strings.Cut(fault, " not found in type ")
		if faults[i] = fault; unknown {
			faults[i] = field + " is unknown"
		}
	}
	return errors.New(strings.Join(faults, "; "))
}

// writeAccess replaces the file atomically, readable by its owner only.
func writeAccess(path string, file access) error {
	content, err := yaml.Marshal(file)
	if err == nil {
		err = replaceFile(path, content)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all goes well
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
