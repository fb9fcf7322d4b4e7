package login_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// browser is Chromium with one page.
type browser struct {
	t    *testing.T
	page context.Context
}

// newBrowser starts a browser that ends with t. It skips t if there is no Chromium, unless t runs
// in CI.
func newBrowser(t *testing.T) browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no Chromium")
	}
	expect.NoError(t, err)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, // root has none
	)...)
	t.Cleanup(stop)
	b := browser{t: t}
	b.page, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	expect.NoError(t, chromedp.Do(b.page))
	return b
}

// do does actions, which are described by what. It ends the test if the page does not come to
// what they wait for.
func (b browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
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
	b.t.Fatalf("%s: %v\n%s shows:\n%s", what, err, url, b.text(ctx))
}

// text returns what the page shows.
func (b browser) text(ctx context.Context) string {
	text, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	return text
}

// cookie returns the cookie of a name, nil if there is none.
func (b browser) cookie(name string) *network.Cookie {
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
