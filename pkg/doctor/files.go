package doctor

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

const areaFiles = "files"

// soon is how long before its end a certificate should be renewed.
const soon = 7 * 24 * time.Hour

// checkFiles checks the files that settings of a coordinator name.
func checkFiles(s settings.Settings) (all []Check) {
	if path := s.Access.File; path != "" {
		all = append(all, checkRules(path))
	}
	if s.HTTP.CertFile != "" {
		all = append(all, checkCertificate(s.HTTP.CertFile, s.HTTP.KeyFile))
	}
	return all
}

func checkRules(path string) Check {
	const name = "access.file"
	rules, err := connect.Rules(path)
	if err != nil {
		return Check{areaFiles, name, Failed, err.Error(), "correct the file: docs/access.md says what it holds"}
	}
	text := fmt.Sprintf("%d groups, and %d policies with those that are built in", len(rules.Groups()), len(rules.Policies()))
	return Check{areaFiles, name, OK, text, ""}
}

func checkCertificate(cert, key string) Check {
	const name = "http.cert_file"
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return Check{areaFiles, name, Failed, err.Error(), "name a certificate, and in http.key_file its key, both in PEM"}
	}
	text := fmt.Sprintf("for %q, until %s", pair.Leaf.DNSNames, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left <= 0:
		return Check{areaFiles, name, Failed, text, "renew it: clients refuse it"}
	case left < soon:
		return Check{areaFiles, name, Warning, text, "renew it"}
	}
	return Check{areaFiles, name, OK, text, ""}
}
