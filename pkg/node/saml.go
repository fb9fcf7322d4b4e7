package node

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

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
	go b.rereadProvider(ctx, logins)
	return logins, nil
}

// samlOf returns logins as the server takes them.
func samlOf(l *samllogin.Logins) server.SAML {
	if l == nil {
		return nil
	}
	return l
}

func (b *base) rereadProvider(ctx context.Context, logins *samllogin.Logins) {
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
			b.Log.Error("metadata of the SAML identity provider are refused, the old ones stay in force", "file", file, "err", err)
			continue
		}
		b.Log.Info("metadata of the SAML identity provider are in force", "file", file)
	}
}
