// Package browser drives Chromium in tests.
package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// Browser is Chromium with one page. Its methods are for the goroutine of the test.
type Browser struct {
	t    *testing.T
	page context.Context

	mu      sync.Mutex
	refused []string // requests that were answered with an error
}

// New starts a browser that ends with t. It skips t if there is no Chromium, unless t runs in CI.
func New(t *testing.T) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no Chromium")
	}
	expect.NoError(t, err)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.WindowSize(1400, 1000),
		chromedp.NoSandbox, // root has none
		chromedp.Flag("force-prefers-reduced-motion", true), // what is clicked stays where it is
	)...)
	t.Cleanup(stop)
	b := &Browser{t: t}
	b.page, stop = chromedp.NewContext(ctx, chromedp.WithListener(b.heard))
	t.Cleanup(stop)
	expect.NoError(t, chromedp.Do(b.page))
	return b
}

// heard notes an event of the page.
func (b *Browser) heard(event any) {
	e, ok := event.(*network.EventResponseReceived)
	if !ok || e.Response.Status < http.StatusBadRequest {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = append(b.refused, fmt.Sprintf("%s: %d", e.Response.URL, e.Response.Status))
}

// Do does actions, which are described by what. It ends the test if the page does not come to what
// they wait for.
func (b *Browser) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.page, expect.Patience)
	defer cancel()
	err := chromedp.Do(ctx, actions...)
	if err == nil {
		return
	}
	ctx, cancel = context.WithTimeout(b.page, 10*time.Second) // it may not answer at all
	defer cancel()
	url, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("%s: %v\nrefused: %q\n%s shows:\n%s", what, err, b.refused, url, text)
}

// Text returns the text of what a selector finds on the page.
func (b *Browser) Text(selector chromedp.CSS) string {
	b.t.Helper()
	text, err := chromedp.Run(b.page, chromedp.Text(selector))
	expect.NoError(b.t, err)
	return text
}

// Cookie returns the cookie of a name, nil if there is none.
func (b *Browser) Cookie(name string) *network.Cookie {
	b.t.Helper()
	all, err := chromedp.Call(b.page, network.GetCookies, network.GetCookiesParams{})
	expect.NoError(b.t, err)
	for _, c := range all.Cookies {
		if c.Name == name {
			return c
		}
	}
	return nil
}
