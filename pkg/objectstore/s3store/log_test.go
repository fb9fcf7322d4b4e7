package s3store_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// Messages of the SDK go to the log, without credentials.
func TestTheSDKIsLogged(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "no date")
	}))
	defer server.Close()
	secrets := map[string]string{"AWS_ACCESS_KEY_ID": "the-id", "AWS_SECRET_ACCESS_KEY": "the-secret", "AWS_SESSION_TOKEN": "the-token"}
	for name, value := range secrets {
		t.Setenv(name, value)
	}
	var log transcript.Buffer
	client, err := s3store.New(t.Context(), s3store.Config{
		Endpoint: server.URL, ForcePathStyle: true,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	expect.NoError(t, err)
	store, err := client.Bucket("bucket")
	expect.NoError(t, err)
	_, err = store.Get(t.Context(), "key", 1<<20)
	expect.NoError(t, err)
	text := log.String()
	if !strings.Contains(text, `level=WARN msg="aws sdk"`) || !strings.Contains(text, "no date") {
		t.Errorf("the log is %q", text)
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %s:\n%s", secret, text)
		}
	}
}
