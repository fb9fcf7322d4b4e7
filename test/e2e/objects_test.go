package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// awkward is a bucket of 20,000 objects with keys that break naive programs. It is filled once
// for all tests, which only read it.
var awkward struct {
	sync.Once
	err     error
	listing []object // from a LIST, in bytewise key order
}

const (
	awkwardBucket = "awkward"
	awkwardPrefix = "lake/production collections/"
	awkwardCount  = 20_000
)

type object struct {
	Key     string `json:"key"`
	Address string `json:"address"`
	ETag    string `json:"etag"`
	Size    int64  `json:"size"`
	ModTime string `json:"mod_time"`
}

func s3Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &ceph.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(ceph.AccessKeyID, ceph.SecretAccessKey, ""),
	})
}

// awkwardObjects returns the objects of the awkward bucket below its prefix.
func awkwardObjects(t *testing.T) []object {
	t.Helper()
	awkward.Do(func() {
		if awkward.err = fill(awkwardBucket, awkwardKeys()); awkward.err == nil {
			awkward.listing, awkward.err = list(awkwardBucket, awkwardPrefix)
		}
	})
	if awkward.err != nil {
		t.Fatal(awkward.err)
	}
	if len(awkward.listing) != awkwardCount {
		t.Fatalf("S3 lists %d objects, want %d", len(awkward.listing), awkwardCount)
	}
	return awkward.listing
}

// awkwardKeys returns awkwardCount distinct keys. They are the same in each run.
func awkwardKeys() []string {
	rnd := rand.New(rand.NewPCG(20, 26))
	words := []string{
		"a", "a!", "a b", "+", "%3A", "%", "&", "<x>", `"q"`, "'", "ключ", "é", "e\u0301", "日本", "😀", "\U0010FFFD", "\uE000", "\uFFFD",
		"year=2024", "part-", "a0", "~", "=", "#", "?", "@", "\\", "{}", "|", "z", "Z", "9",
	}
	keys := make(map[string]bool, awkwardCount)
	add := func(key string) {
		if len(keys) < awkwardCount && len(awkwardPrefix)+len(key) <= 1000 {
			keys[key] = true
		}
	}
	for len(keys) < awkwardCount {
		var b strings.Builder
		for range 1 + rnd.IntN(4) {
			b.WriteString(words[rnd.IntN(len(words))])
			if rnd.IntN(3) == 0 {
				b.WriteString("/")
			}
		}
		key := strings.Trim(b.String(), "/")
		if rnd.IntN(4) > 0 {
			key += fmt.Sprintf("-%06d", rnd.IntN(1_000_000))
		}
		if rnd.IntN(400) == 0 { // exactly 1,000 bytes with the prefix
			key += strings.Repeat("x", 1000-len(awkwardPrefix)-len(key))
		}
		add(key)
		if rnd.IntN(8) == 0 { // a key that is a prefix of others
			add(key + "0")
			add(key + "/x")
			add(key + "!")
		}
	}
	all := make([]string, 0, len(keys))
	for key := range keys {
		if key != "" && !strings.Contains(key, "//") {
			all = append(all, awkwardPrefix+key)
		}
	}
	slices.Sort(all)
	for i := len(all); i < awkwardCount; i++ {
		all = append(all, fmt.Sprintf("%szz-%06d", awkwardPrefix, i))
	}
	return all
}

// fill creates the bucket with an object for each key, and some objects outside of the prefix,
// which must not be imported.
func fill(bucket string, keys []string) error {
	client := s3Client()
	if err := ceph.CreateBucket(context.Background(), bucket); err != nil {
		return err
	}
	puts, ctx := errgroup.WithContext(context.Background())
	puts.SetLimit(32)
	for _, key := range append([]string{"lake/production", "lake/production collections", "lake/production collectionsx", "lake/q"}, keys...) {
		puts.Go(func() error {
			_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte(key[len(key)/2:]))})
			return err
		})
	}
	return puts.Wait()
}

// list lists a bucket with the SDK's paginator.
func list(bucket, prefix string) ([]object, error) {
	var all []object
	pages := s3.NewListObjectsV2Paginator(s3Client(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			all = append(all, object{
				Key:     aws.ToString(o.Key),
				Address: "s3://" + bucket + "/" + aws.ToString(o.Key),
				ETag:    strings.Trim(aws.ToString(o.ETag), `"`),
				Size:    aws.ToInt64(o.Size),
				ModTime: o.LastModified.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"),
			})
		}
	}
	return all, nil
}

// lines returns objects, moved from a prefix to a destination, in the format that the oracle
// reads.
func lines(t *testing.T, objects []object, prefix, destination string) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, o := range objects {
		o.Key = destination + strings.TrimPrefix(o.Key, prefix)
		if err := e.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}
