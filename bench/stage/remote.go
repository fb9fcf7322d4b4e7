package stage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
)

func fetch(ctx context.Context, in *Input) (Step, error) {
	client := &http.Client{}
	return func(page int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.Endpoint+"/"+in.Bucket+"?"+in.query(page), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("fetch page %d: %w", page, err)
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && n < int64(len(in.XML[page])) {
			err = fmt.Errorf("page %d has %d bytes of %d", page, n, len(in.XML[page]))
		}
		return err
	}, nil
}

// Namespace is the storage namespace of all measurements.
const Namespace = "s3://ns/bench"

func s3Config(endpoint string) s3store.Config {
	return s3store.Config{
		Endpoint: endpoint, Region: "us-east-1", ForcePathStyle: true, AccessKeyID: "bench", SecretAccessKey: "bench",
	}
}

// Files opens the storage namespace on a synthetic server, in the way of a worker.
func Files(ctx context.Context, endpoint string) (*namespace.Files, error) {
	opener, err := stores.New(stores.Config{S3: s3Config(endpoint)}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("open stores: %w", err)
	}
	return namespace.Open(ctx, opener, Namespace)
}

// walk follows continuation tokens from the first page on, one LIST at a time.
func walk(ctx context.Context, in *Input) (Step, error) {
	client, err := s3store.New(ctx, s3Config(in.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	bucket, err := client.Bucket(in.Bucket)
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	token := ""
	return func(page int) (err error) {
		if page == 0 {
			token = ""
		}
		keys := 0
		token, err = bucket.WalkPage(ctx, "", token, func(objects []objectstore.Listed) { keys = len(objects) })
		if err == nil && keys != PageKeys {
			err = fmt.Errorf("page %d has %d keys", page, keys)
		}
		return err
	}, nil
}

// memory keeps ranges in memory for the upload stage.
type memory struct {
	mu   sync.Mutex
	ids  []string
	data [][]byte
}

func (m *memory) Put(_ context.Context, id string, data []byte, _ objectstore.Sum) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids, m.data = append(m.ids, id), append(m.data, append([]byte(nil), data...))
	return nil
}

// upload uploads the ranges of all pages in the step of the last page.
func upload(ctx context.Context, in *Input) (Step, error) {
	ranges := &memory{}
	write := rangeSteps(ctx, in, ranges)
	for page := range in.Batches {
		if err := write(page); err != nil {
			return nil, err
		}
	}
	files, err := Files(ctx, in.Endpoint)
	if err != nil {
		return nil, err
	}
	return func(page int) error {
		if page < len(in.Batches)-1 {
			return nil
		}
		for i, id := range ranges.ids {
			if err := files.Put(ctx, id, ranges.data[i], objectstore.Sum{}); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
