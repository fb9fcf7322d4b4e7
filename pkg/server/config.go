package server

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Storage is what the settings allow to be imported, and to be a storage namespace.
type Storage struct {
	Sources    []objectstore.URI // prefixes; none: all of S3, and Local
	Namespaces []objectstore.URI // prefixes; none: all of S3, and Local
	Local      []string          // absolute paths of directories
}

// config returns what clients are told of the storage.
func (s Storage) config() api.StorageConfig {
	namespaces := s.prefixes(s.Namespaces)
	c := api.StorageConfig{
		BlockstoreType:                   objectstore.SchemeS3,
		BlockstoreNamespaceExample:       "s3://example-bucket/",
		BlockstoreNamespaceValidityRegex: namespaces,
		ImportSupport:                    true,
		ImportValidityRegex:              s.prefixes(s.Sources),
	}
	if len(s.Namespaces) > 0 {
		c.BlockstoreNamespaceExample = s.Namespaces[0].String()
	}
	if !strings.Contains(namespaces, objectstore.SchemeS3+"://") {
		c.BlockstoreType = objectstore.SchemeLocal
	}
	return c
}

// prefixes returns a regular expression of the URIs that have one of the prefixes. Both Go
// and JavaScript read it.
func (s Storage) prefixes(allowed []objectstore.URI) string {
	var patterns []string
	for _, uri := range allowed {
		patterns = append(patterns, prefix(uri))
	}
	if len(allowed) == 0 {
		patterns = append(patterns, objectstore.SchemeS3+"://")
		for _, dir := range s.Local {
			patterns = append(patterns, regexp.QuoteMeta(objectstore.SchemeLocal+"://"+strings.TrimSuffix(dir, "/"))+"(/|$)")
		}
	}
	slices.Sort(patterns)
	return "^(" + strings.Join(slices.Compact(patterns), "|") + ")"
}

// prefix returns a regular expression of the URIs that one contains. A URI of a whole bucket
// may lack the slash after it.
func prefix(uri objectstore.URI) string {
	text := regexp.QuoteMeta(uri.String())
	if uri.Key == "" && uri.Bucket != "" {
		return strings.TrimSuffix(text, "/") + "(/|$)"
	}
	return text
}

func versionConfig() api.VersionConfig {
	return api.VersionConfig{Version: buildinfo.Version(), VersionContext: "lakeFS"}
}

// GetConfig answers what clients need to know of the server. As in lakeFS, whoever may not read the
// configuration of the storage gets the rest.
func (h *handlers) GetConfig(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		config := api.Config{
			VersionConfig: versionConfig(), StorageConfig: h.storage, StorageConfigList: []api.StorageConfig{},
			UIConfig: api.UIConfig{}, CapabilitiesConfig: api.CapabilitiesConfig{},
		}
		err := h.may(ctx, caller, access.On(access.ReadConfig, access.Everything()))
		if fault.Is(err, fault.Denied) {
			config.StorageConfig, err = api.StorageConfig{}, nil
		}
		return http.StatusOK, config, err
	})
}

// GetLakeFSVersion answers the version.
func (h *handlers) GetLakeFSVersion(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input{}, func(context.Context, access.Caller) (int, any, error) {
		return http.StatusOK, versionConfig(), nil
	})
}

// GetStorageConfig answers which sources and storage namespaces there can be.
func (h *handlers) GetStorageConfig(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input{}, func(context.Context, access.Caller) (int, any, error) {
		return http.StatusOK, h.storage, nil
	})
}

// GetCurrentUser answers who the client is.
func (h *handlers) GetCurrentUser(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input{}, func(_ context.Context, caller access.Caller) (int, any, error) {
		return http.StatusOK, api.CurrentUser{User: api.User{ID: caller.User, FriendlyName: caller.User}}, nil
	})
}
