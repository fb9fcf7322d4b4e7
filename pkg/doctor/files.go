package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/connect"
)

const areaFiles = "files"

// soon is how long before its end a certificate should be renewed.
const soon = 7 * 24 * time.Hour

// files checks the files that settings of a coordinator name.
func (d *doctor) files(context.Context) {
	if path := d.Settings.Access.File; path != "" {
		d.rules(path)
	}
	if d.Settings.HTTP.CertFile != "" {
		d.certificate(d.Settings.HTTP.CertFile, d.Settings.HTTP.KeyFile)
	}
}

func (d *doctor) rules(path string) {
	const name = "access.file"
	rules, err := connect.Rules(path)
	if err != nil {
		d.fail(areaFiles, name, err.Error(), "correct the file: docs/access.md says what it holds")
		return
	}
	d.ok(areaFiles, name, fmt.Sprintf("%d groups, and %d policies with those that are built in", len(rules.Groups()), len(rules.Policies())))
}

func (d *doctor) certificate(cert, key string) {
	const name = "http.cert_file"
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		d.fail(areaFiles, name, err.Error(), "name a certificate, and in http.key_file its key, both in PEM")
		return
	}
	text := fmt.Sprintf("for %q, until %s", pair.Leaf.DNSNames, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left <= 0:
		d.fail(areaFiles, name, text, "renew it: clients refuse it")
	case left < soon:
		d.warn(areaFiles, name, text, "renew it")
	default:
		d.ok(areaFiles, name, text)
	}
}
