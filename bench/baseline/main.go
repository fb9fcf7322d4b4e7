// Command baseline imports a bucket with lakeFS's own packages, as a lakeFS server does:
// one reader lists page after page with the AWS SDK, and one writer writes the ranges and
// the metarange.
//
// Unlike a lakeFS server, it has no local database of all entries between reader and
// writer, and writes no status updates. So it is a little faster than a server.
package main

import (
	"context"
	"crypto"
	_ "crypto/sha256" // registers crypto.SHA256
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/treeverse/lakefs/pkg/block"
	lakefss3 "github.com/treeverse/lakefs/pkg/block/s3"
	"github.com/treeverse/lakefs/pkg/catalog"
	"github.com/treeverse/lakefs/pkg/graveler"
	"github.com/treeverse/lakefs/pkg/graveler/committed"
	"github.com/treeverse/lakefs/pkg/graveler/sstable"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// lakeFS's defaults.
const (
	maxRangeSize = 20 << 20
	raggedness   = 50_000
	uploaders    = 10
)

const storageID = ""

// answer is what the bench command reads.
type answer struct {
	measure.Usage
	Objects     int64  `json:"objects"`
	MetarangeID string `json:"metarange_id"`
}

func main() {
	endpoint := flag.String("endpoint", "", "`URL` of the S3 server")
	source := flag.String("source", "s3://hive-100k/", "`URI` of the prefix to import")
	namespace := flag.String("namespace", "s3://ns/baseline", "`URI` of the storage namespace")
	flag.Parse()
	if err := run(context.Background(), *endpoint, *source, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, endpoint, source, namespace string) (err error) {
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider("bench", "bench", ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	})
	dir, err := os.MkdirTemp("", "baseline-")
	if err != nil {
		return fmt.Errorf("make a directory for open files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	uri, err := url.Parse(namespace)
	if err != nil {
		return fmt.Errorf("storage namespace: %w", err)
	}
	files := &uploads{client: client, dir: dir, bucket: uri.Host, prefix: uri.Path[1:] + "/_lakefs/"}
	return measure.Child(os.Stdin, os.Stdout, func() (any, error) {
		var a answer
		a.Usage, err = measure.Self(func() error { return a.importAll(ctx, client, source, files) })
		return a, err
	})
}

// importAll lists the source into ranges and a metarange.
func (a *answer) importAll(ctx context.Context, client *s3.Client, source string, files *uploads) error {
	uri, err := url.Parse(source)
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	walker := block.NewWalkerWrapper(lakefss3.NewS3Walker(client), uri)
	it, err := catalog.NewWalkEntryIterator(ctx, walker, catalog.ImportPathTypePrefix, "", "", "")
	if err != nil {
		return fmt.Errorf("walk %s: %w", source, err)
	}
	defer it.Close()
	manager := sstable.NewPebbleSSTableRangeManager(nil, files, crypto.SHA256, storageID)
	w := committed.NewGeneralMetaRangeWriter(ctx, manager, manager, &committed.Params{
		MaxRangeSizeBytes: maxRangeSize, RangeSizeEntriesRaggedness: raggedness, MaxUploaders: uploaders,
	}, storageID, committed.Namespace("s3://"+files.bucket), nil)
	for it.Next() {
		record := it.Value()
		value, err := catalog.EntryToValue(record.Entry)
		if err != nil {
			return errors.Join(err, w.Abort())
		}
		if err := w.WriteRecord(graveler.ValueRecord{Key: graveler.Key(record.Path), Value: value}); err != nil {
			return errors.Join(fmt.Errorf("key %q: %w", record.Path, err), w.Abort())
		}
		a.Objects++
	}
	if err := it.Err(); err != nil {
		return errors.Join(fmt.Errorf("walk %s: %w", source, err), w.Abort())
	}
	id, err := w.Close(ctx)
	if err != nil {
		return fmt.Errorf("finish the metarange: %w", err)
	}
	a.MetarangeID = string(*id)
	return nil
}
