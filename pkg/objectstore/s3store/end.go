package s3store

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// IsAWS reports whether the service is AWS's own.
func (c *Client) IsAWS() bool { return c.aws }

// isAWS reports whether an endpoint, nil for AWS's own, is one of AWS.
func isAWS(endpoint *string) bool {
	if aws.ToString(endpoint) == "" {
		return true
	}
	u, err := url.Parse(*endpoint)
	return err == nil && (strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn"))
}

// more reports whether keys follow the objects of the page in a. If the page does not
// say, more asks the store. A page that says that it is the last is passed on as that:
// only a caller that has seen the other pages can check it.
func (l *lister) more(ctx context.Context, a *answer, prefix string, objects []objectstore.Listed) (bool, error) {
	if a.page.Truncated || len(objects) == 0 || !a.page.Unsaid {
		return a.page.Truncated, nil
	}
	return l.follow(ctx, prefix, string(objects[len(objects)-1].Key))
}

// follow reports whether any key follows the given one. It requests two keys, since
// some stores start a listing with the key that it is to start after.
func (l *lister) follow(ctx context.Context, prefix, key string) (bool, error) {
	a := l.calls.client.answers.Get().(*answer)
	defer l.calls.client.answers.Put(a)
	next, err := l.page(ctx, a, ask{prefix: prefix, after: key, keys: 2})
	if err != nil {
		return false, fmt.Errorf("make sure that nothing follows: %w", err)
	}
	return len(next) > 0, nil
}
