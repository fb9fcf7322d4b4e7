package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// slowly sends a POST whose body never ends from an address. It returns the answer once there is one,
// and what sends on.
func (f *fixture) slowly(address, target string) (answer <-chan int, body *io.PipeWriter) {
	read, write := io.Pipe()
	r := httptest.NewRequest(http.MethodPost, target, read)
	r.RemoteAddr = address
	r.Header.Set("Content-Type", "application/json")
	answers := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		answers <- w.Code
	}()
	return answers, write
}

// Who waited in vain holds nothing afterwards.
func TestSharesOfThoseWhoWaited(t *testing.T) {
	s := newShares(1, 1)
	release, ok := s.acquire(t.Context(), "a", 0)
	if !ok {
		t.Fatal("no slot")
	}
	if _, ok := s.acquire(t.Context(), "b", 0); ok {
		t.Error("one slot is held twice")
	}
	release()
	if release, ok = s.acquire(t.Context(), "b", 0); !ok {
		t.Fatal("a slot that is free is not given to who waited for it")
	}
	if release(); len(s.held) > 0 {
		t.Errorf("held are %v", s.held)
	}
}

// Strangers who send slowly keep nobody out but others of their address, however many they are.
func TestSlowStrangersKeepNobodyOut(t *testing.T) {
	const bad, good = "192.0.2.1:1", "192.0.2.2:1"
	for target, refused := range map[string]int{loginPath: 429, "/api/v1/repositories": 401} {
		t.Run(target, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHousehold(t, func(c *Config) { c.Now = time.Now })
				var bodies []*io.PipeWriter
				var answers []<-chan int
				for range limits.AnonymousRequests {
					answer, body := h.slowly(bad, target)
					bodies, answers = append(bodies, body), append(answers, answer)
				}
				<-time.After(time.Minute)
				synctest.Wait()
				waiting := 0
				for _, answer := range answers {
					select {
					case code := <-answer:
						if code != refused {
							t.Errorf("a body that is not read: %d, want %d", code, refused)
						}
					default:
						waiting++
					}
				}
				if waiting != limits.AnonymousShare {
					t.Errorf("%d bodies of one address are read, want %d", waiting, limits.AnonymousShare)
				}
				if w := h.from(good, "POST", loginPath, h.loginBody("ann"), http.Header{"Authorization": nil}); w.Code != http.StatusOK {
					t.Errorf("a login from another address: %d %s", w.Code, w.Body)
				}
				for _, body := range bodies {
					_ = body.Close()
				}
				synctest.Wait()
				if w := h.from(bad, "POST", loginPath, h.loginBody("ann"), http.Header{"Authorization": nil}); w.Code != http.StatusOK {
					t.Errorf("a login once they have ended: %d %s", w.Code, w.Body)
				}
			})
		})
	}
}

// A stranger's body ends in time, though other requests have longer.
func TestSlowStrangersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHousehold(t)
		for _, target := range []string{loginPath, "/api/v1/repositories"} {
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(w, r)
			if want := time.Now().Add(strangerWithin); !w.read.Equal(want) {
				t.Errorf("%s: the body has until %v, want %v", target, w.read, want)
			}
		}
	})
}

// deadlines records the deadline for the body of a request.
type deadlines struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = t
	return nil
}

// Answers to wrong secrets that are delayed take none of the requests that are served at a time.
func TestDelayedAnswersKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.Now = time.Now })
		conns := &connections{most: limits.Connections}
		h := conns.markActive(f)
		send := func(address, secret string) int {
			conn := conns.add(nil)
			r := httptest.NewRequest(http.MethodGet, "/api/v1/repositories", http.NoBody)
			r = r.WithContext(context.WithValue(t.Context(), connectionKey{}, conn))
			r.RemoteAddr = address
			r.Header.Set("Authorization", basic(testKey, secret))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		const each = 9 // failures of an address: the last four wait for their answers
		answers := make(chan int, limits.Requests/4*each)
		for i := range limits.Requests / 4 {
			for range each {
				go func() { answers <- send(fmt.Sprintf("192.0.2.%d:1", i), "wrong") }()
				synctest.Wait()
			}
		}
		begun := time.Now()
		if code := send("198.51.100.1:1", testSecret); code != http.StatusOK || time.Since(begun) != 0 {
			t.Errorf("another user: %d after %v", code, time.Since(begun))
		}
		for range cap(answers) {
			if code := <-answers; code != http.StatusUnauthorized {
				t.Errorf("a wrong secret: %d", code)
			}
		}
	})
}
