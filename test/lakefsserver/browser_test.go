package lakefsserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
	"github.com/rangefleet/rangefleet/test/login/browser"
)

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

	b := browser.New(t)
	type css = chromedp.CSS
	b.Do("log in", chromedp.Navigate(endpoint+"/"),
		chromedp.SendKeys(css(`input[name="username"]`), lakefstest.Admin.AccessKeyID),
		chromedp.SendKeys(css(`input[name="password"]`), lakefstest.Admin.SecretAccessKey),
		chromedp.Click(button("Login")))
	b.Do("open the repository", chromedp.Click(link("repo")), chromedp.WaitVisible(link("data/")))
	b.Do("start an import", chromedp.Click(button("Import")),
		chromedp.SendKeys(css(`input[name="import-from"]`), sources+"/a/"),
		chromedp.SendKeys(css(`input[name="destination"]`), "imported/"),
		chromedp.SendKeys(css(`input[name="commit-message"]`), "by the web UI"),
		chromedp.Click(`//div[@class="modal-footer"]`+button("Import")))
	b.Do("see it complete", chromedp.WaitVisible(css(".import-success")), chromedp.Click(button("Close")), chromedp.WaitNotPresent(css(".modal")))
	b.Do("see the object", chromedp.Click(link("imported/")), chromedp.Click(link("hello.txt")),
		chromedp.WaitVisible(`//*[normalize-space()="of a/hello.txt"]`))
	head := repo.Log(t, "main")[0]
	if head.Message != "by the web UI" || !strings.HasPrefix(head.Metadata["rangefleet.import"], "rf-") || head.Metadata["rangefleet.user"] != lakefstest.Admin.Name {
		t.Errorf("the head is %+v", head)
	}
}
