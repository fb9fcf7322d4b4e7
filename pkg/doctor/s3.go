package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// s3 checks the sources that may be imported, and the namespaces.
func (d *doctor) s3(ctx context.Context) {
	const area = "s3"
	cfg := connect.Stores(d.Settings)
	open, err := stores.New(cfg, nil, d.Log)
	if err != nil {
		d.fail(area, "stores", err.Error(), "")
		return
	}
	sources, namespaces := sourcesOf(d.Settings.Sources, cfg.Roles), buckets(d.Namespaces)
	cfg.Roles = roles.Table{} // namespaces are read and written without a role
	own, err := stores.New(cfg, nil, d.Log)
	if err != nil {
		d.fail(area, "stores", err.Error(), "")
		return
	}
	if len(sources)+len(namespaces) == 0 {
		if s := d.Settings; len(s.Local.Allowed) > 0 && s.S3.Endpoint == "" && s.S3.AccessKeyID == "" {
			return // it works on directories
		}
		d.warn(area, "buckets", "no bucket is known, so that nothing was tried", "name a storage namespace with --namespace, or set sources.allow")
		return
	}
	d.date(ctx, "S3", cmp.Or(d.Settings.S3.Endpoint, "https://s3."+d.Settings.S3.Region+".amazonaws.com"), true)
	for _, u := range sources {
		d.list(ctx, open, u)
	}
	for _, u := range namespaces {
		u = directory(u)
		if d.list(ctx, own, u) && d.Write {
			d.put(ctx, own, u)
		}
	}
}

// sourcesOf returns the sources that can be listed: those that are allowed, and those with a
// role. An allowed one that holds one with a role cannot.
func sourcesOf(s settings.Sources, t roles.Table) (all []objectstore.URI) {
	texts := s.Allow
	for _, r := range s.Roles {
		if !slices.Contains(texts, r.Source) {
			texts = append(slices.Clip(texts), r.Source)
		}
	}
	for _, u := range buckets(texts) {
		if _, _, err := t.For(u, false); err == nil {
			all = append(all, u)
		}
	}
	return all
}

// buckets returns the URIs that are in buckets.
func buckets(texts []string) (all []objectstore.URI) {
	for _, text := range texts {
		if u, err := objectstore.ParseURI(text); err == nil && u.Scheme == objectstore.SchemeS3 {
			all = append(all, u)
		}
	}
	return all
}

// directory returns where the files of a namespace are.
func directory(u objectstore.URI) objectstore.URI {
	if u.Key = strings.Trim(u.Key, "/"); u.Key != "" {
		u.Key += "/"
	}
	return u.Join("_lakefs/")
}

// list lists the first page, and reads a byte of the first object that has one.
func (d *doctor) list(ctx context.Context, open *stores.Stores, u objectstore.URI) bool {
	const area = "s3"
	bucket, err := open.Trial(ctx, u)
	var first string
	n := 0
	if err == nil {
		_, err = bucket.Pages.WalkPage(ctx, u.Key, "", func(page []objectstore.Listed) {
			n = len(page)
			for _, o := range page {
				if first == "" && o.Size > 0 {
					first = string(o.Key)
				}
			}
		})
	}
	if err != nil {
		d.fail(area, "list "+u.String(), err.Error(), adviceFor(err, "s3:ListBucket"))
		return false
	}
	listing, err := open.Listing(ctx, u)
	if err != nil {
		d.fail(area, "list "+u.String(), err.Error(), adviceFor(err, "s3:ListBucket"))
		return false
	}
	text := fmt.Sprintf("%d keys on the first page; imports would list by %s", n, listing.Mode)
	if listing.Why != "" {
		text += ": " + listing.Why
	}
	d.ok(area, "list "+u.String(), text)
	if !bucket.Encodes {
		d.warn(area, "keys "+u.String(), "the store does not URL-encode keys, though asked: control characters cannot be imported", "see docs/stores.md")
	}
	if first != "" {
		d.get(ctx, open, objectstore.URI{Scheme: u.Scheme, Bucket: u.Bucket, Key: first})
	}
	return true
}

func (d *doctor) get(ctx context.Context, open *stores.Stores, u objectstore.URI) {
	store, err := open.OpenSource(ctx, u, true)
	if err == nil {
		_, _, err = store.GetRange(ctx, u.Key, 0, 1)
	}
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		// It was deleted in the meantime.
	case err != nil:
		d.warn("s3", "get "+u.String(), err.Error(), "allow s3:GetObject: for a namespace it is required, for a source only to serve the content of objects")
	default:
		d.ok("s3", "get "+u.String(), "a byte was read")
	}
}

// put stores an object beside the files of a namespace, reads it and deletes it.
func (d *doctor) put(ctx context.Context, open *stores.Stores, u objectstore.URI) {
	const area = "s3"
	u = u.Join("rangefleet-doctor-" + rand.Text())
	content := []byte("written by rangectl doctor --write\n")
	store, err := open.Open(ctx, u)
	if err == nil {
		err = store.Put(ctx, u.Key, content, objectstore.Sum{})
	}
	if err != nil {
		d.fail(area, "put "+u.String(), err.Error(), adviceFor(err, "s3:PutObject"))
		return
	}
	defer func() {
		if err := remove(ctx, open, u); err != nil {
			d.warn(area, "delete "+u.String(), err.Error(), "delete it yourself; processes need no s3:DeleteObject")
			return
		}
		d.ok(area, "delete "+u.String(), "it was deleted")
	}()
	got, err := store.Get(ctx, u.Key, int64(len(content)))
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("it has another content: %q", got)
	}
	if err != nil {
		d.fail(area, "put "+u.String(), "it was stored, but cannot be read: "+err.Error(), adviceFor(err, "s3:GetObject"))
		return
	}
	d.ok(area, "put "+u.String(), "it was stored and read")
}

// remove deletes an object, also after ctx has ended.
func remove(ctx context.Context, open *stores.Stores, u objectstore.URI) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	return open.Remove(ctx, u)
}

// adviceFor says what to do about an error of a call that needs a permission.
func adviceFor(err error, permission string) string {
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return "create the bucket, or correct its name"
	case errors.Is(err, objectstore.ErrRole):
		return "let the fleet's credentials assume the role (sts:AssumeRole), and the role trust them"
	case errors.Is(err, objectstore.ErrRefused):
		return "check s3.access_key_id and its secret, and allow " + permission
	}
	return "check s3.endpoint, s3.region and s3.force_path_style"
}
