package node

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/server"
)

// saml returns the logins at the SAML identity provider of the settings; nil if there is none. At
// each hangup signal, until ctx ends, the provider's metadata are read again.
func (b *base) saml(ctx context.Context, sealer *auth.Sealer, used *once.Store) (*samllogin.Logins, error) {
	s := b.Settings.Auth.SAML
	if s.MetadataFile == "" {
		return nil, nil
	}
	metadata, err := os.ReadFile(s.MetadataFile)
	if err != nil {
		return nil, fmt.Errorf("auth.saml.metadata_file: %w", err)
	}
	key, err := samllogin.OpenKey(ctx, b.backend.Within(natsWait).Bucket(kv.BucketAuth), time.Now)
	if err != nil {
		return nil, err
	}
	logins, err := samllogin.New(samllogin.Config{
		PublicURL: b.Settings.HTTP.PublicURL, EntityID: s.EntityID, UserAttribute: s.UserAttribute,
		Key: key, Sealer: sealer, Used: used, Now: time.Now,
	}, metadata)
	if err != nil {
		return nil, fmt.Errorf("auth.saml.metadata_file %s: %w", s.MetadataFile, err)
	}
	ends := newSAMLEnds(b.metrics)
	ends.show(logins)
	go b.rereadProvider(ctx, logins, ends)
	return logins, nil
}

// samlEnds shows when the certificates of SAML expire.
type samlEnds struct{ key, provider prometheus.Gauge }

func newSAMLEnds(reg prometheus.Registerer) samlEnds {
	f := metric.With(reg)
	return samlEnds{key: f.CertificateEnd("saml"), provider: f.CertificateEnd("saml_idp")}
}

func (e samlEnds) show(l *samllogin.Logins) {
	key, provider := l.Ends()
	e.key.Set(metric.Time(key))
	e.provider.Set(metric.Time(provider))
}

// samlOf returns logins as the server takes them.
func samlOf(l *samllogin.Logins) server.SAML {
	if l == nil {
		return nil
	}
	return l
}

func (b *base) rereadProvider(ctx context.Context, logins *samllogin.Logins, ends samlEnds) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		file := b.Settings.Auth.SAML.MetadataFile
		metadata, err := os.ReadFile(file)
		if err == nil {
			err = logins.Trust(metadata)
		}
		if err != nil {
			b.Log.ErrorContext(ctx, "metadata of the SAML identity provider are refused, the old ones stay in force", "file", file, "err", err)
			continue
		}
		ends.show(logins)
		b.Log.InfoContext(ctx, "metadata of the SAML identity provider are in force", "file", file)
	}
}
