package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/pkg/auth"
)

// The program of this command serves as the bare handler if its arguments are bareCommand, an
// address and a file.
const bareProgram, bareCommand = "status", "bare"

// serveBare answers each request at an address that has valid credentials with the content of a
// file.
func serveBare(address, file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pair := auth.NewPair(fleet.AccessKey, fleet.SecretKey)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/repositories/{repository}/branches/{branch}/import", func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if ok {
			_, ok, _ = pair.Authenticate(r.Context(), id, secret) // its error is always nil
		}
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the client is gone if this fails
	})
	mux.HandleFunc("GET /_ready", func(http.ResponseWriter, *http.Request) {})
	s := &http.Server{ // with the timeouts of a coordinator
		Addr: address, Handler: mux,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
	}
	return fmt.Errorf("serve: %w", s.ListenAndServe())
}
