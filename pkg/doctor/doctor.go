// Package doctor checks, before or beside a running process, whether its settings fit what it
// connects to: identity providers, NATS, S3 and a lakeFS server. It only reads, unless it is asked to write.
package doctor

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/settings"
)

// State is how a check ended.
type State string

// The states of a check.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, or may work, and something should be looked at
	Failed  State = "failed"  // a process with these settings does not work
)

// Check is the result of one check. No text of it has a secret of the settings.
type Check struct {
	Area  string `json:"area"` // settings, files, login, nats, s3, lakefs or clock
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// Config says what is checked. Fields are optional, but for Settings, HTTP and Log.
type Config struct {
	Settings   settings.Settings
	Namespaces []string      // storage namespaces to list and read
	Repository string        // of the lakeFS server, whose permissions are tried
	Branch     string        // of that; "": main
	Write      bool          // store something, and delete it again
	Reach      time.Duration // how long NATS may take to be reached; 0: 10 s
	HTTP       http.RoundTripper
	Log        *slog.Logger // of the connections; what they log is also in the checks
}

// within bounds the checks of one service.
const within = 30 * time.Second

// doctor makes checks.
type doctor struct {
	Config
	report func(Check)
}

// Run makes all checks, and reports each as it ends. It ends early with ctx.
func Run(ctx context.Context, c Config, report func(Check)) {
	d := doctor{c, func(check Check) {
		check.Text = redacted(c.Settings, strings.ReplaceAll(check.Text, "\n", "; "))
		report(check)
	}}
	for _, check := range checkFiles(c.Settings) {
		d.report(check)
	}
	logins := func(ctx context.Context) {
		for _, check := range checkLogins(ctx, c.Settings) {
			d.report(check)
		}
	}
	for _, check := range []func(context.Context){d.settings, logins, d.nats, d.s3, d.lakeFS} {
		ctx, cancel := context.WithTimeout(ctx, within)
		check(ctx)
		cancel()
	}
}

// redacted takes the secrets of the settings out of a text: an error may quote a URL or a header.
func redacted(s settings.Settings, text string) string {
	secrets := []settings.Secret{s.NATS.Password, s.S3.SecretAccessKey, s.LakeFS.SecretAccessKey, s.Auth.SecretAccessKey, s.Auth.OIDC.ClientSecret}
	for server := range strings.SplitSeq(s.NATS.URL, ",") {
		if u, err := url.Parse(server); err == nil {
			password, _ := u.User.Password()
			secrets = append(secrets, settings.NewSecret(password))
		}
	}
	for _, secret := range secrets {
		if hidden := secret.Reveal(); hidden != "" {
			text = strings.ReplaceAll(text, hidden, secret.String())
		}
	}
	return text
}

// ok reports a check that found nothing wrong.
func (d *doctor) ok(area, name, text string) {
	d.report(Check{Area: area, Name: name, State: OK, Text: text})
}

// warn reports what should be looked at.
func (d *doctor) warn(area, name, text, do string) {
	d.report(Check{Area: area, Name: name, State: Warning, Text: text, Do: do})
}

// fail reports what does not work.
func (d *doctor) fail(area, name, text, do string) {
	d.report(Check{Area: area, Name: name, State: Failed, Text: text, Do: do})
}

// settings reports what was set.
func (d *doctor) settings(context.Context) {
	const area = "settings"
	changed := d.Settings.Changed()
	if len(changed) == 0 {
		d.ok(area, "all", "nothing is set: all settings have their defaults")
	}
	for _, s := range changed {
		text := s.Value + " (" + s.Origin + ")"
		if s.Same {
			text += ", which is the default"
		}
		d.ok(area, s.Key, text)
	}
}

// Invalid returns what is wrong with settings that cannot be loaded, one check for each fault.
func Invalid(err error) (all []Check) {
	for text := range strings.SplitSeq(err.Error(), "\n") {
		all = append(all, Check{Area: "settings", Name: "valid", State: Failed, Text: text, Do: "correct it: docs/settings.md has all settings"})
	}
	return all
}
