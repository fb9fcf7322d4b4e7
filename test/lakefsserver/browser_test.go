package lakefsserver_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// browser is Chromium with one page. Methods end the test if the page does not come to what
// they wait for.
type browser struct {
	t    *testing.T
	page context.Context

	mu      sync.Mutex
	refused []string // requests that were answered with an error
}

// newBrowser starts a browser that ends with t. It skips t if there is no Chromium, unless t runs
// in CI.
func newBrowser(t *testing.T) *browser {
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
	b := &browser{t: t}
	b.page, stop = chromedp.NewContext(ctx, chromedp.WithListener(b.heard))
	t.Cleanup(stop)
	expect.NoError(t, chromedp.Do(b.page))
	return b
}

// heard notes an event of the page.
func (b *browser) heard(event any) {
	e, ok := event.(*network.EventResponseReceived)
	if !ok || e.Response.Status < http.StatusBadRequest {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = append(b.refused, fmt.Sprintf("%s: %d", e.Response.URL, e.Response.Status))
}

// do does actions, which are described by what.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
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

// button is the XPath of a button that can be clicked.
func button(text string) string {
	return fmt.Sprintf(`//button[normalize-space()=%q and not(@disabled)]`, text)
}

// link is the XPath of a link.
func link(text string) string { return fmt.Sprintf(`//a[normalize-space()=%q]`, text) }

// TestAnImportByTheWebUI logs in at lakeFS's web UI through the proxy, imports by its dialog,
// and looks at what was imported.
func TestAnImportByTheWebUI(t *testing.T) {
	t.Parallel()
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph, Settings: []string{
		"LAKEFS_EMAIL_SUBSCRIPTION_ENABLED=false", // else its first page asks for an address
	}})
	sources := namespaces(t)
	expect.NoError(t, ceph.Put(t.Context(), strings.TrimPrefix(sources, "s3://"), []string{"a/hello.txt"}, func(key string) string { return "of " + key }))
	repo := newRepository(t, server, "repo")
	endpoint := startProxy(t, server, ceph.Endpoint, sources)

	b := newBrowser(t)
	type css = chromedp.CSS
	b.do("log in", chromedp.Navigate(endpoint+"/"),
		chromedp.SendKeys(css(`input[name="username"]`), lakefstest.Admin.AccessKeyID),
		chromedp.SendKeys(css(`input[name="password"]`), lakefstest.Admin.SecretAccessKey),
		chromedp.Click(button("Login")))
	b.do("open the repository", chromedp.Click(link("repo")), chromedp.WaitVisible(link("data/")))
	b.do("start an import", chromedp.Click(button("Import")),
		chromedp.SendKeys(css(`input[name="import-from"]`), sources+"/a/"),
		chromedp.SendKeys(css(`input[name="destination"]`), "imported/"),
		chromedp.SendKeys(css(`input[name="commit-message"]`), "by the web UI"),
		chromedp.Click(`//div[@class="modal-footer"]`+button("Import")))
	b.do("see it complete", chromedp.WaitVisible(css(".import-success")), chromedp.Click(button("Close")), chromedp.WaitNotPresent(css(".modal")))
	b.do("see the object", chromedp.Click(link("imported/")), chromedp.Click(link("hello.txt")),
		chromedp.WaitVisible(`//*[normalize-space()="of a/hello.txt"]`))
	head := repo.Log(t, "main")[0]
	if head.Message != "by the web UI" || !strings.HasPrefix(head.Metadata["rangefleet.import"], "rf-") || head.Metadata["rangefleet.user"] != lakefstest.Admin.Name {
		t.Errorf("the head is %+v", head)
	}
}
